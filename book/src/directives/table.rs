//! A recorded Markdown table as HTML: its cells are coloured by their signs, and it scrolls in
//! itself.

use crate::html::{escape, inline_markdown, markdown};
use crate::page::Page;

/// A table, and the words around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// The Markdown before it.
    pub(super) before: String,
    /// The cells of its first line.
    pub(super) head: Vec<String>,
    /// The cells of the others.
    pub(super) rows: Vec<Vec<String>>,
    /// The Markdown after it.
    pub(super) after: String,
}

impl Table {
    /// Reads the first table of `text`.
    pub(super) fn parse(text: &str) -> Result<Table, String> {
        let lines: Vec<&str> = text.lines().collect();
        let is_row = |line: &&str| line.trim_start().starts_with('|');
        let first = lines.iter().position(is_row).ok_or("it holds no table")?;
        let end = lines[first..]
            .iter()
            .position(|line| !is_row(line))
            .map_or(lines.len(), |at| first + at);
        let mut table = lines[first..end].iter().map(|line| cells(line));
        let head = table.next().unwrap_or_default();
        let rule = table.next().ok_or("its table has no line below the head")?;
        if !rule.iter().all(|cell| cell.contains('-')) {
            return Err("its table has no line below the head".to_owned());
        }
        let rows: Vec<Vec<String>> = table.collect();
        match rows.iter().find(|row| row.len() != head.len()) {
            Some(row) => Err(format!(
                "row `{}` has {} cells, the head {}",
                row.join(" | "),
                row.len(),
                head.len()
            )),
            None => Ok(Table {
                before: lines[..first].join("\n"),
                head,
                rows,
                after: lines[end..].join("\n"),
            }),
        }
    }

    /// The table, for a listener called `label`. A cell that is neither ✓ nor ✗ has the class
    /// `other`.
    pub(super) fn html(
        &self,
        rows: &[&Vec<String>],
        label: &str,
        other: &str,
    ) -> Result<String, String> {
        let mut out = format!(
            "<div class=\"matrix-table\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n<table>\n<thead><tr>",
            escape(label)
        );
        for cell in &self.head {
            // The corner may be empty: then it is no heading.
            let tag = if cell.is_empty() { "td" } else { "th" };
            let scope = if cell.is_empty() { "" } else { " scope=\"col\"" };
            out.push_str(&format!("<{tag}{scope}>{}</{tag}>", cell_text(cell)?));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            let (name, cells) = row.split_first().ok_or("a row is empty")?;
            out.push_str(&format!("<tr><th scope=\"row\">{}</th>", cell_text(name)?));
            for cell in cells {
                out.push_str(&format!(
                    "<td class=\"{}\">{}</td>",
                    class(cell, other),
                    cell_text(cell)?
                ));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table>\n</div>");
        Ok(out)
    }

    /// The whole table between the words around it, whose links are checked with the page's.
    pub(super) fn with_words(
        &self,
        page: &mut Page<'_>,
        label: &str,
        other: &str,
    ) -> Result<String, String> {
        let table = self.html(&self.rows.iter().collect::<Vec<_>>(), label, other)?;
        let line = page.line;
        page.texts.extend([(self.before.clone(), line), (self.after.clone(), line)]);
        Ok(format!("{}\n{table}\n{}", markdown(&self.before), markdown(&self.after)))
    }
}

/// The cells of a table's line; `\|` is no border.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().replace("\\|", "\u{1}");
    let line = line.trim_start_matches('|').trim_end_matches('|');
    line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

fn cell_text(cell: &str) -> Result<String, String> {
    if cell.is_empty() { Ok(String::new()) } else { inline_markdown(cell) }
}

/// The class that a cell is coloured by. The sign itself says the same without colour.
fn class<'a>(cell: &str, other: &'a str) -> &'a str {
    match cell.chars().next() {
        Some('✓') => "yes",
        Some('✗') => "no",
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_among_words() {
        let table = Table::parse(
            "Measured.\n\n| | B1 |\n|---|:-:|\n| `ch01` | ✓ |\n| `a \\| b` | ✗ |\n\nEnd.\n",
        )
        .expect("it holds a table");
        assert_eq!(table.head, ["", "B1"]);
        assert_eq!(table.rows, [["`ch01`", "✓"], ["`a | b`", "✗"]]);
        assert_eq!((table.before.trim(), table.after.trim()), ("Measured.", "End."));
    }

    #[test]
    fn a_table_must_be_whole() {
        for bad in ["no table", "| a |\n", "| a | b |\n|---|---|\n| c |\n", "| a |\n| b |\n"] {
            assert!(Table::parse(bad).is_err(), "{bad}");
        }
    }
}

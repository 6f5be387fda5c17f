//! `{{#matrix}}` and `{{#matrix-row name …}}`: the measured behaviour matrix, a Markdown table in
//! `recordings/matrix.md`.

use super::Directive;
use crate::html::{escape, inline_markdown, markdown};
use crate::page::Page;
use std::fs;

/// The recording: a table, and the words around it.
#[derive(Debug, PartialEq, Eq)]
struct Matrix {
    before: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    after: String,
}

/// The whole recording, with the words around the table.
pub(super) fn whole(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(0..=0, &[])?;
    let matrix = Matrix::load(page)?;
    let (rows, open): (Vec<_>, Vec<_>) = matrix.rows.iter().partition(|row| is_measured(row));
    let table = table(&matrix.head, &rows, page)? + &unmeasured(&open, page)?;
    let line = page.line;
    page.texts.extend([(matrix.before.clone(), line), (matrix.after.clone(), line)]);
    Ok(format!(
        "<div class=\"matrix\">\n{}\n{table}\n{}\n</div>",
        markdown(&matrix.before),
        markdown(&matrix.after)
    ))
}

/// Whether any cell of the row was measured: the program exists.
fn is_measured(row: &[String]) -> bool {
    row.iter().skip(1).any(|cell| verdict(cell) != "open")
}

/// Programs that do not exist yet have no columns to fill: they are named below the table.
fn unmeasured(rows: &[&Vec<String>], page: &Page<'_>) -> Result<String, String> {
    if rows.is_empty() {
        return Ok(String::new());
    }
    // `ch04, busy wait: not built yet`: the label says what stands after the colon.
    let name = |row: &&Vec<String>| cell_text(row[0].split(": ").next().unwrap_or_default());
    let names: Result<Vec<String>, String> = rows.iter().map(name).collect();
    let label = escape(&page.library.strings.unmeasured);
    Ok(format!("\n<p class=\"matrix-legend\">{label} {}</p>", names?.join(" · ")))
}

/// What the columns ask, in a few words each.
fn legend(head: &[String], page: &Page<'_>) -> String {
    let names = head.iter().filter_map(|id| {
        let name = page.library.strings.behaviours.get(id)?;
        Some(format!("<b>{}</b> {}", escape(id), escape(name)))
    });
    format!("<p class=\"matrix-legend\">{}</p>", names.collect::<Vec<_>>().join(" · "))
}

/// The head and the rows of the implementations that the directive names.
pub(super) fn rows(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=usize::MAX, &[])?;
    let matrix = Matrix::load(page)?;
    let mut rows = Vec::new();
    for name in &directive.values {
        let row = matrix.rows.iter().find(|row| row[0].replace('`', "").trim() == name);
        rows.push(row.ok_or_else(|| format!("the matrix has no row `{name}`"))?);
    }
    let table = table(&matrix.head, &rows, page)?;
    Ok(format!("<div class=\"matrix\">\n{table}\n{}\n</div>", legend(&matrix.head, page)))
}

impl Matrix {
    fn load(page: &Page<'_>) -> Result<Matrix, String> {
        let text = fs::read_to_string(page.library.places.matrix())
            .map_err(|error| format!("`recordings/matrix.md` cannot be read: {error}"))?;
        Matrix::parse(&text).map_err(|error| format!("`recordings/matrix.md`: {error}"))
    }

    /// Reads the first table of `text`.
    fn parse(text: &str) -> Result<Matrix, String> {
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
            None => Ok(Matrix {
                before: lines[..first].join("\n"),
                head,
                rows,
                after: lines[end..].join("\n"),
            }),
        }
    }
}

/// The cells of a table's line; `\|` is no border.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().replace("\\|", "\u{1}");
    let line = line.trim_start_matches('|').trim_end_matches('|');
    line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// A table that scrolls in itself.
fn table(head: &[String], rows: &[&Vec<String>], page: &Page<'_>) -> Result<String, String> {
    let mut out = format!(
        "<div class=\"matrix-table\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n<table>\n<thead><tr>",
        escape(&page.library.strings.matrix)
    );
    for cell in head {
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
            out.push_str(&format!("<td class=\"{}\">{}</td>", verdict(cell), cell_text(cell)?));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>");
    Ok(out)
}

fn cell_text(cell: &str) -> Result<String, String> {
    if cell.is_empty() { Ok(String::new()) } else { inline_markdown(cell) }
}

/// The class that a cell is coloured by. The sign itself says the same without colour.
fn verdict(cell: &str) -> &'static str {
    match cell.chars().next() {
        Some('✓') => "yes",
        Some('✗') => "no",
        _ => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_among_words() {
        let matrix = Matrix::parse(
            "Measured.\n\n| | B1 |\n|---|:-:|\n| `ch01` | ✓ |\n| `a \\| b` | ✗ |\n\nEnd.\n",
        )
        .expect("it holds a table");
        assert_eq!(matrix.head, ["", "B1"]);
        assert_eq!(matrix.rows, [["`ch01`", "✓"], ["`a | b`", "✗"]]);
        assert_eq!((matrix.before.trim(), matrix.after.trim()), ("Measured.", "End."));
    }

    #[test]
    fn a_table_must_be_whole() {
        for bad in ["no table", "| a |\n", "| a | b |\n|---|---|\n| c |\n", "| a |\n| b |\n"] {
            assert!(Matrix::parse(bad).is_err(), "{bad}");
        }
    }
}

//! `{{#mechanism file}}` promises that a page accounts for every line of a file; `{{#left-out
//! file:anchor reason="…"}}` names what it does not show.
//!
//! Lines that need no account: blank ones, comments, `use` items, crate attributes, lone closing
//! brackets, and the test module.

use super::Directive;
use crate::html::{escape, inline_markdown};
use crate::outline::{code_characters, place};
use crate::page::Page;
use crate::source::{Source, split_anchor};
use crate::strings::fill;
use std::collections::BTreeSet;

/// The strip that names the file.
pub(super) fn mechanism(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=1, &[])?;
    let name = &directive.values[0];
    page.source(name)?;
    page.mechanisms.push((name.clone(), page.line));
    let text =
        fill(&escape(&page.library.strings.mechanism), &[("file", &page.link_to_file(name))]);
    Ok(format!("<p class=\"mechanism\">{text}</p>"))
}

/// The line that names a part not shown.
pub(super) fn left_out(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=1, &["reason"])?;
    let reason = directive.options.get("reason").ok_or("`left-out` needs `reason=\"…\"`")?;
    let (name, anchor) = split_anchor(&directive.values[0]);
    let source = page.source(name)?;
    let range = source.range(anchor)?;
    page.cover(name, range.clone());
    let mut part = page.link_to_lines(name, range.start + 1, range.end);
    if let Some(place) = place(&source.lines, range.start) {
        let inside = format!("<code>{}</code>", escape(&place));
        part.push_str(&format!(
            " ({})",
            fill(&escape(&page.library.strings.listing_in), &[("place", &inside)])
        ));
    }
    let text = fill(
        &escape(&page.library.strings.left_out),
        &[("part", &part), ("reason", &inline_markdown(reason)?)],
    );
    Ok(format!("<p class=\"left-out\">{text}</p>"))
}

/// The first line (from 0) of `source` that must be accounted for and is not in `covered`.
#[must_use]
pub fn uncovered(source: &Source, covered: &BTreeSet<usize>) -> Option<usize> {
    let free = free_lines(source);
    (0..source.lines.len()).find(|line| !free.contains(line) && !covered.contains(line))
}

/// The lines that need no account.
fn free_lines(source: &Source) -> BTreeSet<usize> {
    // Without comments and literals, line by line.
    let code: Vec<String> = code_characters(&source.lines.join("\n"))
        .split('\n')
        .map(|line| line.trim().to_owned())
        .collect();
    let mut free = BTreeSet::new();
    let mut number = 0;
    while number < code.len() {
        let line = code[number].as_str();
        let is_blank = source
            .lines
            .get(number)
            .is_none_or(|line| line.is_empty() || line.trim().starts_with("//"));
        let end = if is_blank
            || source.marks.contains(&number)
            || is_closing(line)
            || line.starts_with("#![")
        {
            number
        } else if is_use(line) {
            (number..code.len()).find(|&at| code[at].ends_with(';')).unwrap_or(number)
        } else if line == "#[cfg(test)]"
            && code.get(number + 1).is_some_and(|next| next.starts_with("mod "))
        {
            item_end(&code, number + 1)
        } else {
            number += 1;
            continue;
        };
        free.extend(number..=end);
        number = end + 1;
    }
    free
}

/// A line without code, or with nothing but closing brackets.
pub(super) fn is_closing(line: &str) -> bool {
    line.trim().chars().all(|c| "})];,".contains(c))
}

fn is_use(line: &str) -> bool {
    let line = line
        .strip_prefix("pub")
        .map_or(line, |rest| rest.trim_start_matches("(crate)").trim_start());
    line.starts_with("use ")
}

/// The last line of the item that begins at `first`.
fn item_end(code: &[String], first: usize) -> usize {
    let mut depth = 0;
    for (number, line) in code.iter().enumerate().skip(first) {
        depth += line.matches('{').count();
        depth = depth.saturating_sub(line.matches('}').count());
        if depth == 0 {
            return number;
        }
    }
    code.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
//! Words.
#![forbid(unsafe_code)]
use a::{
    b,
};
pub(crate) use c;
/* a
   comment */
struct S { // 8
}

#[cfg(test)]
mod tests {
    fn t() { \"}\" }
}
fn last() {}
";

    #[test]
    fn words_uses_brackets_and_tests_need_no_account() {
        let source = Source::parse("f.rs", FILE).expect("the anchors pair up");
        assert_eq!(uncovered(&source, &BTreeSet::new()), Some(8));
        assert_eq!(uncovered(&source, &BTreeSet::from([8])), Some(15));
        assert_eq!(uncovered(&source, &BTreeSet::from([8, 15])), None);
    }
}

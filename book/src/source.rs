//! A source file with its anchors: the comment lines `// ANCHOR: name` and `// ANCHOR_END: name`,
//! which may nest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// A file's lines. Numbers here count from 0; what a reader sees counts from 1.
#[derive(Debug)]
pub struct Source {
    /// The name pages use.
    pub name: String,
    /// Its lines as they stand in the file.
    pub lines: Vec<String>,
    /// The lines between an anchor's two comments.
    pub anchors: BTreeMap<String, Range<usize>>,
    /// Which lines are anchor comments.
    pub marks: BTreeSet<usize>,
}

/// What an anchor comment says.
enum Mark<'a> {
    Begin(&'a str),
    End(&'a str),
}

/// The anchor comment on `line`, if it is one. A comment of any of `//`, `#` and `--` counts.
fn mark(line: &str) -> Option<Mark<'_>> {
    let line = line.trim();
    let comment = ["//", "#", "--"].iter().find_map(|sign| line.strip_prefix(sign))?.trim_start();
    if let Some(name) = comment.strip_prefix("ANCHOR:") {
        return Some(Mark::Begin(name.trim()));
    }
    comment.strip_prefix("ANCHOR_END:").map(|name| Mark::End(name.trim()))
}

impl Source {
    /// Reads the file at `path`, which pages call `name`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its anchors do not pair up.
    pub fn read(name: &str, path: &Path) -> Result<Source, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        Source::parse(name, &text)
    }

    /// Finds the anchors of `text`.
    ///
    /// # Errors
    ///
    /// When they do not pair up.
    pub fn parse(name: &str, text: &str) -> Result<Source, String> {
        let lines: Vec<String> =
            text.lines().map(|line| line.replace('\t', "    ").trim_end().to_owned()).collect();
        let mut open: BTreeMap<&str, usize> = BTreeMap::new();
        let mut anchors = BTreeMap::new();
        let mut marks = BTreeSet::new();
        for (number, line) in lines.iter().enumerate() {
            let at = || format!("`{name}`, line {}", number + 1);
            match mark(line) {
                None => continue,
                Some(Mark::Begin(anchor)) => {
                    if anchors.contains_key(anchor) || open.insert(anchor, number + 1).is_some() {
                        return Err(format!("{}: there is a second anchor `{anchor}`", at()));
                    }
                }
                Some(Mark::End(anchor)) => {
                    let begin = open.remove(anchor).ok_or_else(|| {
                        format!("{}: anchor `{anchor}` ends here but never began", at())
                    })?;
                    anchors.insert(anchor.to_owned(), begin..number);
                }
            }
            marks.insert(number);
        }
        match open.iter().next() {
            Some((anchor, line)) => {
                Err(format!("`{name}`, line {line}: anchor `{anchor}` never ends"))
            }
            None => Ok(Source { name: name.to_owned(), lines, anchors, marks }),
        }
    }

    /// The lines of `anchor`, or of the whole file.
    ///
    /// # Errors
    ///
    /// When there is no such anchor, or it holds no line.
    pub fn range(&self, anchor: Option<&str>) -> Result<Range<usize>, String> {
        let Some(anchor) = anchor else { return self.trimmed(0..self.lines.len()) };
        let range = self
            .anchors
            .get(anchor)
            .ok_or_else(|| format!("`{}` has no anchor `{anchor}`", self.name))?;
        self.trimmed(range.clone())
            .map_err(|_| format!("anchor `{anchor}` of `{}` is empty", self.name))
    }

    /// `range` without anchor comments and blank lines at its ends.
    fn trimmed(&self, range: Range<usize>) -> Result<Range<usize>, String> {
        let first = range.clone().find(|&line| self.is_code(line));
        let last = range.rev().find(|&line| self.is_code(line));
        first
            .zip(last)
            .map(|(first, last)| first..last + 1)
            .ok_or_else(|| format!("`{}` is empty", self.name))
    }

    /// Whether `line` is neither blank nor an anchor comment.
    #[must_use]
    pub fn is_code(&self, line: usize) -> bool {
        !self.marks.contains(&line) && !self.lines[line].is_empty()
    }

    /// The lines of `range` to show, with their numbers: no anchor comments, nor the blank line a
    /// removed pair would double.
    #[must_use]
    pub fn shown(&self, range: Range<usize>) -> Vec<(usize, &str)> {
        let mut shown: Vec<(usize, &str)> = Vec::new();
        for number in range {
            let line = self.lines[number].as_str();
            let doubled =
                line.is_empty() && shown.last().is_none_or(|(_, before)| before.is_empty());
            if !self.marks.contains(&number) && !doubled {
                shown.push((number, line));
            }
        }
        shown
    }
}

/// The indentation that every non-blank line has.
pub fn common_indent<'a>(lines: impl IntoIterator<Item = &'a str>) -> usize {
    let indents = lines
        .into_iter()
        .filter(|line| !line.is_empty())
        .map(|line| line.len() - line.trim_start().len());
    indents.min().unwrap_or(0)
}

/// `path:anchor` as its parts.
#[must_use]
pub fn split_anchor(argument: &str) -> (&str, Option<&str>) {
    match argument.split_once(':') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (argument, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &str = "// ANCHOR: outer\na\n\n// ANCHOR: inner\n\nb\n// ANCHOR_END: inner\n// ANCHOR_END: outer\nc\n";

    #[test]
    fn anchors_nest_and_their_comments_are_not_shown() {
        let source = Source::parse("f.rs", NESTED).expect("the anchors pair up");
        let outer = source.range(Some("outer")).expect("it is there");
        let shown: Vec<&str> = source.shown(outer).into_iter().map(|(_, line)| line).collect();
        assert_eq!(shown, ["a", "", "b"]);
        assert_eq!(source.range(Some("inner")), Ok(5..6));
        assert_eq!(source.range(None), Ok(1..9));
    }

    #[test]
    fn anchors_that_do_not_pair_up_are_refused() {
        for (text, word) in [
            ("// ANCHOR: a\nx\n", "never ends"),
            ("x\n// ANCHOR_END: a\n", "never began"),
            ("// ANCHOR: a\nx\n// ANCHOR_END: a\n// ANCHOR: a\n", "second anchor"),
        ] {
            let error = Source::parse("f.rs", text).expect_err("they do not pair up");
            assert!(error.contains(word), "{error}");
        }
        let empty =
            Source::parse("f.rs", "// ANCHOR: a\n\n// ANCHOR_END: a\n").expect("they pair up");
        assert!(empty.range(Some("a")).is_err());
    }
}

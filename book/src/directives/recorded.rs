//! `{{#recorded name}}` and `{{#recorded-table name}}`: what an experiment printed when we ran it,
//! with the command, the machine and the day. Its figures differ from run to run, so no test
//! compares them; the reader repeats the command.
//!
//! `recordings/name.txt` begins with three lines, and the rest is the output as it was:
//!
//! ```text
//! $ cargo run -q -p ch99-example --example cost
//! # machine: 2 CPUs (x86_64), Linux 6.18.5, rustc 1.95.0
//! # date: 2026-11-22
//! ```
//!
//! `recordings/name.md` has the same three lines between `<!--` and `-->`, each alone on its line,
//! and then a Markdown table. `cargo run -p lab -- record` writes both.

use super::table::Table;
use super::{Directive, proof, run};
use crate::html::escape;
use crate::page::Page;
use crate::strings::fill;
use std::fs;

/// A recorded run.
#[derive(Debug, PartialEq, Eq)]
struct Recording<'a> {
    command: &'a str,
    machine: &'a str,
    date: &'a str,
    output: &'a str,
}

/// The command, what it printed, and where and when.
pub(super) fn text(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    let (file, text) = read(directive, page, "txt")?;
    Recording::parse(&text)
        .and_then(|recording| {
            let output = escape(recording.output.trim_end());
            let label = escape(&page.library.strings.recorded_output);
            figure(&recording, page, &format!(
                "<pre class=\"recorded\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><samp>{output}</samp></pre>"
            ))
        })
        .map_err(|error| format!("`{file}`: {error}"))
}

/// The same where it printed a table.
pub(super) fn table(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    let (file, text) = read(directive, page, "md")?;
    uncommented(&text)
        .and_then(|text| {
            let recording = Recording::parse(&text)?;
            let label = &page.library.strings.recorded_output;
            let table = Table::parse(recording.output)?.with_words(page, label, "figure")?;
            figure(&recording, page, &table)
        })
        .map_err(|error| format!("`{file}`: {error}"))
}

/// The name of the recording's file, and its text.
fn read(directive: &Directive, page: &Page<'_>, kind: &str) -> Result<(String, String), String> {
    directive.allow(1..=1, &[])?;
    let name = format!("{}.{kind}", directive.values[0]);
    match fs::read_to_string(page.library.places.recording(&name)) {
        Ok(text) => Ok((format!("recordings/{name}"), text)),
        Err(error) => Err(format!("`recordings/{name}` cannot be read: {error}")),
    }
}

/// What was printed, between the command and the caption.
fn figure(recording: &Recording<'_>, page: &Page<'_>, printed: &str) -> Result<String, String> {
    let command = run::command(recording.command, page)?;
    if !proof::is_of_the_workspace(recording.command) {
        let command = recording.command;
        return Err(format!("`{command}` names no package with `-p`, and no script with `bash`"));
    }
    let (date, machine) = (escape(recording.date), escape(recording.machine));
    let caption = escape(&page.library.strings.recorded);
    let caption = fill(&caption, &[("date", &date), ("machine", &machine)]);
    Ok(format!(
        "<figure class=\"recorded\">\n{command}\n{printed}\n<figcaption>{caption}</figcaption>\n</figure>"
    ))
}

impl<'a> Recording<'a> {
    /// Reads the three lines and what follows.
    fn parse(text: &'a str) -> Result<Recording<'a>, String> {
        let (command, rest) = fact(text, "$ ", "the command")?;
        let (machine, rest) = fact(rest, "# machine: ", "the machine")?;
        let (date, output) = fact(rest, "# date: ", "the date")?;
        if !is_date(date) {
            return Err(format!("`{date}` is not a date such as 2026-11-22"));
        }
        if output.trim().is_empty() {
            return Err("no output follows its three lines".to_owned());
        }
        Ok(Recording { command, machine, date, output })
    }
}

/// The value on the first line of `text`, and what follows that line.
fn fact<'a>(text: &'a str, start: &str, what: &str) -> Result<(&'a str, &'a str), String> {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    match line.strip_prefix(start).map(str::trim) {
        Some(value) if !value.is_empty() => Ok((value, rest)),
        _ => Err(format!("`{start}…` ({what}) is missing, where it says `{line}`")),
    }
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    parts.iter().map(|part| part.len()).eq([4, 2, 2]) && parts.into_iter().all(digits)
}

/// The text without the marks of the comment that it begins with.
fn uncommented(text: &str) -> Result<String, String> {
    let comment = text.strip_prefix("<!--\n").and_then(|text| text.split_once("-->\n"));
    let (facts, rest) = comment
        .ok_or("it does not begin with a comment: `<!--` and `-->`, alone on their lines")?;
    Ok(format!("{facts}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "$ cargo run -p x\n# machine: 2 CPUs\n# date: 2026-11-22\n";

    #[test]
    fn the_output_is_kept_as_it_is() {
        let text = format!("{TEXT}  1\n\n# date: 3\n");
        let recording = Recording::parse(&text).expect("it has its three lines");
        assert_eq!(recording.output, "  1\n\n# date: 3\n");
        assert_eq!((recording.command, recording.machine), ("cargo run -p x", "2 CPUs"));
        let commented = format!("<!--\n{TEXT}-->\n  1\n\n# date: 3\n");
        assert_eq!(uncommented(&commented), Ok(text));
    }

    #[test]
    fn a_date_is_eight_digits() {
        assert!(is_date("2026-11-22"));
        for bad in ["", "2026-11-2", "22-11-2026", "2026-11-22-", "2026-Nov-22", "20261122"] {
            assert!(!is_date(bad), "{bad}");
        }
    }
}

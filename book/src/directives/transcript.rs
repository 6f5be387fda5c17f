//! `{{#transcript name}}`: a dialogue with a program, as `transcripts/name.txt` records it.
//!
//! The first characters of a line say what it is: `$ ` the command, `< ` typed, `<EOF` the end of
//! what is typed, `<signal INT` a signal, `! ` standard error, `= ` the exit status, `# ` a comment
//! that is not shown; any other line is standard output. Whether the program still says this is for
//! the tests of the chapters to hold.

use super::Directive;
use crate::html::escape;
use crate::page::Page;
use crate::strings::{Strings, fill};
use std::fs;

/// The dialogue as a block.
pub(super) fn render(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=1, &[])?;
    let name = &directive.values[0];
    let text = fs::read_to_string(page.library.places.transcript(name))
        .map_err(|error| format!("transcript `{name}` cannot be read: {error}"))?;
    dialogue(&text, &page.library.strings).map_err(|error| format!("transcript `{name}`: {error}"))
}

/// The recording `text` in HTML.
fn dialogue(text: &str, strings: &Strings) -> Result<String, String> {
    for (start, what) in [("$ ", "the command"), ("= ", "the exit status")] {
        if !text.lines().any(|line| line.starts_with(start)) {
            return Err(format!("no line begins with `{start}` ({what})"));
        }
    }
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("# ")) {
        lines.push(spoken(line, strings).map_err(|error| format!("line {}: {error}", number + 1))?);
    }
    let label = escape(&strings.transcript);
    let body = lines.join("\n");
    Ok(format!(
        "<pre class=\"transcript\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><samp>{body}</samp></pre>"
    ))
}

/// What is done at the keyboard without being typed.
fn done(what: &str) -> String {
    format!("<kbd class=\"typed end\">{}</kbd>", escape(what))
}

/// One line in HTML.
fn spoken(line: &str, strings: &Strings) -> Result<String, String> {
    if line == "<EOF" {
        return Ok(done(&strings.end_of_input));
    }
    if let Some(name) = line.strip_prefix("<signal ") {
        return Ok(done(&fill(&strings.signal, &[("name", name)])));
    }
    let part = line.split_at_checked(2).unwrap_or((line, ""));
    Ok(match part {
        ("$ ", command) => {
            format!(
                "<span class=\"prompt\" aria-hidden=\"true\">$ </span><span class=\"command\">{}</span>",
                escape(command)
            )
        }
        ("< ", typed) => format!("<kbd class=\"typed\">{}</kbd>", escape(typed)),
        ("<", "") => "<kbd class=\"typed\"></kbd>".to_owned(),
        ("! ", error) => format!("<span class=\"stderr\">{}</span>", escape(error)),
        ("= ", status) => {
            let status: i32 =
                status.trim().parse().map_err(|_| format!("`{status}` is not an exit status"))?;
            format!(
                "<span class=\"status\">{}</span>",
                escape(&fill(&strings.exit_status, &[("status", &status.to_string())]))
            )
        }
        _ => format!("<span>{}</span>", escape(line)),
    })
}

//! mdBook's protocol for preprocessors, so that a plain `mdbook build` makes the same book: the
//! book as JSON in, and out again.
//!
//! Links to headings are not checked this way, since the pages are rendered by another process.

use crate::expand::Expand;
use mdbook_preprocessor::{Preprocessor, parse_input};
use std::io;

/// Whether the directives can be expanded for `renderer`.
#[must_use]
pub fn supports(renderer: &str) -> bool {
    Expand::default().supports_renderer(renderer).unwrap_or(false)
}

/// Reads a book from standard input and writes it, expanded, to standard output.
///
/// # Errors
///
/// With every problem that was found.
pub fn run() -> Result<(), String> {
    let (context, book) = parse_input(io::stdin()).map_err(|error| format!("{error:#}"))?;
    let expand = Expand::default();
    let book = expand.run(&context, book).map_err(|error| format!("{error:#}"))?;
    let problems = expand.take_outcome().problems;
    if problems.is_empty() {
        return serde_json::to_writer(io::stdout(), &book).map_err(|error| error.to_string());
    }
    Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

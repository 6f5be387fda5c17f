//! What is wrong with the book, as `page:line: message`.

use std::fmt;

/// One reason not to publish the book.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, relative to the language's folder.
    pub page: String,
    /// The line of that file as its author wrote it, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// A problem at `page:line`.
    pub fn new(page: impl Into<String>, line: usize, message: impl Into<String>) -> Problem {
        Problem { page: page.into(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.page, self.line, self.message)
    }
}

//! Recorded dialogues, held again. The book prints what a reader sees; a test runs the same
//! program, types the same lines, and compares.
//!
//! A transcript is a text file, read line by line:
//!
//! | line | meaning |
//! |---|---|
//! | `# …` | a comment; before the command only |
//! | `$ …` | the command as a reader types it (see below) |
//! | `< …` | a typed line, sent once the line before it was seen |
//! | `<EOF` | the end of the input (Ctrl-D) |
//! | `<signal INT` | a signal, as Ctrl-C sends it |
//! | `! …` | a line on standard error |
//! | `= N` | the last line: the exit status; 128 + the signal's number where a signal ended it. Without it, 0 |
//! | anything else | a line on standard output |
//!
//! The command is `cargo run [-q] -p PACKAGE [--features NAME] [--example NAME] [-- ARGS]`.
//! `printf 'TEXT' |` before it types the text and ends the input; `| head -N` after it closes the
//! output after N lines. The status is the program's, never the pipeline's.
//!
//! Lines of standard output are compared in order, and lines of standard error in order among
//! themselves, since nobody can say how two streams mix. What differs from run to run does not
//! count: the seconds of a hello, the time that an answer took, and numbers after the words
//! `process` and `pid`. Two hellos or more in a row stand for any number of hellos, two at least; a
//! hello alone stands for itself. Hellos between which only something is typed are in a row,
//! and where one of them belongs to such a group the group may be longer. Between two other lines
//! one hello more than the file shows is no mismatch: a point of the grid can fall anywhere, and a
//! test must not depend on where. That a stall gives no burst is judged by the behaviours.

mod compare;
mod drive;
mod hold;
mod parse;
mod record;

use std::fmt;
use std::path::PathBuf;

pub use hold::{hold, hold_all, hold_all_with};
pub use parse::{Command, Step, Text, Transcript};
pub use record::record;

/// Why a transcript does not hold: what its file says, and what was seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The transcript.
    pub file: PathBuf,
    /// The line of the file, counted from 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// What the file says there.
    pub expected: String,
    /// What came instead.
    pub seen: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}\n  expected: {}\n  seen:     {}",
            self.file.display(),
            self.line,
            self.expected,
            self.seen
        )
    }
}

/// As [`fmt::Display`]: a test that fails prints this form, and a person reads it.
impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Mismatch {}

//! One line of input, read as a command.

use std::fmt;

use crate::{FIB_MAX, LINE_MAX, Line};

/// What one line of input asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A natural number from 0 to [`FIB_MAX`]: answer it.
    Fib(u32),
    /// The word `exit`: end the program.
    Exit,
    /// Only white space: do nothing.
    Blank,
}

impl Command {
    /// Reads a line as a command. White space around it does not count, so that the CRLF of another
    /// platform is no error.
    ///
    /// A number is a run of the digits 0 to 9, with a `+` before it if one likes: `7`, `+7`, `007`.
    ///
    /// # Errors
    ///
    /// [`BadLine`] for everything else: `-1`, `3.0`, `1_000`, `0x10`, a number above [`FIB_MAX`],
    /// bytes that are not UTF-8, a line that was too long.
    pub fn parse(line: &Line) -> Result<Command, BadLine> {
        let Line::Whole(bytes) = line else { return Err(BadLine::TooLong) };
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        match text {
            "" => Ok(Command::Blank),
            "exit" => Ok(Command::Exit),
            _ => number(text).map(Command::Fib).ok_or_else(|| BadLine::NotANumber(text.to_owned())),
        }
    }
}

/// `u32::from_str` takes exactly the spellings we want, and no others: it is tried below, one by
/// one.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n| *n <= FIB_MAX)
}

/// A line that is no command. Its text is the line the program prints, since a mistake is part of
/// the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadLine {
    /// Not a whole number from 0 to [`FIB_MAX`]. What was typed, without the white space around it;
    /// where it was not UTF-8, with U+FFFD for what did not fit.
    NotANumber(String),
    /// More than [`LINE_MAX`] bytes before the newline. The bytes are not kept.
    TooLong,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: expected a whole number from 0 to {FIB_MAX}, got ")?;
        match self {
            // Debug, so that control characters in the input cannot move the reader's cursor.
            BadLine::NotANumber(text) => write!(f, "{text:?}"),
            BadLine::TooLong => write!(f, "a line of more than {LINE_MAX} bytes"),
        }
    }
}

impl std::error::Error for BadLine {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Command, BadLine> {
        Command::parse(&Line::Whole(text.to_vec()))
    }

    #[test]
    fn numbers() {
        let cases: [(&str, u32); 9] = [
            ("0", 0),
            ("7", 7),
            ("+7", 7),
            ("007", 7),
            ("93", 93),
            (" 7", 7),
            ("7\r", 7),
            ("\t7 \r", 7),
            ("+0", 0),
        ];
        for (text, n) in cases {
            assert_eq!(parse(text.as_bytes()), Ok(Command::Fib(n)), "{text:?}");
        }
    }

    #[test]
    fn words_and_nothing() {
        for text in ["exit", " exit ", "exit\r"] {
            assert_eq!(parse(text.as_bytes()), Ok(Command::Exit), "{text:?}");
        }
        for text in ["", " ", "\r", "\t \r"] {
            assert_eq!(parse(text.as_bytes()), Ok(Command::Blank), "{text:?}");
        }
    }

    #[test]
    fn everything_else_is_an_error_that_names_what_came() {
        let cases = [
            "-1",
            "-0",
            "3.0",
            "1_000",
            "0x10",
            "٣",
            "1e1",
            "94",
            "4294967296",
            "+",
            "+-1",
            "--1",
            "7 7",
            "EXIT",
            "exit now",
            "x",
        ];
        for text in cases {
            assert_eq!(
                parse(text.as_bytes()),
                Err(BadLine::NotANumber(text.to_owned())),
                "{text:?}"
            );
        }
        let error = parse(b" x ").map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err(r#"error: expected a whole number from 0 to 93, got "x""#.to_owned())
        );
    }

    #[test]
    fn what_is_not_utf_8_is_an_error_and_is_shown_harmlessly() {
        let error = parse(b"\xff7").map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("error: expected a whole number from 0 to 93, got \"\u{fffd}7\"".to_owned())
        );
        let error = parse(b"\x1b[2J").map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err(r#"error: expected a whole number from 0 to 93, got "\u{1b}[2J""#.to_owned())
        );
    }

    #[test]
    fn a_line_that_was_too_long_says_so() {
        let error = Command::parse(&Line::TooLong).map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("error: expected a whole number from 0 to 93, got a line of more than 1024 bytes"
                .to_owned())
        );
    }
}

//! Bytes in, lines out.
//!
//! A read returns bytes, and a newline may lie anywhere in them: half a line, three lines, two and
//! a half. [`Lines`] keeps what has come and gives out whole lines. It holds at most [`LINE_MAX`]
//! bytes of an unfinished line beside the bytes of the last push, however long the sender goes on
//! without a newline, and it looks at each byte once.

use std::collections::VecDeque;

/// The longest line that is kept, in bytes without its newline. The longest useful one has 4.
pub const LINE_MAX: usize = 1024;

/// One line of input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The bytes before the newline.
    Whole(Vec<u8>),
    /// There were more than [`LINE_MAX`] of them. They are gone.
    TooLong,
}

/// Cuts bytes into lines.
///
/// ```
/// use fib_timing::{Line, Lines};
///
/// let mut lines = Lines::new();
/// lines.push(b"1");
/// assert_eq!(lines.next(), None); // half a line is no line
/// lines.push(b"0\n20\n3");
/// assert_eq!(lines.next(), Some(Line::Whole(b"10".to_vec())));
/// assert_eq!(lines.next(), Some(Line::Whole(b"20".to_vec())));
/// assert_eq!(lines.next(), None);
/// lines.end(); // the input is at its end: what stands there is the last line
/// assert_eq!(lines.next(), Some(Line::Whole(b"3".to_vec())));
/// ```
#[derive(Debug, Default)]
pub struct Lines {
    /// Whole lines that nobody has asked for yet.
    ready: VecDeque<Line>,
    /// The line that has not met its newline yet.
    partial: Vec<u8>,
    /// More than [`LINE_MAX`] bytes came without a newline: the rest of this line is dropped.
    too_long: bool,
}

impl Lines {
    /// No bytes yet.
    pub fn new() -> Lines {
        Lines::default()
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(rest) => {
                    self.extend(rest);
                    self.finish();
                }
                None => self.extend(piece),
            }
        }
    }

    /// The input is at its end. A last line without a newline is a line; no bytes after the last
    /// newline are none.
    pub fn end(&mut self) {
        if self.too_long || !self.partial.is_empty() {
            self.finish();
        }
    }

    fn extend(&mut self, piece: &[u8]) {
        if self.too_long || self.partial.len() + piece.len() > LINE_MAX {
            self.too_long = true;
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(piece);
        }
    }

    fn finish(&mut self) {
        let bytes = std::mem::take(&mut self.partial);
        let too_long = std::mem::take(&mut self.too_long);
        self.ready.push_back(if too_long { Line::TooLong } else { Line::Whole(bytes) });
    }
}

/// The whole lines that have come and were not yet taken. `None` means "not yet": after the next
/// push there may be more.
impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn every_split_of_a_dialogue_gives_the_same_lines() {
        let text = b"10\r\n\n30\nlast";
        let expected = [whole("10\r"), whole(""), whole("30"), whole("last")];
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut lines = Lines::new();
                lines.push(&text[..first]);
                lines.push(&text[first..second]);
                lines.push(&text[second..]);
                lines.end();
                assert!(lines.by_ref().eq(expected.clone()), "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn the_end_after_a_newline_is_no_line() {
        let mut lines = Lines::new();
        lines.push(b"7\n");
        lines.end();
        assert!(lines.eq([whole("7")]));
        let mut nothing = Lines::new();
        nothing.end();
        assert_eq!(nothing.next(), None);
    }

    #[test]
    fn a_line_of_the_limit_is_kept_and_one_byte_more_is_not() {
        let longest = "x".repeat(LINE_MAX);
        let mut lines = Lines::new();
        lines.push(format!("{longest}\n{longest}y\n7\n").as_bytes());
        assert!(lines.eq([whole(&longest), Line::TooLong, whole("7")]));
    }

    #[test]
    fn endless_input_without_a_newline_takes_no_memory_and_one_error() {
        let mut lines = Lines::new();
        for _ in 0..1_000 {
            lines.push(&[b'x'; 64 * 1024]);
            assert!(lines.partial.capacity() <= 2 * LINE_MAX);
        }
        assert_eq!(lines.next(), None);
        lines.push(b"\n7\n");
        assert!(lines.by_ref().eq([Line::TooLong, whole("7")]));
        lines.push(&[b'x'; 2 * LINE_MAX]);
        lines.end();
        assert!(lines.eq([Line::TooLong]));
    }
}

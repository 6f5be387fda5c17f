//! Blocking: the program asks for a line, and is off the CPU until it has one.

use std::io::{self, BufRead, ErrorKind};

use fib_timing::{Line, Lines};

// ANCHOR: data
/// The lines of an input, one at a time.
#[derive(Debug)]
pub(crate) struct LineReader<R> {
    input: R,
    lines: Lines,
    /// The input said that it is at its end. A terminal can be asked again after that; we do not.
    ended: bool,
}

impl<R: BufRead> LineReader<R> {
    pub(crate) fn new(input: R) -> LineReader<R> {
        LineReader { input, lines: Lines::new(), ended: false }
    }
    // ANCHOR_END: data

    // ANCHOR: next_line
    /// The next line, or `None` at the end of the input. Does not return before there is one of
    /// them.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line>> {
        while !self.ended {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            self.fill()?;
        }
        Ok(self.lines.next())
    }
    // ANCHOR_END: next_line

    // ANCHOR: fill
    /// Blocks until the kernel has bytes for us, or knows that none will come.
    fn fill(&mut self) -> io::Result<()> {
        match self.input.fill_buf() {
            Ok([]) => {
                self.lines.end();
                self.ended = true;
            }
            Ok(bytes) => {
                let read = bytes.len();
                self.lines.push(bytes);
                self.input.consume(read);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {} // by a signal: wait again
            Err(error) => return Err(error),
        }
        Ok(())
    }
    // ANCHOR_END: fill
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// An input that is interrupted by a signal before every byte.
    struct Interrupted {
        bytes: &'static [u8],
        signal: bool,
    }

    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.signal = !self.signal;
            if self.signal {
                return Err(ErrorKind::Interrupted.into());
            }
            let length = buffer.len().min(1);
            self.bytes.read(&mut buffer[..length])
        }
    }

    #[test]
    fn a_signal_between_two_bytes_loses_nothing() {
        let input = Interrupted { bytes: b"10\n20", signal: false };
        let mut lines = LineReader::new(BufReader::new(input));
        let mut next = || lines.next_line().expect("nothing but signals goes wrong here");
        assert_eq!(next(), Some(Line::Whole(b"10".to_vec())));
        assert_eq!(next(), Some(Line::Whole(b"20".to_vec())));
        assert_eq!(next(), None);
        assert_eq!(next(), None);
    }
}

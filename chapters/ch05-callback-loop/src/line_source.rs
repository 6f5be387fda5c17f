//! Lines from a descriptor that is read only when it is ready.
//!
//! One read(2) a readiness. A second one could block, because the kernel promised nothing about it;
//! and a `BufRead::read_line` would read on until it has a line, and put lines 2 and 3 into a
//! buffer that the kernel, and therefore poll(2), knows nothing about.

use std::io;
use std::os::fd::AsFd;

use fib_timing::{Line, Lines};
use rustix::io::{Errno, read};

// ANCHOR: chunk
/// How much one read takes at most. Larger ones win little: a line has a few bytes.
const CHUNK: usize = 4096;
// ANCHOR_END: chunk

// ANCHOR: what_next
/// What there is to take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A line.
    Line(Line),
    /// None yet. When the descriptor is ready, read, and look again.
    NotYet,
    /// None, and there will be none.
    End,
}
// ANCHOR_END: what_next

// ANCHOR: line_source
/// A descriptor, and the lines that were read from it.
#[derive(Debug)]
pub(crate) struct LineSource<R> {
    input: R,
    lines: Lines,
    /// The input said that it is at its end. A terminal can be asked again after that; we do not.
    ended: bool,
}

impl<R: AsFd> LineSource<R> {
    pub(crate) fn new(input: R) -> LineSource<R> {
        LineSource { input, lines: Lines::new(), ended: false }
    }
    // ANCHOR_END: line_source

    // ANCHOR: next
    /// The next line that was already read. Never blocks.
    pub(crate) fn next_line(&mut self) -> Next {
        match self.lines.next() {
            Some(line) => Next::Line(line),
            None if self.ended => Next::End,
            None => Next::NotYet,
        }
    }
    // ANCHOR_END: next

    // ANCHOR: read_once
    /// Reads once. To be called when the descriptor is ready: then it does not block.
    ///
    /// We do not make the descriptor non-blocking, which would seem to be safer: that is a property
    /// of the open file, which a terminal shares with the shell and with our own standard output.
    pub(crate) fn read_once(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        match read(&self.input, &mut chunk) {
            Ok(0) => {
                self.lines.end();
                self.ended = true;
            }
            Ok(length) => self.lines.push(&chunk[..length]),
            // The report was outdated, or a signal came first: the selector will tell again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
    // ANCHOR_END: read_once
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(text: &str) -> Next {
        Next::Line(Line::Whole(text.as_bytes().to_vec()))
    }

    #[test]
    fn one_read_may_give_several_lines_and_half_a_line() {
        let (reader, mut writer) = io::pipe().expect("two descriptors are free");
        let mut source = LineSource::new(reader);
        writer.write_all(b"10\n20\n3").expect("the pipe is empty");
        assert_eq!(source.next_line(), Next::NotYet);
        source.read_once().expect("there is something to read");
        assert_eq!([source.next_line(), source.next_line()], [line("10"), line("20")]);
        assert_eq!(source.next_line(), Next::NotYet);
        drop(writer);
        source.read_once().expect("the end is there to read");
        assert_eq!([source.next_line(), source.next_line()], [line("3"), Next::End]);
    }

    #[test]
    fn a_descriptor_that_somebody_made_non_blocking_is_no_error() {
        let (reader, _writer) = io::pipe().expect("two descriptors are free");
        rustix::io::ioctl_fionbio(&reader, true).expect("a pipe can be made non-blocking");
        let mut source = LineSource::new(reader);
        source.read_once().expect("nothing to read is no error");
        assert_eq!(source.next_line(), Next::NotYet);
    }
}

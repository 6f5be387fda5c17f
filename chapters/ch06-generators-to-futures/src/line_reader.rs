//! Waiting for a line: the program asks for one, and stands still until it has one. Its thread does
//! not: meanwhile it does something else.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use fib_timing::{Line, Lines};
use rustix::io::{Errno, read};

use crate::future::{readable, yield_now};

/// How much one read takes at most. Larger ones win little: a line has a few bytes.
const CHUNK: usize = 4096;

// ANCHOR: data
/// The lines of an input, one at a time.
#[derive(Debug)]
pub(crate) struct LineReader {
    input: Rc<OwnedFd>,
    lines: Lines,
    /// The input said that it is at its end. A terminal can be asked again after that; we do not.
    ended: bool,
}

impl LineReader {
    /// Duplicates the descriptor, once: the reactor keeps what it waits for, and cannot keep what
    /// is only lent. Both are the same open file.
    pub(crate) fn new(input: impl AsFd) -> io::Result<LineReader> {
        let input = Rc::new(input.as_fd().try_clone_to_owned()?);
        Ok(LineReader { input, lines: Lines::new(), ended: false })
    }
    // ANCHOR_END: data

    // ANCHOR: next_line
    /// The next line, or `None` at the end of the input. Is not ready before there is one of them.
    ///
    /// Each line costs at least one turn, also one that was read already. If you await something
    /// that is ready, nobody else gets a turn: ten pasted lines would be answered in one poll, and
    /// a hello that fell due meanwhile would be said after the tenth.
    pub(crate) async fn next_line(&mut self) -> io::Result<Option<Line>> {
        yield_now().await;
        while !self.ended {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            self.fill().await?;
        }
        Ok(self.lines.next())
    }
    // ANCHOR_END: next_line

    // ANCHOR: fill
    /// Waits until the kernel has bytes for us, or knows that none will come; then reads once. A
    /// second read could block, because the kernel promised nothing about it.
    ///
    /// We do not make the descriptor non-blocking, which would seem to be safer: that is a property
    /// of the open file, which a terminal shares with the shell and with our own standard output.
    async fn fill(&mut self) -> io::Result<()> {
        readable(&self.input).await;
        let mut chunk = [0; CHUNK]; // only after the await: before it, it would lie in the future
        match read(&self.input, &mut chunk) {
            Ok(0) => {
                self.lines.end();
                self.ended = true;
            }
            Ok(length) => self.lines.push(&chunk[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {} // outdated, or a signal came first: wait again
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
    // ANCHOR_END: fill
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::block_on;
    use crate::future::{Either, join, select};
    use crate::patience::within_patience;

    fn line(text: &str) -> Option<Line> {
        Some(Line::Whole(text.as_bytes().to_vec()))
    }

    fn wait<T>(future: impl Future<Output = io::Result<T>>) -> T {
        block_on(future).and_then(|result| result).expect("a pipe can be polled and read")
    }

    #[test]
    fn a_line_may_come_in_pieces_and_the_last_one_without_its_newline() {
        let (reader, mut writer) = io::pipe().expect("two descriptors are free");
        let mut lines = LineReader::new(&reader).expect("a descriptor is free");
        for piece in ["1", "0\n2", "0", "\n\n3"] {
            writer.write_all(piece.as_bytes()).expect("the pipe is empty");
            wait(lines.fill());
        }
        drop(writer);
        let mut next = || wait(lines.next_line());
        assert_eq!([next(), next(), next(), next()], [line("10"), line("20"), line(""), line("3")]);
        assert_eq!([next(), next()], [None, None]);
    }

    /// It is dropped at its first poll, or at its second, and so on, wherever it stands then.
    #[test]
    fn a_wait_for_a_line_that_is_dropped_in_the_middle_loses_no_line() {
        let mut dropped = 0;
        for polls in 0..6 {
            let (reader, mut writer) = io::pipe().expect("two descriptors are free");
            let mut lines = LineReader::new(&reader).expect("a descriptor is free");
            writer.write_all(b"10\n20\n").expect("the pipe is empty");
            drop(writer);
            let others = async {
                for _ in 0..polls {
                    yield_now().await;
                }
            };
            let mut all = Vec::new();
            match block_on(select(lines.next_line(), others)).expect("a pipe can be polled") {
                Either::Left(line) => all.extend(line.expect("a pipe can be read")),
                Either::Right(()) => dropped += 1,
            }
            while let Some(line) = wait(lines.next_line()) {
                all.push(line);
            }
            let expected = [line("10"), line("20")].map(|line| line.expect("it is one"));
            assert_eq!(all, expected, "dropped at poll {}", polls + 1);
        }
        assert_eq!(dropped, 2, "where it yields, and where it waits for the kernel");
    }

    /// Somebody else, with a duplicate of the descriptor, reads what both were told about.
    #[test]
    fn an_outdated_readiness_of_a_non_blocking_descriptor_is_no_error() {
        within_patience(|| {
            let (reader, mut writer) = io::pipe().expect("two descriptors are free");
            rustix::io::ioctl_fionbio(&reader, true).expect("a pipe can be made non-blocking");
            let mut lines = LineReader::new(&reader).expect("a descriptor is free");
            writer.write_all(b"x").expect("the pipe is empty");
            let descriptor = Rc::clone(&lines.input);
            let thief = async {
                readable(&descriptor).await;
                read(&*descriptor, &mut [0; 1]).expect("it is ready")
            };
            let (stolen, filled) =
                block_on(join(thief, lines.fill())).expect("a pipe can be polled");
            filled.expect("nothing to read is no error");
            assert_eq!((stolen, lines.lines.next()), (1, None));
        });
    }
}

//! Lines from an input that a thread reads.

use std::io::{self, Read};

use fib_timing::{Line, Lines};

use crate::runtime::{ThreadReader, yield_now};

// ANCHOR: line_reader
/// An input, and the lines that were read from it.
#[derive(Debug)]
pub(crate) struct LineReader {
    input: ThreadReader,
    lines: Lines,
    ended: bool,
}

impl LineReader {
    pub(crate) fn new(input: impl Read + Send + 'static) -> io::Result<LineReader> {
        Ok(LineReader { input: ThreadReader::new(input)?, lines: Lines::new(), ended: false })
    }

    /// Waits for the next line. `None` is the end. Dropped before it is ready, it has lost nothing.
    pub(crate) async fn next_line(&mut self) -> io::Result<Option<Line>> {
        // Awaiting what is ready yields to nobody, and the next line may have been read long ago. A
        // hello that was woken while the last answer was written goes before it.
        yield_now().await;
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let chunk = self.input.read().await?;
            self.lines.push(&chunk);
            if chunk.is_empty() {
                self.lines.end();
                self.ended = true;
            }
        }
    }
}
// ANCHOR_END: line_reader

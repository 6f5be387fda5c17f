//! What blocks, on threads of the program's own: reading, and writing.

use std::io::{self, Read, Write};
use std::thread;

use async_std::channel::{Receiver, Sender, bounded};
use fib_timing::{Line, Lines};

/// How much one read takes at most, in bytes.
const CHUNK: usize = 4096;

// ANCHOR: line_reader
/// An input, and the lines that were read from it.
#[derive(Debug)]
pub(crate) struct LineReader {
    chunks: Receiver<io::Result<Vec<u8>>>,
    lines: Lines,
    ended: bool,
}

impl LineReader {
    /// Starts a thread that reads `input`, at most two chunks ahead: one in the channel, and one
    /// that waits for room there.
    pub(crate) fn new(mut input: impl Read + Send + 'static) -> io::Result<LineReader> {
        let (sender, chunks) = bounded(1);
        thread::Builder::new().name(String::from("reader")).spawn(move || {
            let mut buffer = [0; CHUNK];
            loop {
                let chunk = match input.read(&mut buffer) {
                    Ok(length) => Ok(buffer[..length].to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let last = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
                if sender.send_blocking(chunk).is_err() || last {
                    break;
                }
            }
        })?;
        Ok(LineReader { chunks, lines: Lines::new(), ended: false })
    }

    /// Waits for the next line. `None` is the end. Dropped before it is ready, it has lost nothing.
    pub(crate) async fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let chunk = self.chunks.recv().await.unwrap_or_else(|_| Err(ended("reads")))?;
            self.lines.push(&chunk);
            if chunk.is_empty() {
                self.lines.end();
                self.ended = true;
            }
        }
    }
}
// ANCHOR_END: line_reader

// ANCHOR: writer
/// The right to have something written. It can be cloned.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    orders: Sender<Order>,
}

/// What is to be written, and whom to tell how that went.
struct Order {
    text: String,
    done: Sender<io::Result<()>>,
}

impl Writer {
    pub(crate) fn new(mut output: impl Write + Send + 'static) -> io::Result<Writer> {
        let (orders, received) = bounded::<Order>(1); // who finds it full waits
        thread::Builder::new().name(String::from("writer")).spawn(move || {
            while let Ok(order) = received.recv_blocking() {
                let written = output.write_all(order.text.as_bytes());
                // A task that was cancelled meanwhile does not want to know.
                let _ = order.done.try_send(written.and_then(|()| output.flush()));
            }
        })?;
        Ok(Writer { orders })
    }

    /// Waits until `text` is written, in one write.
    pub(crate) async fn write(&self, text: String) -> io::Result<()> {
        let (done, written) = bounded(1);
        self.orders.send(Order { text, done }).await.map_err(|_| ended("writes"))?;
        written.recv().await.unwrap_or_else(|_| Err(ended("writes")))
    }
}
// ANCHOR_END: writer

fn ended(what: &str) -> io::Error {
    io::Error::other(format!("the thread that {what} has ended"))
}

//! What blocks, on threads of the program's own: reading, and writing.

use std::io::{self, Read, Write};
use std::thread;

use fib_timing::{Line, Lines};
use tokio::io::{AsyncReadExt, Stdin};
use tokio::sync::{mpsc, oneshot};

/// How much one read takes at most, in bytes.
const CHUNK: usize = 4096;

// ANCHOR: line_reader
/// An input, and the lines that were read from it.
#[derive(Debug)]
pub(crate) struct LineReader {
    input: Input,
    lines: Lines,
    ended: bool,
}

/// Who reads it.
#[derive(Debug)]
enum Input {
    /// A thread of the program's own. A read that nobody wants any more ends with the process.
    Thread(mpsc::Receiver<io::Result<Vec<u8>>>),
    /// A thread of the runtime's pool. A read is begun when a line is waited for, and the runtime
    /// waits for its end when it is dropped.
    Tokio(Stdin),
}

impl LineReader {
    /// Starts a thread that reads `input`, at most two chunks ahead: one in the channel, and one
    /// that waits for room there.
    pub(crate) fn new(mut input: impl Read + Send + 'static) -> io::Result<LineReader> {
        let (sender, chunks) = mpsc::channel(1);
        thread::Builder::new().name(String::from("reader")).spawn(move || {
            let mut buffer = [0; CHUNK];
            loop {
                let chunk = match input.read(&mut buffer) {
                    Ok(length) => Ok(buffer[..length].to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let last = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
                if sender.blocking_send(chunk).is_err() || last {
                    break;
                }
            }
        })?;
        Ok(LineReader::of(Input::Thread(chunks)))
    }

    pub(crate) fn of_tokio() -> LineReader {
        LineReader::of(Input::Tokio(tokio::io::stdin()))
    }

    fn of(input: Input) -> LineReader {
        LineReader { input, lines: Lines::new(), ended: false }
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
            let chunk = self.input.read().await?;
            self.lines.push(&chunk);
            if chunk.is_empty() {
                self.lines.end();
                self.ended = true;
            }
        }
    }
}

impl Input {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Input::Thread(chunks) => chunks.recv().await.unwrap_or_else(|| Err(ended("reads"))),
            Input::Tokio(stdin) => {
                let mut chunk = vec![0; CHUNK];
                let length = stdin.read(&mut chunk).await?;
                chunk.truncate(length);
                Ok(chunk)
            }
        }
    }
}
// ANCHOR_END: line_reader

// ANCHOR: writer
/// The right to have something written. It can be cloned.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    orders: mpsc::Sender<Order>,
}

/// What is to be written, and whom to tell how that went.
struct Order {
    text: String,
    done: oneshot::Sender<io::Result<()>>,
}

impl Writer {
    pub(crate) fn new(mut output: impl Write + Send + 'static) -> io::Result<Writer> {
        let (orders, mut received) = mpsc::channel::<Order>(1); // who finds it full waits, in order
        thread::Builder::new().name(String::from("writer")).spawn(move || {
            while let Some(order) = received.blocking_recv() {
                let written = output.write_all(order.text.as_bytes());
                // A task that was cancelled meanwhile does not want to know.
                let _ = order.done.send(written.and_then(|()| output.flush()));
            }
        })?;
        Ok(Writer { orders })
    }

    /// Waits until `text` is written, in one write.
    pub(crate) async fn write(&self, text: String) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.orders.send(Order { text, done }).await.map_err(|_| ended("writes"))?;
        written.await.unwrap_or_else(|_| Err(ended("writes")))
    }

    /// The same, for a thread of the pool, which may block.
    pub(crate) fn blocking_write(&self, text: String) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.orders.blocking_send(Order { text, done }).map_err(|_| ended("writes"))?;
        written.blocking_recv().unwrap_or_else(|_| Err(ended("writes")))
    }
}
// ANCHOR_END: writer

fn ended(what: &str) -> io::Error {
    io::Error::other(format!("the thread that {what} has ended"))
}

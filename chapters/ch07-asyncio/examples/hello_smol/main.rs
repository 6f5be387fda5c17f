//! The running program on smol, which is small parts put together.
//!
//! There is no runtime to start, and none to drop. `block_on` polls one future on this thread, and
//! waits for timers and descriptors between two polls. While it cannot, a thread of `async-io` does
//! so. A pool is there for what blocks. `Unblock` gives it reading and writing, so no thread is
//! started in this text.
//!
//! `hellos` and `answers` are those of `src/lib.rs`, but for the names. They need not be tasks:
//! `future::or` polls one and then the other. So they may borrow, and nothing but what goes to the
//! pool has to be `'static`.
//!
//! With `--offload` the answers are computed on the pool, and each question is a task of a
//! `LocalExecutor`. Predict which of the two ways needs `Send`.
//!
//! `cargo run -p ch07-asyncio --features smol --example hello_smol`

#![forbid(unsafe_code)]

mod offload;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io::{self, LineWriter, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use command_line::Extra;
use fib_timing::{Command, Line, Lines, answer, fib, hello, next_point, timed};
use smol::future::{or, yield_now};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Mutex;
use smol::{Timer, Unblock};

use offload::run_offloaded;

fn main() -> ExitCode {
    command_line::main("hello_smol", &[Extra::Offload, Extra::Workers], |options| {
        let (input, output, every) = (io::stdin(), io::stdout(), options.every);
        if options.offload {
            run_offloaded(input, output, every, fib, options.workers)
        } else {
            run(input, output, every, fib)
        }
    })
}

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, on one thread.
fn run(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    let start = Instant::now();
    smol::block_on(async {
        let output = lines_to(output);
        let input = LineReader::new(input);
        say(&output, hello(SystemTime::now())).await?;
        or(hellos(&output, start, period), answers(input, &output, compute)).await
    })
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise: sleeps until the next hello is due, and says it.
async fn hellos(
    output: &Output<impl Write + Send + 'static>,
    start: Instant,
    period: Duration,
) -> io::Result<()> {
    loop {
        Timer::at(next_point(start, period, Instant::now())).await;
        say(output, hello(SystemTime::now())).await?;
    }
}
// ANCHOR_END: hellos

// ANCHOR: answers
/// The second promise: waits for each line and answers it. Returns when there is nothing more to
/// answer.
async fn answers(
    mut input: LineReader<impl Read + Send + 'static>,
    output: &Output<impl Write + Send + 'static>,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    while let Some(line) = input.next_line().await? {
        match Command::parse(&line) {
            Ok(Command::Blank) => {}
            Ok(Command::Exit) => break,
            Ok(Command::Fib(n)) => say(output, answer(n, timed(|| compute(n)))).await?,
            Err(error) => say(output, error).await?,
        }
        yield_now().await; // a hello that fell due meanwhile goes before the next line
    }
    Ok(())
}
// ANCHOR_END: answers

// ANCHOR: say
/// What the pool writes. The lock is smol's own: who finds it taken waits as a task, and the thread
/// goes on. It is held across an `.await`, until the line is written.
type Output<W> = Mutex<Unblock<LineWriter<W>>>;

/// `Unblock` gives the pool the bytes of a line in more than one piece. `LineWriter` makes one
/// write of them again.
fn lines_to<W: Write + Send + 'static>(output: W) -> Output<W> {
    Mutex::new(Unblock::new(LineWriter::new(output)))
}

/// One line, in one write, and a flush.
async fn say(output: &Output<impl Write + Send + 'static>, line: impl Display) -> io::Result<()> {
    let mut output = output.lock().await;
    output.write_all(format!("{line}\n").as_bytes()).await?;
    output.flush().await
}
// ANCHOR_END: say

// ANCHOR: line_reader
/// How many bytes the pool may read ahead. `Unblock` on its own would take 8 MiB.
const READ_AHEAD: usize = 4096;

/// An input, and the lines that were read from it.
struct LineReader<R> {
    input: Unblock<R>,
    lines: Lines,
    ended: bool,
}

impl<R: Read + Send + 'static> LineReader<R> {
    fn new(input: R) -> LineReader<R> {
        let input = Unblock::with_capacity(READ_AHEAD, input);
        LineReader { input, lines: Lines::new(), ended: false }
    }

    /// Waits for the next line. `None` is the end. Dropped before it is ready, it has lost nothing.
    async fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut chunk = [0; READ_AHEAD];
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let length = self.input.read(&mut chunk).await?;
            self.lines.push(&chunk[..length]);
            if length == 0 {
                self.lines.end();
                self.ended = true;
            }
        }
    }
}
// ANCHOR_END: line_reader

//! A runtime of your own.
//!
//! Each promise is a task. The text below is chapter 2's, with `.await` in it; what was a thread is
//! a task, and what was the kernel is a runtime that one can read in an evening (`runtime`). It
//! polls all tasks on one thread. What would block that thread, reading standard input and writing
//! standard output, is done by two others.

#![forbid(unsafe_code)]

mod line_reader;
#[cfg(all(doctest, feature = "tokio"))]
mod must_not_compile;
mod offload;
pub mod runtime;
pub mod step1;
mod tasks;
mod writer;

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, answer, hello, next_point, timed};
use line_reader::LineReader;
use runtime::{Runtime, sleep_until};
use tasks::first_to_end;
use writer::Writer;

pub use offload::{PENDING_MAX, run_offloaded};

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, until the input ends
/// or a line says `exit`.
///
/// The threads that read and write may still be blocked when this returns; they end with the
/// process, or when their own wait does.
///
/// # Errors
///
/// What reading `input` or writing `output` returns, [`io::ErrorKind::BrokenPipe`] included.
pub fn run(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + 'static,
) -> io::Result<()> {
    let start = Instant::now();
    Runtime::new()?.block_on(async {
        let output = Writer::new(output)?;
        let input = LineReader::new(input)?;
        say(&output, hello(SystemTime::now())).await?;
        let hello_output = output.clone();
        first_to_end(async move { hellos(&hello_output, start, period).await }, async move {
            answers(input, &output, compute).await
        })
        .await
    })
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise: sleeps until the next hello is due, and says it.
async fn hellos(output: &Writer, start: Instant, period: Duration) -> io::Result<()> {
    loop {
        sleep_until(next_point(start, period, Instant::now())).await;
        say(output, hello(SystemTime::now())).await?;
    }
}
// ANCHOR_END: hellos

// ANCHOR: answers
/// The second promise: waits for each line and answers it. Returns when there is nothing more to
/// answer.
async fn answers(
    mut input: LineReader,
    output: &Writer,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    while let Some(line) = input.next_line().await? {
        match Command::parse(&line) {
            Ok(Command::Blank) => {}
            Ok(Command::Exit) => break,
            Ok(Command::Fib(n)) => say(output, answer(n, timed(|| compute(n)))).await?,
            Err(error) => say(output, error).await?,
        }
    }
    Ok(())
}
// ANCHOR_END: answers

// ANCHOR: say
/// One line, in one write, and a flush, by the thread that writes. Returns when it is written, so
/// a task that says something to a full pipe waits; the others do not.
async fn say(output: &Writer, line: impl Display) -> io::Result<()> {
    output.write(format!("{line}\n")).await
}
// ANCHOR_END: say

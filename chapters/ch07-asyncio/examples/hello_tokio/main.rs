//! The running program on tokio, whose names our runtime has.
//!
//! `hellos` and `answers` are those of `src/lib.rs`, nearly line for line. What differs is what
//! tokio asks for: a task must be `Send`, also where one thread polls all of them.
//!
//! - Without options, one thread polls every task and computes every answer.
//! - `--multi-thread`: `--workers` threads poll the tasks, and an answer is computed by whichever
//!   of them polls its task. Predict how many slow answers it takes to stop the hellos.
//! - `--offload`: answers are computed on the pool for blocking work.
//! - `--tokio-stdin`: reads with `tokio::io::stdin()`, whose reads block a thread of the runtime's
//!   pool. `exit` ends the program all the same, since nobody reads on after it. But add
//!   `| head -1`, type nothing, and predict when it ends, with this option and without.
//!
//! `cargo run -p ch07-asyncio --features tokio --example hello_tokio -- --multi-thread`

#![forbid(unsafe_code)]

mod beside;
mod threads;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::future::poll_fn;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use command_line::Extra;
use fib_timing::{Command, answer, fib, hello, next_point, timed};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn;
use tokio::time::sleep_until;

use beside::{Beside, run_beside};
use threads::{LineReader, Writer};

fn main() -> ExitCode {
    let extras = [Extra::Offload, Extra::Workers, Extra::MultiThread, Extra::TokioStdin];
    command_line::main("hello_tokio", &extras, |options| {
        let input = match options.tokio_stdin {
            true => LineReader::of_tokio(),
            false => LineReader::new(io::stdin())?,
        };
        let (output, every, workers) = (io::stdout(), options.every, options.workers);
        if options.offload || options.multi_thread {
            let (multi_thread, offload) = (options.multi_thread, options.offload);
            run_beside(input, output, every, fib, Beside { multi_thread, offload, workers })
        } else {
            run(input, output, every, fib)
        }
    })
}

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, on one thread.
///
/// At its end it drops the runtime, which waits for what the pool still does. That is nothing, but
/// where tokio reads: whoever stops waiting for a line does not stop the read, so the runtime waits
/// for that line, or for the end of the input.
fn run(
    input: LineReader,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + Send + 'static,
) -> io::Result<()> {
    let start = Instant::now();
    one_thread()?.block_on(async {
        let output = Writer::new(output)?;
        say(&output, hello(SystemTime::now())).await?;
        let hello_output = output.clone();
        first_to_end(async move { hellos(&hello_output, start, period).await }, async move {
            answers(input, &output, compute).await
        })
        .await
    })
}

fn one_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise: sleeps until the next hello is due, and says it.
async fn hellos(output: &Writer, start: Instant, period: Duration) -> io::Result<()> {
    loop {
        sleep_until(next_point(start, period, Instant::now()).into()).await;
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
/// One line, in one write, and a flush, by the thread that writes.
async fn say(output: &Writer, line: impl Display) -> io::Result<()> {
    output.write(format!("{line}\n")).await
}
// ANCHOR_END: say

// ANCHOR: first_to_end
/// Runs both as tasks of their own, and returns what the first of them to end returns. The other
/// one is cancelled.
///
/// # Panics
///
/// When the first to end panicked: with its panic.
async fn first_to_end(
    one: impl Future<Output = io::Result<()>> + Send + 'static,
    other: impl Future<Output = io::Result<()>> + Send + 'static,
) -> io::Result<()> {
    let (mut one, mut other) = (spawn(one), spawn(other));
    let first = poll_fn(|cx| match Pin::new(&mut one).poll(cx) {
        Poll::Pending => Pin::new(&mut other).poll(cx),
        ended => ended,
    });
    let result = first.await;
    one.abort();
    other.abort();
    result.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(cancelled) => Err(cancelled.into()),
    })
}
// ANCHOR_END: first_to_end

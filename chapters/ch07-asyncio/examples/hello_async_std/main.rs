//! The running program on async-std. New programs should not begin with it: it is discontinued
//! since March 2025 (RUSTSEC-2025-0052), and its users are pointed to smol, on whose parts it
//! stands.
//!
//! Its executor belongs to the whole process and has a thread for each core. The first use starts
//! it, and only the end of the process ends it. Each question is a task. Without options an answer
//! is computed by whichever of those threads polls its task. Predict what happens to the hellos
//! when there are as many slow answers as cores.
//!
//! With `--offload` the answers are computed on the pool for blocking work, `--workers` at once.
//!
//! `cargo run -p ch07-asyncio --features async-std --example hello_async_std`

#![forbid(unsafe_code)]

mod questions;
mod threads;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use async_std::channel::bounded;
use async_std::task::{block_on, sleep, spawn};
use command_line::Extra;
use fib_timing::{fib, hello, next_point};

use questions::{Questions, questions_and_answers};
use threads::{LineReader, Writer};

fn main() -> ExitCode {
    command_line::main("hello_async_std", &[Extra::Offload, Extra::Workers], |options| {
        let pool = options.offload.then_some(options.workers);
        run(io::stdin(), io::stdout(), options.every, fib, pool)
    })
}

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`: so many at once on
/// the pool, or on the threads that poll.
fn run(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + Send + Sync + 'static,
    pool: Option<NonZero<usize>>,
) -> io::Result<()> {
    let start = Instant::now();
    block_on(async {
        let output = Writer::new(output)?;
        let input = LineReader::new(input)?;
        say(&output, hello(SystemTime::now())).await?;
        let hello_output = output.clone();
        let (failed, failure) = bounded(1);
        let questions = Arc::new(Questions::new(compute, failed, pool));
        first_to_end(
            async move { hellos(&hello_output, start, period).await },
            first_to_end(questions_and_answers(input, output, questions), async move {
                failure.recv().await.map_or(Ok(()), Err)
            }),
        )
        .await
    })
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise: sleeps until the next hello is due, and says it.
async fn hellos(output: &Writer, start: Instant, period: Duration) -> io::Result<()> {
    loop {
        let now = Instant::now();
        sleep(next_point(start, period, now).duration_since(now)).await;
        say(output, hello(SystemTime::now())).await?;
    }
}
// ANCHOR_END: hellos

// ANCHOR: say
/// One line, in one write, and a flush, by the thread that writes.
async fn say(output: &Writer, line: impl Display) -> io::Result<()> {
    output.write(format!("{line}\n")).await
}
// ANCHOR_END: say

// ANCHOR: first_to_end
/// Runs both as tasks of their own, and returns what the first of them to end returns. The other
/// one is cancelled.
async fn first_to_end(
    one: impl Future<Output = io::Result<()>> + Send + 'static,
    other: impl Future<Output = io::Result<()>> + Send + 'static,
) -> io::Result<()> {
    let (mut one, mut other) = (spawn(one), spawn(other));
    let (result, rest) = poll_fn(|cx| match Pin::new(&mut one).poll(cx) {
        Poll::Ready(result) => Poll::Ready((result, false)),
        Poll::Pending => Pin::new(&mut other).poll(cx).map(|result| (result, true)),
    })
    .await;
    let rest = if rest { one } else { other };
    rest.cancel().await; // a handle that is dropped would let its task go on
    result
}
// ANCHOR_END: first_to_end

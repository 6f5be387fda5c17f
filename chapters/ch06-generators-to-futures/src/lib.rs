//! Get the stack back.
//!
//! Each promise is a function again, as simple as a program that has nothing else to do: one sleeps
//! and says hello, the other waits for a line and answers it. Where one of them has to wait it
//! stops in the middle, gives its thread back, and keeps its local variables. Each place where that
//! can happen says `.await`. Between two of them nobody else runs, and so what both of them use
//! needs no lock.

#![cfg(unix)]
// Not `forbid`: one file shows what a waker is made of, and has an exception.
#![deny(unsafe_code)]

pub mod block_on;
pub mod future;
pub mod iterator;
mod line_reader;
#[allow(unsafe_code)]
pub mod raw_waker;
pub mod reactor;
mod selector;
pub mod signal;
pub mod state_machine;
mod timers;

#[cfg(test)]
#[path = "../tests/patience/mod.rs"]
mod patience;

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, answer, hello, next_point, timed};
use future::{first_to_end, sleep_until};
use line_reader::LineReader;

pub use block_on::block_on;

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, until the input ends
/// or a line says `exit`.
///
/// # Errors
///
/// What waiting for `input`, reading it or writing `output` returns,
/// [`io::ErrorKind::BrokenPipe`] included.
pub fn run(
    input: impl AsFd,
    output: impl Write,
    period: Duration,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    let start = Instant::now();
    let output = RefCell::new(output);
    // The first hello is said before there is a second future: of two futures, either may be ready
    // first.
    say(&output, hello(SystemTime::now()))?;
    block_on(first_to_end(
        hellos(&output, start, period),
        answers(LineReader::new(input)?, &output, compute),
    ))?
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise: sleeps until the next hello is due, and says it.
async fn hellos(output: &RefCell<impl Write>, start: Instant, period: Duration) -> io::Result<()> {
    loop {
        sleep_until(next_point(start, period, Instant::now())).await;
        say(output, hello(SystemTime::now()))?;
    }
}
// ANCHOR_END: hellos

// ANCHOR: answers
/// The second promise: waits for each line and answers it. Returns when there is nothing more to
/// answer.
async fn answers(
    mut input: LineReader,
    output: &RefCell<impl Write>,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    while let Some(line) = input.next_line().await? {
        match Command::parse(&line) {
            Ok(Command::Blank) => {}
            Ok(Command::Exit) => break,
            Ok(Command::Fib(n)) => say(output, answer(n, timed(|| compute(n))))?,
            Err(error) => say(output, error)?,
        }
    }
    Ok(())
}
// ANCHOR_END: answers

// ANCHOR: say
/// One line, in one write, and a flush. Nothing is awaited in here: the lines of two futures never
/// mix.
fn say(output: &RefCell<impl Write>, line: impl Display) -> io::Result<()> {
    let mut output = output.borrow_mut();
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}
// ANCHOR_END: say

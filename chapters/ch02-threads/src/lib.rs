//! Let the kernel overlap the waiting.
//!
//! Each promise gets a thread of its own, and each thread is as simple as a program that has
//! nothing else to do: one sleeps and says hello, the other blocks for a line and answers it.
//! Nothing in this text says when to switch from one to the other. The kernel does that, between
//! any two instructions, and so what both of them use needs a lock.

#![forbid(unsafe_code)]

mod line_reader;
mod threads;

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, answer, hello, next_point, timed};
use line_reader::LineReader;
use threads::{first_to_end, sleep_until};

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, until the input ends
/// or a line says `exit`.
///
/// The other thread may still be blocked when this returns; it ends with the process, or when its
/// own wait does.
///
/// # Errors
///
/// What reading `input` or writing `output` returns, [`io::ErrorKind::BrokenPipe`] included.
pub fn run(
    input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + Send + 'static,
) -> io::Result<()> {
    let start = Instant::now();
    let output = Arc::new(Mutex::new(output));
    // The first hello is said before there is a second thread: of two threads, either may run
    // first.
    say(&output, hello(SystemTime::now()))?;
    let hello_output = Arc::clone(&output);
    first_to_end(
        move || hellos(&hello_output, start, period),
        move || answers(LineReader::new(input), &output, compute),
    )
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise: sleeps until the next hello is due, and says it.
fn hellos(output: &Mutex<impl Write>, start: Instant, period: Duration) -> io::Result<()> {
    loop {
        sleep_until(next_point(start, period, Instant::now()));
        say(output, hello(SystemTime::now()))?;
    }
}
// ANCHOR_END: hellos

// ANCHOR: answers
/// The second promise: waits for each line and answers it. Returns when there is nothing more to
/// answer.
fn answers(
    mut input: LineReader<impl BufRead>,
    output: &Mutex<impl Write>,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    while let Some(line) = input.next_line()? {
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
/// One line, in one write, and a flush, under a lock: the lines of two threads never mix.
fn say(output: &Mutex<impl Write>, line: impl Display) -> io::Result<()> {
    // A thread that panicked while it held the lock left at worst half a line behind.
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}
// ANCHOR_END: say

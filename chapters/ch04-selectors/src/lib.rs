//! One thread, many waits.
//!
//! Back to one thread. Chapter 1 could not keep time because it asked the kernel to wait for a line
//! and for nothing else. Here it asks for both: wake me when there is something to read, or when
//! the next hello is due, whichever comes first. No thread, no lock; and while an answer is being
//! computed, nobody waits for anything.

#![cfg(unix)]
#![forbid(unsafe_code)]

mod input;
mod line_source;
mod selector;

use std::fmt::Display;
use std::io::{self, Write};
use std::ops::ControlFlow::{self, Break, Continue};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, answer, hello, next_point, timed};
use input::Input;
use line_source::Next;

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
    mut output: impl Write,
    period: Duration,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    let mut input = Input::new(&input);
    let start = Instant::now();
    let mut due = start;
    loop {
        due = hellos(&mut output, start, period, due)?;
        if answers(&mut input, &mut output, &compute, due)?.is_break() {
            return Ok(());
        }
    }
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise: says hello if it is due. Returns the time at which the next one is due.
fn hellos(
    output: &mut impl Write,
    start: Instant,
    period: Duration,
    due: Instant,
) -> io::Result<Instant> {
    if Instant::now() < due {
        return Ok(due);
    }
    say(output, hello(SystemTime::now()))?;
    Ok(next_point(start, period, Instant::now()))
}
// ANCHOR_END: hellos

// ANCHOR: answers
/// The second promise: waits for one line, unless a hello is due first, and answers it. Breaks when
/// there is nothing more to answer.
fn answers(
    input: &mut Input<'_, impl AsFd>,
    output: &mut impl Write,
    compute: impl Fn(u32) -> u64,
    due: Instant,
) -> io::Result<ControlFlow<()>> {
    let line = match input.next_line(due)? {
        Next::Line(line) => line,
        Next::NotYet => return Ok(Continue(())),
        Next::End => return Ok(Break(())),
    };
    match Command::parse(&line) {
        Ok(Command::Blank) => {}
        Ok(Command::Exit) => return Ok(Break(())),
        Ok(Command::Fib(n)) => say(output, answer(n, timed(|| compute(n))))?,
        Err(error) => say(output, error)?,
    }
    Ok(Continue(()))
}
// ANCHOR_END: answers

// ANCHOR: say
/// One line, in one write, and a flush: what was said is seen.
fn say(output: &mut impl Write, line: impl Display) -> io::Result<()> {
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}
// ANCHOR_END: say

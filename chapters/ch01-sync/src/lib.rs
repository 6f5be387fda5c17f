//! One thing at a time.
//!
//! The program makes two promises: to say hello every few seconds, and to answer each line. Here it
//! keeps them in turns: it says what is due, blocks until a line comes, answers it, and starts
//! again. While it is blocked it uses no CPU, and it can do nothing else either: the first promise
//! is broken as soon as nobody types.

#![forbid(unsafe_code)]

mod line_reader;

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, answer, hello, next_point, timed};
use line_reader::LineReader;

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, until the input ends
/// or a line says `exit`.
///
/// # Errors
///
/// What reading `input` or writing `output` returns, [`io::ErrorKind::BrokenPipe`] included.
pub fn run(
    input: impl BufRead,
    mut output: impl Write,
    period: Duration,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    let mut input = LineReader::new(input);
    let start = Instant::now();
    let mut due = start;
    loop {
        due = hellos(&mut output, start, period, due)?;
        if answers(&mut input, &mut output, &compute)?.is_break() {
            return Ok(());
        }
    }
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise, as far as it can be kept: says hello if it is due. Returns the time at
/// which the next one is due.
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
/// The second promise: waits for one line and answers it. Breaks when there is nothing more to
/// answer.
fn answers(
    input: &mut LineReader<impl BufRead>,
    output: &mut impl Write,
    compute: impl Fn(u32) -> u64,
) -> io::Result<ControlFlow<()>> {
    let Some(line) = input.next_line()? else { return Ok(Break(())) };
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

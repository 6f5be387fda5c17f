//! The chapter's program, as far as it does not depend on how one waits: hello at each point of a
//! grid, an answer to each line. What is typed is a script, so that it ends by itself.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::time::{Duration, Instant};

use fib_timing::{Command, Lines, fib, next_point};
use rustix::io::{Errno, read};

/// Between two hellos.
const PERIOD: Duration = Duration::from_millis(100);

/// What is typed, each piece at a hello, in one write. After the next hello the input ends.
const SCRIPT: [&str; 3] = ["1\n2\n3\n", "1", "0\n"];

/// How often the input is read when it was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Once,
    #[allow(dead_code, reason = "only what is edge-triggered needs it")]
    UntilItWouldBlock,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The lines of the program.
    pub(crate) lines: Vec<String>,
    pub(crate) hellos: usize,
    pub(crate) waits: usize,
    pub(crate) reads: usize,
    /// Of them, those that found nothing.
    #[allow(dead_code, reason = "only what is edge-triggered has some")]
    pub(crate) would_block: usize,
}

impl Told {
    /// The answers alone. When they come depends on the machine, and their order does not.
    #[allow(dead_code, reason = "for tests")]
    pub(crate) fn answers(&self) -> Vec<&str> {
        let lines = self.lines.iter().map(String::as_str);
        lines.filter(|line| line.starts_with("fib")).collect()
    }
}

/// Runs the program until its input has ended. `is_ready` waits: until there is something to read,
/// but no longer than it is told.
pub(crate) fn run(
    input: &PipeReader,
    typed: PipeWriter,
    reads: Reads,
    mut is_ready: impl FnMut(Duration) -> io::Result<bool>,
) -> io::Result<Told> {
    let (mut told, mut lines) = (Told::default(), Lines::new());
    let (mut typed, mut script) = (Some(typed), SCRIPT.iter());
    let start = Instant::now();
    let mut due = start;
    loop {
        if Instant::now() >= due {
            told.hellos += 1;
            told.lines.push("hello".into());
            match (script.next(), &mut typed) {
                (Some(piece), Some(typed)) => typed.write_all(piece.as_bytes())?,
                _ => typed = None, // closes it
            }
            due = next_point(start, PERIOD, Instant::now());
        }
        told.waits += 1;
        if !is_ready(due.saturating_duration_since(Instant::now()))? {
            continue;
        }
        let has_ended = take(input, reads, &mut lines, &mut told)?;
        for line in lines.by_ref() {
            if let Ok(Command::Fib(n)) = Command::parse(&line) {
                told.lines.push(format!("fib({n}) = {}", fib(n)));
            }
        }
        if has_ended {
            return Ok(told);
        }
    }
}

/// Reads what was reported into our own buffer. True at the end of the input.
fn take(input: &PipeReader, reads: Reads, lines: &mut Lines, told: &mut Told) -> io::Result<bool> {
    loop {
        let mut chunk = [0; 4096];
        told.reads += 1;
        match read(input, &mut chunk) {
            Ok(0) => {
                lines.end();
                return Ok(true);
            }
            Ok(length) => lines.push(&chunk[..length]),
            Err(Errno::AGAIN) => {
                told.would_block += 1;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        if reads == Reads::Once {
            return Ok(false);
        }
    }
}

//! Cores: compute the answers beside the reader.
//!
//! In chapter 2 the thread that read the question computed the answer, so that the second question
//! waited for the first, on however many cores. Here the reader hands each question to a pool of
//! workers and reads on. As many answers are computed at the same instant as there are workers and
//! cores, and an easy question overtakes a hard one.
//!
//! The pool is rayon's, and what its threads call is up to the caller: a function, or a question
//! to a worker process ([`Processes`]).

#![forbid(unsafe_code)]

mod line_reader;
mod pool;
mod processes;
mod threads;

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, EXIT_GRACE, answer, hello, next_point, timed};
use line_reader::LineReader;
use pool::Pool;
use threads::{first_to_end, sleep_until};

pub use pool::PENDING_MAX;
pub use processes::{ASK_MAX, Processes, serve};

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, until the input ends
/// or a line says `exit`. `workers` answers are computed at once, so `compute` is called from as
/// many threads.
///
/// Answers come in the order in which they are ready. At the end of the input all of them are
/// waited for; after `exit`, those that are ready within [`EXIT_GRACE`].
///
/// # Errors
///
/// What reading `input` or writing `output` returns, [`io::ErrorKind::BrokenPipe`] included; and
/// where the system refuses another thread.
pub fn run(
    input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> io::Result<u64> + Send + Sync + 'static,
    workers: NonZero<usize>,
) -> io::Result<()> {
    let start = Instant::now();
    let output = Arc::new(Mutex::new(output));
    let pool = Pool::new(workers)?;
    // The first hello is said before there is a thread that could answer: of two threads, either
    // may run first.
    say(&output, hello(SystemTime::now()))?;
    let hello_output = Arc::clone(&output);
    first_to_end(
        move || hellos(&hello_output, start, period),
        move || answers(LineReader::new(input), &output, compute, &pool),
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
/// The second promise: waits for each line and has it answered. Returns when there is nothing more
/// to answer.
fn answers(
    mut input: LineReader<impl BufRead>,
    output: &Arc<Mutex<impl Write + Send + 'static>>,
    compute: impl Fn(u32) -> io::Result<u64> + Send + Sync + 'static,
    pool: &Pool,
) -> io::Result<()> {
    let compute = Arc::new(compute);
    while let Some(line) = input.next_line()? {
        match Command::parse(&line) {
            Ok(Command::Blank) => {}
            Ok(Command::Exit) => return exit(pool),
            Ok(Command::Fib(n)) => {
                let (output, compute) = (Arc::clone(output), Arc::clone(&compute));
                let work = move || timed(|| compute(n));
                pool.spawn(n, work, move |answered| match answered {
                    (Ok(value), took) => say(&output, answer(n, (value, took))),
                    (Err(error), _) => say(&output, format_args!("error: fib({n}): {error}")),
                })?;
            }
            Err(error) => say(output, error)?,
        }
    }
    pool.wait()
}
// ANCHOR_END: answers

// ANCHOR: exit
/// `exit` was read: what is ready soon is still answered, and what is not is named.
fn exit(pool: &Pool) -> io::Result<()> {
    let abandoned = pool.wait_for(EXIT_GRACE)?;
    if !abandoned.is_empty() {
        command_line::complain_abandoned(&abandoned);
    }
    Ok(())
}
// ANCHOR_END: exit

// ANCHOR: say
/// One line, in one write, and a flush, under a lock: the lines of two threads never mix.
fn say(output: &Mutex<impl Write>, line: impl Display) -> io::Result<()> {
    // A thread that panicked while it held the lock left at worst half a line behind.
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}
// ANCHOR_END: say

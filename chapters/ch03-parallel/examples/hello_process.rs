//! Hello from a child process: whose memory is it, and what does the start cost?
//!
//! The child is this program again, told by an environment variable that it is one. The parent sets
//! a number to 1 and starts it; the child adds 41 to *its* number. Predict both numbers afterwards.
//! Then predict how long a start takes, and from which n on fib(n) takes longer than that.
//!
//! `cargo run -p ch03-parallel --example hello_process`

#![forbid(unsafe_code)]

use std::env;
use std::hint::black_box;
use std::io;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fib_timing::{fib, timed};
use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch03-parallel", "hello_process");

// ANCHOR: child
/// The environment variable that tells this program that it is the child.
const CHILD: &str = "HELLO_PROCESS_CHILD";
/// What a line of the child begins with, so that the parent finds it.
const SAID: &str = "= ";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What the child does. It has nothing of its parent but what it was given at its start.
fn child() {
    let number = NUMBER.fetch_add(41, Ordering::Relaxed) + 41;
    println!("\n{SAID}{} {number}", process::id());
}
// ANCHOR_END: child

// ANCHOR: parent
struct Told {
    child: u32,
    its_number: u32,
    our_number: u32,
}

/// What the child is started with: the program itself needs nothing.
#[cfg(not(test))]
const ARGUMENTS: &[&str] = &[];

/// Starts a child, and waits until it has ended: otherwise the kernel keeps an entry for it.
fn hello() -> io::Result<Told> {
    NUMBER.store(1, Ordering::Relaxed);
    let mut command = Command::new(env::current_exe()?);
    command.args(ARGUMENTS).env(CHILD, "1").stdin(Stdio::null());
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text.lines().find_map(|line| line.strip_prefix(SAID)?.split_once(' '));
    let numbers = said.map(|(child, number)| (child.parse(), number.parse()));
    let Some((Ok(child), Ok(its_number))) = numbers else {
        return Err(io::Error::other(format!("the child said {text:?}, {}", output.status)));
    };
    Ok(Told { child, its_number, our_number: NUMBER.load(Ordering::Relaxed) })
}
// ANCHOR_END: parent

/// The shortest of some starts, each with its end: what disturbs one makes it longer.
fn start_of(what: impl Fn() -> io::Result<()>) -> io::Result<Duration> {
    const TIMES: usize = 21;

    let mut shortest = Duration::MAX;
    for _ in 0..TIMES {
        let start = Instant::now();
        what()?;
        shortest = shortest.min(start.elapsed());
    }
    Ok(shortest)
}

fn start_of_a_thread() -> io::Result<()> {
    let thread = thread::Builder::new().spawn(|| {})?;
    thread.join().map_err(|_| io::Error::other("it panicked"))
}

/// The smallest n whose fib takes longer than that, here and now.
fn break_even(start: Duration) -> u32 {
    let takes = |n: &u32| (0..3).map(|_| timed(|| black_box(fib(*n))).1).min();
    (10..90).find(|n| takes(n) > Some(start)).unwrap_or(90)
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("a child has a memory of its own, and its start takes about a millisecond")?;
    let Told { child, its_number, our_number } = hello()?;
    report.say(format_args!("parent {}, its number afterwards: {our_number}", process::id()))?;
    report.say(format_args!("child {child}, its number:             {its_number}"))?;
    let process = start_of(|| hello().map(drop))?;
    let thread = start_of(start_of_a_thread)?;
    let (n, from_thread) = (break_even(process), break_even(thread));
    report.say(format_args!("start and end of a process: {process:.1?}, as long as fib({n})"))?;
    report.say(format_args!("of a thread:                {thread:.1?}, fib({from_thread})\n"))?;
    let judged = Judgement::of(process > thread, || "a thread took longer".into());
    report.claim(
        "C101",
        process.as_secs_f64() * 1e3,
        "ms to start a process and see it end",
        judged,
    )
}

fn main() -> ExitCode {
    if env::var_os(CHILD).is_some() {
        child();
        return ExitCode::SUCCESS;
    }
    EXPERIMENT.main(measure)
}

/// A test program is told which test is the one that plays the child.
#[cfg(test)]
const ARGUMENTS: &[&str] = &["--exact", "tests::a_child_has_a_memory_of_its_own", "--nocapture"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_a_memory_of_its_own() {
        if env::var_os(CHILD).is_some() {
            return child();
        }
        let told = hello().expect("the system starts a process");
        assert_ne!(told.child, process::id());
        assert_eq!((told.our_number, told.its_number), (1, 41), "neither sees the other's");
    }

    #[test]
    fn a_process_takes_longer_to_start_than_a_thread_and_pays_off_at_a_larger_n() {
        let process = start_of(|| hello().map(drop)).expect("the system starts a process");
        let thread = start_of(start_of_a_thread).expect("a thread is free");
        assert!(process > thread, "{process:?} {thread:?}");
        let (short, long) = (Duration::from_micros(1), Duration::from_millis(1));
        assert!(break_even(short) < break_even(long));
    }
}

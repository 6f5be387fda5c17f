//! How large is a thread's stack, and who says so?
//!
//! A text computes it in Python: 1,000, the limit of recursion, times 8, in MiB. Predict what that
//! gives. Then predict the stack of a thread of Rust: by default, with `RUST_MIN_STACK`, and with
//! `Builder::stack_size`; and how deep a function can recurse on it.
//!
//! `cargo run -p ch02-threads --example stack_size`

#![forbid(unsafe_code)]

use std::env;
use std::hint::black_box;
use std::io;
use std::ops::Range;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use lab::experiment::{Experiment, Judgement, Report};
use lab::proc;

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "stack_size");

const MIB: usize = 1 << 20;

// ANCHOR: mapping
/// The addresses of the mapping in which this thread's stack lies: that of a local variable.
fn stack() -> io::Result<Range<usize>> {
    let local = black_box(0_u8);
    let here = (&raw const local).addr();
    let maps = proc::read("/proc/self/maps")?;
    let ranges = maps.lines().filter_map(|line| {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        Some(usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?)
    });
    ranges.into_iter().find(|range| range.contains(&here)).ok_or(io::ErrorKind::NotFound.into())
}
// ANCHOR_END: mapping

/// The system's limit of a stack, in bytes: for the main thread, and where C does not say else.
fn limit() -> io::Result<Option<usize>> {
    let limits = proc::read("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max stack size"));
    Ok(line.and_then(|line| line.split_whitespace().next()?.parse().ok()))
}

fn in_a_thread<T: Send + 'static>(
    builder: thread::Builder,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    builder.spawn(work)?.join().map_err(|_| io::Error::other("it panicked"))?
}

fn size_in(builder: thread::Builder) -> io::Result<usize> {
    in_a_thread(builder, || stack().map(|stack| stack.len()))
}

/// Left for whoever is called last, in bytes.
const MARGIN: usize = 64 << 10;

/// How many calls, each with a local variable of N bytes, fit above the address `end`.
#[inline(never)]
fn deeper<const N: usize>(end: usize) -> usize {
    let mut local = [1_u8; N];
    let here = black_box(&mut local).as_ptr().addr();
    let below = if here - end < MARGIN { 0 } else { deeper::<N>(end) };
    black_box(&mut local); // so that this frame stays until the call has returned
    below + 1
}

fn depth<const N: usize>(bytes: usize) -> io::Result<usize> {
    // glibc may hand out a larger stack that it has kept: so it is counted from the top.
    let work = move || stack().map(|stack| deeper::<N>(stack.end - bytes));
    in_a_thread(thread::Builder::new().stack_size(bytes), work)
}

/// Set for the child, which tells its default.
const CHILD: &str = "STACK_SIZE_CHILD";
const SAID: &str = "= ";

fn child() -> io::Result<()> {
    println!("\n{SAID}{}", size_in(thread::Builder::new())?);
    Ok(())
}

/// The default of a process that was started with this `RUST_MIN_STACK`, or without one.
fn default_of(arguments: &[&str], least: Option<usize>) -> io::Result<usize> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments).env(CHILD, "1").env_remove("RUST_MIN_STACK").stdin(Stdio::null());
    if let Some(least) = least {
        command.env("RUST_MIN_STACK", least.to_string());
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text.lines().find_map(|line| line.strip_prefix(SAID)?.parse().ok());
    said.ok_or_else(|| io::Error::other(format!("the child said {text:?}")))
}

/// What the text computes, in MiB: frames are multiplied by 8, and called bytes.
fn as_the_text_says() -> f64 {
    const FRAMES: f64 = 1_000.0;
    FRAMES * 8.0 / 1024.0 / 1024.0
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("2 MiB in Rust, 8 MiB by the system's limit; the text's formula is neither")?;
    let mib = |bytes: usize| bytes as f64 / MIB as f64;
    let limit = limit()?.map_or("none".to_owned(), |bytes| format!("{:.2}", mib(bytes)));
    let default = default_of(&[], None)?;
    report.say("in MiB:")?;
    let mut row = |name: &str, mib: &str| report.say(format_args!("{name:36}{mib:>8}"));
    row("the text's formula", &format!("{:.4}", as_the_text_says()))?;
    row("the system's limit", &limit)?;
    row("main thread, so far", &format!("{:.2}", mib(stack()?.len())))?;
    row("a thread of Rust", &format!("{:.2}", mib(default)))?;
    let asked = default_of(&[], Some(3 * MIB))?;
    row("the same, RUST_MIN_STACK of 3 MiB", &format!("{:.2}", mib(asked)))?;
    let built = size_in(thread::Builder::new().stack_size(5 * MIB))?;
    row("Builder::stack_size(5 MiB)", &format!("{:.2}", mib(built)))?;
    report.say("\ncalls that fit into 2 MiB and into 8 MiB, by the size of a local variable:")?;
    let mut depths = |bytes: usize, depths: [usize; 2]| {
        report.say(format_args!("{bytes:>6} bytes {:>10}{:>10}", depths[0], depths[1]))
    };
    depths(64, [depth::<64>(2 * MIB)?, depth::<64>(8 * MIB)?])?;
    depths(1024, [depth::<1024>(2 * MIB)?, depth::<1024>(8 * MIB)?])?;
    depths(16384, [depth::<16384>(2 * MIB)?, depth::<16384>(8 * MIB)?])?;
    report.say("")?;
    let judged = Judgement::of(default == 2 * MIB, || format!("{default} bytes"));
    report.claim("C04", mib(default), "MiB, a thread of Rust", judged)?;
    let formula = as_the_text_says();
    let judged = Judgement::of(formula < 0.01, || format!("{formula} MiB"));
    report.claim("C05", formula, "MiB by the text's formula", judged)
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return child().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const ALONE: &[&str] =
        &["--exact", "tests::the_default_is_2_mib_unless_somebody_asks_for_more", "--nocapture"];

    #[test]
    fn the_default_is_2_mib_unless_somebody_asks_for_more() {
        if std::env::var_os(CHILD).is_some() {
            return child().expect("Linux has a /proc");
        }
        let default = |least| default_of(ALONE, least).expect("the system starts a process");
        assert_eq!(default(None), 2 * MIB);
        assert_eq!(default(Some(3 * MIB)), 3 * MIB);
        let built = size_in(std::thread::Builder::new().stack_size(5 * MIB));
        assert_eq!(built.expect("Linux has a /proc"), 5 * MIB);
    }

    #[test]
    fn a_limit_of_frames_is_no_size() {
        assert!(as_the_text_says() < 0.01);
        let small = depth::<64>(MIB).expect("Linux has a /proc");
        let large = depth::<16384>(MIB).expect("Linux has a /proc");
        assert!(small > 10 * large, "{small} and {large} calls");
    }
}

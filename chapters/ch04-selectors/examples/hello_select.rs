//! The chapter's program, waiting with select(2), the oldest of the three.
//!
//! Predict what has to be done again before each wait. And predict which descriptor it cannot be
//! given: the 1025th, or the one whose number is 1024?
//!
//! `cargo run -q -p ch04-selectors --example hello_select`

#![forbid(unsafe_code)]

mod hello;
mod limit;

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::time::Duration;

use hello::{Reads, Told};
use lab::experiment::{Experiment, Judgement, Report};
use nix::sys::select::{FD_SETSIZE, FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "hello_select");

// ANCHOR: select
/// Waits until one of `inputs` can be read. The set is the question and the answer in one: what was
/// asked is gone afterwards. So it is filled again each time.
fn ready<S: AsFd>(inputs: &[S], patience: Duration) -> io::Result<usize> {
    let mut set = FdSet::new();
    for input in inputs {
        set.insert(fits(input)?.as_fd());
    }
    // Rounded up: a wait that ends early would be repeated until the time has come.
    let micros = patience.as_nanos().div_ceil(1_000).try_into().unwrap_or(i64::MAX);
    match select(None, &mut set, None, None, &mut TimeVal::microseconds(micros)) {
        Ok(_) => Ok(inputs.iter().filter(|input| set.contains(input.as_fd())).count()),
        Err(nix::errno::Errno::EINTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The set of glibc has a bit for each number below 1024. Outside of it, C writes to memory that
/// belongs to something else, and says nothing.
fn fits<S: AsFd>(input: &S) -> io::Result<&S> {
    let number = input.as_fd().as_raw_fd();
    match usize::try_from(number) {
        Ok(bit) if bit < FD_SETSIZE => Ok(input),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{number} has no bit"))),
    }
}
// ANCHOR_END: select

fn hello_select() -> io::Result<Told> {
    let (input, typed) = io::pipe()?;
    hello::run(&input, typed, Reads::Once, |patience| Ok(ready(&[&input], patience)? > 0))
}

/// In the C library's type of a set.
const BITS: usize = 8 * size_of::<nix::libc::fd_set>();

/// Of two descriptors for one pipe, of which the second has a number of at least `number`: what
/// select(2) says of each, and what poll(2) says of the second.
struct TwoNumbers {
    number: i32,
    first: io::Result<usize>,
    second: io::Result<usize>,
    polled: io::Result<usize>,
}

fn two_numbers(number: usize) -> io::Result<TwoNumbers> {
    limit::raise();
    let (first, writer) = io::pipe()?;
    let number = i32::try_from(number).expect("a set is not that large");
    let second = fcntl_dupfd_cloexec(&first, number)?;
    rustix::io::write(&writer, b"x")?;
    let mut polled = [PollFd::new(&second, PollFlags::IN)];
    Ok(TwoNumbers {
        number: second.as_raw_fd(),
        first: ready(&[&first], Duration::ZERO),
        second: ready(&[&second], Duration::ZERO),
        polled: Ok(poll(&mut polled, Some(&Timespec::default()))?),
    })
}

fn judge(report: &mut Report<'_>) -> io::Result<()> {
    let (claim, unit) = ("C50", "bits in a set of the C library");
    match two_numbers(FD_SETSIZE) {
        Ok(TwoNumbers { number, first, second, polled }) => {
            let told = |result: &io::Result<usize>| match result {
                Ok(ready) => format!("{ready} ready"),
                Err(error) => format!("refused, {error}"),
            };
            report.say("\none pipe, two descriptors, something to read")?;
            report.say(format_args!("select, a small number: {}", told(&first)))?;
            report
                .say(format_args!("our check before select, number {number}: {}", told(&second)))?;
            report.say(format_args!("poll, number {number}: {}\n", told(&polled)))?;
            let are_read = [&first, &polled].map(|result| matches!(result, Ok(1)));
            let judged = Judgement::of(are_read == [true; 2] && BITS == FD_SETSIZE, || {
                format!("{}, {}, and {BITS} bits", told(&first), told(&polled))
            });
            report.claim(claim, BITS as f64, unit, judged)
        }
        Err(error) if error.kind() == Errno::INVAL.kind() => {
            let judged = Judgement::NotJudged("the limit on descriptors is too low".into());
            report.claim(claim, BITS as f64, unit, judged)
        }
        Err(error) => Err(error),
    }
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("all four answers; number 1024 has no place, although there are few of them")?;
    let told = hello_select()?;
    report.say(told.lines.join("\n"))?;
    let Told { hellos, waits, reads, .. } = told;
    report.say(format_args!("\n{hellos} hellos, {waits} waits, {reads} reads"))?;
    judge(report)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn select_keeps_time_and_answers() {
        let told = hello_select().expect("a pipe is free");
        let expected = ["fib(1) = 1", "fib(2) = 1", "fib(3) = 2", "fib(10) = 55"];
        assert_eq!(told.answers(), expected);
        assert!(told.waits <= told.hellos + 4, "{told:?}");
    }

    #[test]
    fn the_number_of_a_descriptor_is_limited_and_not_how_many_there_are() {
        match two_numbers(FD_SETSIZE) {
            Ok(TwoNumbers { number, first, second, polled }) => {
                assert!(number >= 1024);
                assert!(matches!(first, Ok(1)), "{first:?}");
                assert!(second.is_err(), "{second:?}");
                assert!(matches!(polled, Ok(1)), "{polled:?}");
                assert_eq!(BITS, FD_SETSIZE, "a bit for each number below it");
            }
            Err(error) => println!("not judged: {error}"),
        }
    }

    #[test]
    fn what_was_asked_is_gone_after_a_wait() {
        let (reader, _writer) = io::pipe().expect("a pipe is free");
        let mut set = FdSet::new();
        set.insert(reader.as_fd());
        select(None, &mut set, None, None, &mut TimeVal::zero()).expect("it is our own pipe");
        assert!(!set.contains(reader.as_fd()));
    }
}

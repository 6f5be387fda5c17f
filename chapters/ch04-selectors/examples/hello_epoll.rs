//! The chapter's program, waiting with epoll(7) instead of poll(2): once level-triggered, once
//! edge-triggered.
//!
//! Predict what has to change in the reading. And predict what epoll says of a regular file, as in
//! `< numbers.txt`.
//!
//! `cargo run -q -p ch04-selectors --example hello_epoll`

#![forbid(unsafe_code)]

mod epoll;
mod hello;

use std::fs::{self, File};
use std::io::{self, PipeReader};
use std::process::ExitCode;
use std::thread;

use epoll::{Epoll, Trigger};
use hello::{Reads, Told};
use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "hello_epoll");

/// What we call the input. It is the only one here.
const INPUT: u64 = 7;

// ANCHOR: level
fn level() -> io::Result<Told> {
    let (input, typed) = io::pipe()?;
    let mut epoll = Epoll::new()?;
    epoll.add(&input, INPUT, Trigger::Level)?;
    hello::run(&input, typed, Reads::Once, |patience| {
        Ok(epoll.wait(Some(patience))?.contains(&INPUT))
    })
}
// ANCHOR_END: level

// ANCHOR: edge
fn edge() -> io::Result<Told> {
    let (input, typed) = io::pipe()?;
    rustix::io::ioctl_fionbio(&input, true)?;
    let mut epoll = Epoll::new()?;
    epoll.add(&input, INPUT, Trigger::Edge)?;
    hello::run(&input, typed, Reads::UntilItWouldBlock, |patience| {
        Ok(epoll.wait(Some(patience))?.contains(&INPUT))
    })
}
// ANCHOR_END: edge

// ANCHOR: file
/// What can be waited for in place of a file: itself, or else a pipe into which a thread copies it.
/// Also says whether epoll refused the file.
fn watch(epoll: &Epoll, mut file: File) -> io::Result<(Watched, bool)> {
    match epoll.add(&file, INPUT, Trigger::Level) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let (reading, mut writing) = io::pipe()?;
            epoll.add(&reading, INPUT, Trigger::Level)?;
            thread::spawn(move || io::copy(&mut file, &mut writing)); // ends when nobody reads
            Ok((Watched::Copy(reading), true))
        }
        added => added.map(|()| (Watched::Itself(file), false)),
    }
}
// ANCHOR_END: file

enum Watched {
    Itself(File),
    Copy(PipeReader),
}

/// Any file of the disk.
const FILE: &str = env!("CARGO_MANIFEST_PATH");

/// Reads the file as it comes, and returns whether it was refused and what came.
fn read_a_file() -> io::Result<(bool, Vec<u8>)> {
    let mut epoll = Epoll::new()?;
    let (watched, is_refused) = watch(&epoll, File::open(FILE)?)?;
    let (mut came, mut chunk) = (Vec::new(), [0; 256]);
    loop {
        epoll.wait(None)?;
        let read = match &watched {
            Watched::Itself(file) => rustix::io::read(file, &mut chunk)?,
            Watched::Copy(reading) => rustix::io::read(reading, &mut chunk)?,
        };
        if read == 0 {
            return Ok((is_refused, came));
        }
        came.extend_from_slice(&chunk[..read]);
    }
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("the same answers from both, and a regular file is refused")?;
    let (level, edge) = (level()?, edge()?);
    report.say(level.lines.join("\n"))?;
    report.say(format_args!(
        "\n{:<12}{:>8}{:>8}{:>8}{:>13}",
        "epoll", "hellos", "waits", "reads", "WouldBlock"
    ))?;
    for (name, told) in [("level", &level), ("edge", &edge)] {
        let Told { hellos, waits, reads, would_block, .. } = told;
        report.say(format_args!("{name:<12}{hellos:>8}{waits:>8}{reads:>8}{would_block:>13}"))?;
    }
    let (is_refused, came) = read_a_file()?;
    let is_whole = came == fs::read(FILE)?;
    report.say("\na regular file")?;
    report.say(format_args!("refused by epoll:                {is_refused}"))?;
    report.say(format_args!("whole through a thread and pipe: {is_whole}\n"))?;
    let judged = Judgement::of(is_refused, || "epoll took the file".into());
    report.claim("C60", f64::from(is_refused), "regular file refused", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const ANSWERS: [&str; 4] = ["fib(1) = 1", "fib(2) = 1", "fib(3) = 2", "fib(10) = 55"];

    #[test]
    fn both_kinds_of_report_give_all_answers() {
        let (level, edge) = (level().expect("a pipe is free"), edge().expect("a pipe is free"));
        assert_eq!(level.answers(), ANSWERS);
        assert_eq!(edge.answers(), ANSWERS);
    }

    #[test]
    fn only_the_edge_triggered_one_reads_until_nothing_is_left() {
        let (level, edge) = (level().expect("a pipe is free"), edge().expect("a pipe is free"));
        assert!(level.reads <= 4, "3 pieces and the end: {level:?}");
        assert_eq!(level.would_block, 0, "{level:?}");
        assert!(edge.would_block > 0, "{edge:?}");
    }

    #[test]
    fn it_waits_no_more_often_than_there_is_a_piece_or_a_hello() {
        for told in [level(), edge()] {
            let told = told.expect("a pipe is free");
            assert!(told.waits <= told.hellos + 4, "{told:?}");
        }
    }

    #[test]
    fn a_regular_file_is_refused_and_a_thread_can_stand_in() {
        let read = read_a_file().expect("a pipe and a thread are free");
        assert_eq!(read, (true, fs::read(FILE).expect("it exists")));
    }
}

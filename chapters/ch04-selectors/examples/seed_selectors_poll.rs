//! A well-known solution with a selector, as it is: a wait of a tenth of a second at most, and a
//! buffered `read_line` at each report. It is wrong.
//!
//! Three lines are written at once, and their writer stays. Predict how many are answered. And
//! predict how often this program wakes in a second in which nothing happens.
//!
//! `cargo run -q -p ch04-selectors --example seed_selectors_poll`

#![forbid(unsafe_code)]

mod epoll;

use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use epoll::{Epoll, Trigger};
use fib_timing::fib;
use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::Activity;

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "seed_selectors_poll");

const TICK: Duration = Duration::from_millis(100);
const STDIN: u64 = 0;

// ANCHOR: seed
struct Seed {
    stdin: BufReader<PipeReader>,
    selector: Epoll, // what `DefaultSelector` is on Linux
    last_hello: Option<Instant>,
    said: Vec<String>,
}

impl Seed {
    fn new(stdin: PipeReader) -> io::Result<Seed> {
        let selector = Epoll::new()?;
        selector.add(&stdin, STDIN, Trigger::Level)?;
        Ok(Seed { stdin: BufReader::new(stdin), selector, last_hello: None, said: Vec::new() })
    }

    /// One pass of its endless loop.
    fn pass(&mut self) -> io::Result<()> {
        for _ in self.selector.wait(Some(TICK))? {
            self.process_input()?;
        }
        if self.last_hello.is_none_or(|last| last.elapsed() > Duration::from_secs(3)) {
            self.last_hello = Some(Instant::now());
            self.said.push("hello".into());
        }
        Ok(())
    }

    fn process_input(&mut self) -> io::Result<()> {
        let mut text = String::new();
        self.stdin.read_line(&mut text)?;
        let n = text.trim().parse().map_err(io::Error::other)?;
        self.said.push(format!("fib({n}) = {}", fib(n)));
        Ok(())
    }
}
// ANCHOR_END: seed

/// What it has answered after so many passes.
struct Answers {
    /// Of three lines.
    of_three: usize,
    /// What is in its buffer then, where no selector sees it.
    unseen: String,
    /// After a fourth line.
    of_four: usize,
}

const PASSES: usize = 5;

fn answers() -> io::Result<Answers> {
    let (stdin, mut typed) = io::pipe()?;
    let mut seed = Seed::new(stdin)?;
    typed.write_all(b"1\n2\n3\n")?;
    let of_three = answered(&mut seed)?;
    let unseen = String::from_utf8_lossy(seed.stdin.buffer()).into_owned();
    typed.write_all(b"4\n")?;
    Ok(Answers { of_three, unseen, of_four: answered(&mut seed)? })
}

fn answered(seed: &mut Seed) -> io::Result<usize> {
    for _ in 0..PASSES {
        seed.pass()?;
    }
    Ok(seed.said.iter().filter(|line| line.starts_with("fib")).count())
}

/// What it says of an input that has ended.
fn at_the_end() -> io::Result<Option<String>> {
    let (stdin, typed) = io::pipe()?;
    let mut seed = Seed::new(stdin)?;
    drop(typed);
    Ok(seed.pass().err().map(|error| error.to_string()))
}

/// How many passes it makes while nothing happens for some ticks. As many, or one more or less.
fn idle_passes(ticks: u32) -> io::Result<(usize, Judgement)> {
    let (stdin, _typed) = io::pipe()?;
    let mut seed = Seed::new(stdin)?;
    let (before, start, mut passes) = (Activity::of_this_thread()?, Instant::now(), 0);
    while start.elapsed() < ticks * TICK {
        seed.pass()?;
        passes += 1;
    }
    let waited = Activity::of_this_thread()?.since(before).waited;
    let (least, most) = (ticks as usize - 1, ticks as usize + 1);
    let judged = Judgement::of((least..=most).contains(&passes), || format!("{passes} passes"));
    // Who has to wait for a CPU makes fewer. Nothing makes them more.
    let is_busy = passes < least && waited > TICK;
    let reason = is_busy.then(|| format!("the machine is busy: {waited:?} waiting for a CPU"));
    Ok((passes, judged.unless(reason)))
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("one answer of three, and ten wake-ups a second for nothing")?;
    let Answers { of_three, unseen, of_four } = answers()?;
    report.say(format_args!("three lines are written:    {of_three} answered"))?;
    report.say(format_args!("in a buffer nobody watches: {unseen:?}"))?;
    report.say(format_args!("a fourth one is written:    {of_four} answered"))?;
    let end = at_the_end()?.unwrap_or_else(|| "nothing".into());
    report.say(format_args!("at the end of the input:    {end}\n"))?;
    let (passes, judged) = idle_passes(10)?;
    report.claim("C65", passes as f64, "wake-ups in an idle second", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn lines_2_and_3_are_lost_until_somebody_writes_a_fourth_one() {
        let Answers { of_three, unseen, of_four } = answers().expect("a pipe is free");
        assert_eq!(of_three, 1);
        assert_eq!(unseen, "2\n3\n");
        assert_eq!(of_four, 4, "the fourth one is reported until it is taken, after the others");
    }

    #[test]
    fn the_end_of_the_input_is_an_error() {
        let error = at_the_end().expect("a pipe is free");
        assert!(error.is_some_and(|error| error.contains("empty string")));
    }

    #[test]
    fn it_wakes_although_nothing_happens() {
        let (_, judged) = idle_passes(3).expect("a pipe is free");
        judged.assert();
    }
}

//! Three ways of waiting 300 ms for one byte: ask without pause, ask every 10 ms, or let the kernel
//! say when.
//!
//! Predict for each: how many reads, how much CPU time, and how late the byte is taken.
//!
//! `cargo run -q -p ch04-selectors --example busy_wait`

#![forbid(unsafe_code)]

use std::io::{self, PipeReader, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Judgement, Report};
use lab::spent::Spent;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "busy_wait");

/// The byte comes after this.
const WAIT: Duration = Duration::from_millis(300);

const NAP: Duration = Duration::from_millis(10);

/// Who takes a core is on a CPU for more than this part of the time. What is missing to 1 is what a
/// virtual machine's host takes.
const WHOLE: f64 = 0.8;

/// Reads that are many for one byte.
const MANY: usize = 100;

// ANCHOR: ways
/// Asks again and again, and uses its core for nothing else.
fn busy(pipe: &PipeReader) -> io::Result<usize> {
    reads_until_there(pipe, || Ok(()))
}

/// Asks, and sleeps for a while.
fn napping(pipe: &PipeReader) -> io::Result<usize> {
    reads_until_there(pipe, || {
        thread::sleep(NAP);
        Ok(())
    })
}

/// Asks, and sleeps until there is something to read.
fn polling(pipe: &PipeReader) -> io::Result<usize> {
    reads_until_there(pipe, || {
        poll(&mut [PollFd::new(pipe, PollFlags::IN)], None)?;
        Ok(())
    })
}

/// Reads until there is a byte, and returns how many reads that took.
fn reads_until_there(
    pipe: &PipeReader,
    mut between: impl FnMut() -> io::Result<()>,
) -> io::Result<usize> {
    for reads in 1.. {
        match read(pipe, &mut [0]) {
            Ok(_) => return Ok(reads),
            Err(Errno::AGAIN) => between()?,
            Err(error) => return Err(error.into()),
        }
    }
    unreachable!("there are more numbers than anybody counts")
}
// ANCHOR_END: ways

struct Waited {
    reads: usize,
    /// Between the write and the end of the wait.
    late: Duration,
    spent: Spent,
}

/// Waits in one of the three ways for a byte that another thread writes.
fn wait(way: fn(&PipeReader) -> io::Result<usize>, wait: Duration) -> io::Result<Waited> {
    let (pipe, mut writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&pipe, true)?;
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let writing = scope.spawn(move || {
            told.recv().map_err(io::Error::other)?;
            thread::sleep(wait);
            let written = Instant::now();
            writer.write_all(b"x")?;
            Ok::<Instant, io::Error>(written)
        });
        tell.send(()).map_err(io::Error::other)?;
        let (reads, spent) = Spent::on(|| way(&pipe))?;
        let end = Instant::now();
        let written = writing.join().expect("it does not panic")?;
        Ok(Waited { reads: reads?, late: end.saturating_duration_since(written), spent })
    })
}

impl Waited {
    fn takes_a_core(&self) -> Judgement {
        let is_so = self.spent.part_on_cpu() > WHOLE && self.reads > MANY;
        let judged = Judgement::of(is_so, || format!("{} reads, {:?}", self.reads, self.spent));
        judged.unless(self.spent.disturbed())
    }
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("one whole core, and little; late by nothing, up to a nap, and nothing")?;
    report.say(format_args!(
        "{:<24}{:>10}{:>13}{:>13}",
        "waits 300 ms", "reads", "CPU in ms", "late by ms"
    ))?;
    let mut row = |name: &str, waited: &Waited| {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (reads, cpu, late) = (waited.reads, ms(waited.spent.on_cpu), ms(waited.late));
        report.say(format_args!("{name:<24}{reads:>10}{cpu:>13.2}{late:>13.2}"))
    };
    let busy_waited = wait(busy, WAIT)?;
    row("reads without pause", &busy_waited)?;
    row("sleeps 10 ms, reads", &wait(napping, WAIT)?)?;
    let polled = wait(polling, WAIT)?;
    row("poll, then reads", &polled)?;
    report.say("")?;
    let percent = 100.0 * busy_waited.spent.part_on_cpu();
    report.claim("C66", percent, "% of a core", busy_waited.takes_a_core())
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    fn waited(way: fn(&PipeReader) -> io::Result<usize>) -> Waited {
        wait(way, SHORT).expect("a pipe and a thread are free")
    }

    #[test]
    fn poll_needs_one_read_to_find_nothing_and_one_to_take_the_byte() {
        assert!(waited(polling).reads <= 2, "the byte may be there already");
    }

    #[test]
    fn without_a_pause_the_reads_are_many_and_a_core_is_taken() {
        waited(busy).takes_a_core().assert();
    }

    /// The byte comes at four points of a nap.
    #[test]
    fn who_naps_is_late_by_a_part_of_its_nap_and_who_polls_is_not() {
        let four = |way: fn(&PipeReader) -> io::Result<usize>| {
            let one = |quarter| wait(way, SHORT + NAP * quarter / 4);
            let all = (0..4).map(|quarter| one(quarter).expect("a pipe and a thread are free"));
            all.map(|seen| seen.late).sum::<Duration>()
        };
        let judge = || {
            let (napped, polled) = (four(napping), four(polling));
            Judgement::of(polled < napped / 2, || format!("{napped:?}, {polled:?}"))
        };
        // Who writes may be late as well, and that is not seen.
        Judgement::of_tries(10, judge).assert();
    }

    #[test]
    fn who_naps_reads_no_more_than_once_a_nap() {
        let napped = waited(napping);
        let naps = napped.spent.wall.div_duration_f64(NAP) as usize;
        assert!(napped.reads <= naps + 2, "{} reads, {naps} naps", napped.reads);
    }
}

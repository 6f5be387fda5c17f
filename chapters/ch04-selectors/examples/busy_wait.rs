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

use lab::cpu_time;
use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::Activity;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "busy_wait");

/// The byte comes after this.
const WAIT: Duration = Duration::from_millis(300);

const NAP: Duration = Duration::from_millis(10);

/// Who takes a core is on a CPU for more than this part of the time. What is missing to 1 is what a
/// virtual machine's host takes.
const WHOLE: f64 = 0.8;

/// Reads that are many for one byte, and a time that is enough for them.
const MANY: usize = 100;
const ENOUGH: Duration = Duration::from_millis(5);

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
    on_cpu: Duration,
    /// Between the write and the end of the wait.
    late: Duration,
    wall: Duration,
    /// While others had the CPU.
    waited: Duration,
}

// ANCHOR: measure
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
        let waited = || Activity::of_this_thread().unwrap_or_default().waited; // Linux says it
        let (start, before, waited_before) = (Instant::now(), cpu_time::of_thread()?, waited());
        tell.send(()).map_err(io::Error::other)?;
        let reads = way(&pipe)?;
        let (end, on_cpu) = (Instant::now(), cpu_time::of_thread()?.saturating_sub(before));
        let waited = waited().saturating_sub(waited_before);
        let written = writing.join().expect("it does not panic")?;
        let late = end.saturating_duration_since(written);
        Ok(Waited { reads, on_cpu, late, wall: end - start, waited })
    })
}
// ANCHOR_END: measure

impl Waited {
    /// Of the time in which it could have a CPU, how much was it on one?
    fn part(&self) -> f64 {
        self.on_cpu.div_duration_f64(self.wall.saturating_sub(self.waited))
    }

    fn takes_a_core(&self) -> Judgement {
        let Waited { reads, on_cpu, wall, waited, .. } = self;
        let judged = Judgement::of(self.part() > WHOLE && *reads > MANY, || {
            format!("{reads} reads, {on_cpu:?} of {wall:?} on a CPU, {waited:?} waiting for one")
        });
        let is_busy = wall.saturating_sub(*waited) < ENOUGH;
        judged.unless(is_busy.then(|| format!("the machine is busy: {waited:?} of {wall:?}")))
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
        let (reads, cpu, late) = (waited.reads, ms(waited.on_cpu), ms(waited.late));
        report.say(format_args!("{name:<24}{reads:>10}{cpu:>13.2}{late:>13.2}"))
    };
    let busy_waited = wait(busy, WAIT)?;
    row("reads without pause", &busy_waited)?;
    row("sleeps 10 ms, reads", &wait(napping, WAIT)?)?;
    let polled = wait(polling, WAIT)?;
    row("poll, then reads", &polled)?;
    report.say("")?;
    let percent = 100.0 * busy_waited.part();
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

    /// The byte comes at four points of a nap. While others had the CPU, nobody was late by a fault
    /// of its own.
    #[test]
    fn who_naps_is_late_by_a_part_of_its_nap_and_who_polls_is_not() {
        let four = |way: fn(&PipeReader) -> io::Result<usize>| {
            let one = |quarter| wait(way, SHORT + NAP * quarter / 4);
            let all = (0..4).map(|quarter| one(quarter).expect("a pipe and a thread are free"));
            all.fold((Duration::ZERO, Duration::ZERO), |(late, busy), seen| {
                (late + seen.late.saturating_sub(seen.waited), busy + seen.waited)
            })
        };
        let ((napped, busy), (polled, busy_too)) = (four(napping), four(polling));
        let judged = Judgement::of(napped > polled, || format!("{napped:?}, {polled:?}"));
        let is_busy = busy + busy_too > NAP;
        judged.unless(is_busy.then(|| "others had the CPU for a nap".to_owned())).assert();
    }

    #[test]
    fn who_naps_reads_no_more_than_once_a_nap() {
        let napped = waited(napping);
        let naps = napped.wall.div_duration_f64(NAP) as usize;
        assert!(napped.reads <= naps + 2, "{} reads, {naps} naps", napped.reads);
    }
}

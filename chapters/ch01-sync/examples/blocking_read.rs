//! What a thread does while it waits in a read, and what the CPU does.
//!
//! One thread reads from a pipe that is empty. Another one computes for 300 ms, and then writes.
//! Predict the state of the first one meanwhile, the CPU time that it uses, and the CPU time of
//! the other one. "While it is blocked, the CPU can do nothing else", says a text.
//!
//! `cargo run -p ch01-sync --example blocking_read`

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::{self, Read, Write, pipe};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fib_timing::fib;
use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::{Activity, state, this_thread};
use lab::spent::Spent;

const EXPERIMENT: Experiment = Experiment::new("ch01-sync", "blocking_read");

/// A thread that has not come to sleep by then does something else.
const ASLEEP_WITHIN: Duration = Duration::from_secs(1);

struct Seen {
    /// What the kernel calls its state: `S`, it sleeps; `R`, it runs or could run.
    reader: char,
    reader_on_cpu: Duration,
    /// How the other thread has spent that time.
    other: Spent,
    /// From the write to the return of the read.
    woken_after: Duration,
}

fn blocked_for(compute: Duration) -> io::Result<Seen> {
    let (mut reading, mut writing) = pipe()?;
    let (tell, told) = mpsc::channel();
    // Where this fails, the writing end is dropped, and the reader ends.
    thread::scope(move |scope| {
        // ANCHOR: read
        let reader = scope.spawn(move || {
            let _ = tell.send(this_thread()); // an error: nobody wants to know
            let read = reading.read_exact(&mut [0]); // nothing has been written yet: it blocks
            read.map(|()| Instant::now())
        });
        let id = told.recv().map_err(io::Error::other)??;
        let start = Instant::now();
        while state(id)? != 'S' && start.elapsed() < ASLEEP_WITHIN {
            thread::yield_now(); // it is on its way into the kernel
        }
        let before = Activity::of(id)?;
        let start = Instant::now();
        let ((), other) = Spent::on(|| {
            while start.elapsed() < compute {
                black_box(fib(25));
            }
        })?;
        let (seen, after) = (state(id)?, Activity::of(id)?);
        let written = Instant::now();
        writing.write_all(&[1])?;
        // ANCHOR_END: read
        let woken = reader.join().expect("the reader does not panic")?;
        Ok(Seen {
            reader: seen,
            reader_on_cpu: after.since(before).on_cpu,
            other,
            woken_after: woken.saturating_duration_since(written),
        })
    })
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    const COMPUTE: Duration = Duration::from_millis(300);

    report.expects("S, it sleeps; no CPU time; the other one computes all the time")?;
    let Seen { reader, reader_on_cpu, other, woken_after } = blocked_for(COMPUTE)?;
    report.say(format_args!("state of the reader:    {reader}"))?;
    report.say(format_args!("CPU time of the reader: {reader_on_cpu:.1?}"))?;
    report
        .say(format_args!("CPU time of the other:  {:.1?} of {:.1?}", other.on_cpu, other.wall))?;
    report.say(format_args!("read back, after write: {woken_after:.1?}\n"))?;
    let share = other.on_cpu.div_duration_f64(other.wall);
    let sleeps = reader == 'S' && reader_on_cpu < COMPUTE / 100;
    let judged = Judgement::of(sleeps && share > 0.9, || {
        format!("state {reader}, {reader_on_cpu:?}, share {share:.2}")
    });
    // A busy machine excuses the other thread, and not the reader.
    let reason = other.disturbed().filter(|_| sleeps);
    report.claim(
        "C17",
        share * 100.0,
        "% of a CPU, for the thread that is not blocked",
        judged.unless(reason),
    )
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn while_one_thread_is_blocked_another_one_has_the_cpu() {
        let compute = Duration::from_millis(100);
        let seen = blocked_for(compute).expect("Linux has a /proc");
        assert_eq!(seen.reader, 'S');
        assert!(seen.reader_on_cpu < compute / 10, "{:?}", seen.reader_on_cpu);
        let share = seen.other.on_cpu.div_duration_f64(seen.other.wall);
        Judgement::of(share > 0.9, || format!("{share}")).unless(seen.other.disturbed()).assert();
    }
}

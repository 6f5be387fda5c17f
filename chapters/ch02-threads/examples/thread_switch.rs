//! What it costs to go from one thread to another, without what the I/O itself costs.
//!
//! Two threads take turns: over two pipes, and by `park` and `unpark`, which is a futex on Linux.
//! The same write and read by one thread alone is the baseline, and is subtracted. Predict the
//! cost of a switch on one core; then whether it is less or more when each has a core of its own.
//!
//! `cargo run --release -p ch02-threads --example thread_switch`

#![forbid(unsafe_code)]

use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::cores::{self, stay_on};
use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::Activity;

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "thread_switch");

const TURNS: u32 = 20_000;

// ANCHOR: pipes
/// Sends a byte, and waits for one.
fn turn(from: &mut PipeReader, to: &mut PipeWriter) -> io::Result<()> {
    to.write_all(&[1])?;
    from.read_exact(&mut [0])
}

/// A byte goes to another thread and comes back. Ends when a pipe is closed.
fn over_pipes(cores: [usize; 2], turns: u32) -> io::Result<Cost> {
    let ((mut from_first, mut to_second), (mut from_second, mut to_first)) = (pipe()?, pipe()?);
    thread::scope(|scope| {
        let second = scope.spawn(move || -> io::Result<()> {
            stay_on(cores[1])?;
            from_first.read_exact(&mut [0])?;
            while turn(&mut from_first, &mut to_first).is_ok() {}
            Ok(())
        });
        let first = scope.spawn(move || {
            stay_on(cores[0])?;
            cost(turns, || turn(&mut from_second, &mut to_second))
        });
        let cost = first.join().expect("it does not panic");
        second.join().expect("it does not panic")?;
        cost
    })
}

/// What is subtracted: one thread writes into a pipe, and reads that.
fn one_pipe(core: usize, turns: u32) -> io::Result<Cost> {
    let (mut from, mut to) = pipe()?;
    let alone = move || {
        stay_on(core)?;
        // A turn of two threads has two writes and two reads.
        cost(turns, || turn(&mut from, &mut to).and_then(|()| turn(&mut from, &mut to)))
    };
    thread::spawn(alone).join().expect("it does not panic")
}
// ANCHOR_END: pipes

/// The same with nothing between them but a flag, and the kernel's wait for it.
fn by_futex(cores: [usize; 2], turns: u32) -> io::Result<Cost> {
    let (is_second, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let wait_for = |wanted: bool| {
        while is_second.load(Ordering::Acquire) != wanted {
            thread::park();
        }
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            stay_on(cores[0])?;
            let first = thread::current();
            let (is_second, is_over) = (&is_second, &is_over);
            let second = scope.spawn(move || {
                let stays = stay_on(cores[1]);
                loop {
                    wait_for(true);
                    let is_last = is_over.load(Ordering::Acquire);
                    is_second.store(false, Ordering::Release);
                    first.unpark();
                    if is_last {
                        return stays;
                    }
                }
            });
            let turn = || {
                is_second.store(true, Ordering::Release);
                second.thread().unpark();
                wait_for(false);
                Ok(())
            };
            let cost = cost(turns, turn);
            is_over.store(true, Ordering::Release);
            turn()?;
            second.join().expect("it does not panic")?;
            cost
        });
        first.join().expect("it does not panic")
    })
}

#[derive(Clone)]
struct Cost {
    /// From one thread to the other.
    hop: Duration,
    /// How often the kernel switched, for each hop.
    switches: f64,
    /// The cores on which the thread that measured it might run.
    cores: Vec<usize>,
    disturbed: Option<String>,
}

fn cost(turns: u32, mut turn: impl FnMut() -> io::Result<()>) -> io::Result<Cost> {
    turn()?; // the other one has started
    let (before, start) = (Activity::of_process()?, Instant::now());
    for _ in 0..turns {
        turn()?;
    }
    let (took, did) = (start.elapsed(), Activity::of_process()?.since(before));
    let (hops, switches) = (2 * turns, did.voluntary_switches + did.involuntary_switches);
    // On one core each hop has a short wait, until the other thread is gone from it.
    let kept = did.waited + did.stolen;
    let disturbed = (kept > did.on_cpu)
        .then(|| format!("the machine is busy: others had the CPU for {kept:.1?}"));
    let switches = switches as f64 / f64::from(hops);
    Ok(Cost { hop: took / hops, switches, cores: cores::allowed()?, disturbed })
}

fn on_one_core(core: usize, turns: u32) -> io::Result<[Cost; 3]> {
    let two = [core; 2];
    Ok([one_pipe(core, turns)?, over_pipes(two, turns)?, by_futex(two, turns)?])
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("1 to 2 µs for a switch on one core; from core to core it takes longer")?;
    let cores = cores::first_and_last()?;
    let [alone, pipes, futex] = on_one_core(cores[0], TURNS)?;
    report.say(format_args!("{:31}{:>7}{:>14}{:>14}", "in µs", "a hop", "less I/O", "switches"))?;
    let mut row = |name: &str, cost: &Cost, of_it: Duration| {
        let us = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e6);
        // Less than nothing: one of the two was disturbed.
        let switch = cost.hop.checked_sub(of_it).map_or("-".to_owned(), us);
        report.say(format_args!("{name:31}{:>7}{switch:>14}{:>14.2}", us(cost.hop), cost.switches))
    };
    row("one thread alone, a pipe", &alone, alone.hop)?;
    row("one core, two pipes", &pipes, alone.hop)?;
    row("one core, a futex", &futex, Duration::ZERO)?;
    if cores[0] != cores[1] {
        row("two cores, two pipes", &over_pipes(cores, TURNS)?, alone.hop)?;
        row("two cores, a futex", &by_futex(cores, TURNS)?, Duration::ZERO)?;
    }
    report.say("")?;
    let switch = pipes.hop.saturating_sub(alone.hop).as_secs_f64() * 1e6;
    let is_one_core = pipes.cores == [cores[0]];
    let reason = alone.disturbed.or(pipes.disturbed).filter(|_| is_one_core);
    let judged = Judgement::of(is_one_core && (0.2..10.0).contains(&switch), || {
        format!("{switch:.2} µs, on the cores {:?}", pipes.cores)
    });
    report.claim("C13", switch, "µs a switch", judged.unless(reason))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn on_one_core_each_hop_is_a_switch() {
        let [core, _] = cores::first_and_last().expect("Linux says it");
        let [_, pipes, futex] = on_one_core(core, 500).expect("the core is ours");
        for cost in [pipes, futex] {
            assert!(cost.switches >= 0.99, "{} switches a hop", cost.switches);
            assert_eq!(cost.cores, [core]);
        }
    }
}

//! What it costs to go from one task to another, and from one thread to another.
//!
//! Two take turns: by `yield_now`, over a channel, over a condition variable, over a pipe. Predict
//! the cheapest and the dearest. And predict how much a task has left of its advantage when what
//! it waits for comes out of the kernel: two tasks of one thread, and a pipe between them.
//!
//! `cargo run --release -p ch07-asyncio --example task_switch`
//!
//! On one core, the switch is all that is measured. On any core, the kernel decides where a thread
//! that is woken runs, and a core that sleeps must be woken first.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{JoinHandle, Runtime, channel, spawn, yield_now};
use lab::cores;

/// How many rounds are measured; the one in the middle is shown.
const ROUNDS: usize = 7;

/// How often each of the two has its turn in one round.
const TURNS: u32 = 2_000;

/// The time of one switch: `both` are two that have `TURNS` turns each.
fn a_switch(both: impl FnOnce()) -> Duration {
    let start = Instant::now();
    both();
    start.elapsed() / (2 * TURNS)
}

/// Runs what spawns two tasks, until they have ended.
fn two_tasks(tasks: impl FnOnce() -> [JoinHandle<()>; 2]) {
    let runtime = Runtime::new().expect("descriptors are free");
    runtime.block_on(async {
        for task in tasks() {
            task.await.expect("nobody panics");
        }
    });
}

// ANCHOR: yielding
/// Both are ready all the time. Nothing but the ready queue is between them.
fn tasks_that_yield() {
    async fn turns() {
        for _ in 0..TURNS {
            yield_now().await;
        }
    }
    two_tasks(|| [spawn(turns()), spawn(turns())]);
}
// ANCHOR_END: yielding

// ANCHOR: channel
/// Each waits for what the other one sends.
fn tasks_over_a_channel() {
    two_tasks(|| {
        let (ping, mut pings) = channel(1);
        let (pong, mut pongs) = channel(1);
        let first = spawn(async move {
            for turn in 0..TURNS {
                ping.send(turn).await.expect("the other one receives");
                pongs.recv().await.expect("the other one sends");
            }
        });
        let second = spawn(async move {
            while let Some(turn) = pings.recv().await {
                pong.send(turn).await.expect("the other one receives");
            }
        });
        [first, second]
    });
}
// ANCHOR_END: channel

// ANCHOR: condvar
/// Whose turn it is: the first's, when it is true. On Linux, a condition variable is a futex.
fn threads_over_a_condvar() {
    let turn = (Mutex::new(true), Condvar::new());
    let turns = |mine: bool| {
        for _ in 0..TURNS {
            let guard = turn.0.lock().expect("nobody panics while holding this lock");
            let mut guard = turn
                .1
                .wait_while(guard, |turn| *turn != mine)
                .expect("nobody panics while holding this lock");
            *guard = !mine;
            drop(guard); // or the other one would wake up to wait for the lock
            turn.1.notify_one();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| turns(true));
        turns(false);
    });
}
// ANCHOR_END: condvar

#[cfg(unix)]
mod pipes {
    use std::io::{self, Read, Write};
    use std::os::fd::OwnedFd;
    use std::thread;

    use ch07_asyncio::runtime::{AsyncFd, spawn};
    use rustix::io::ioctl_fionbio;

    use super::{TURNS, two_tasks};

    // ANCHOR: thread_pipe
    pub(super) fn threads_over_pipes() {
        fn turns(mut input: io::PipeReader, mut output: io::PipeWriter) -> io::Result<()> {
            for _ in 0..TURNS {
                output.write_all(&[0])?;
                input.read_exact(&mut [0])?;
            }
            Ok(())
        }
        let (pings, ping) = io::pipe().expect("descriptors are free");
        let (pongs, pong) = io::pipe().expect("descriptors are free");
        let second = thread::spawn(move || {
            let (mut pings, mut pong) = (pings, pong);
            while pings.read_exact(&mut [0]).is_ok() {
                pong.write_all(&[0]).expect("the other one reads");
            }
        });
        turns(pongs, ping).expect("the other one reads and writes");
        second.join().expect("the pipe's end ends it");
    }
    // ANCHOR_END: thread_pipe

    // ANCHOR: task_pipe
    /// One thread writes and reads both pipes. Still each byte goes through the kernel: a write, a
    /// read in vain, a wait of the selector, and a read.
    pub(super) fn tasks_over_pipes() {
        let pipe = || {
            let (reader, writer) = io::pipe().expect("descriptors are free");
            let end = |fd: OwnedFd| {
                ioctl_fionbio(&fd, true).expect("a pipe need not block");
                AsyncFd::new(fd).expect("it is a pipe")
            };
            (end(reader.into()), end(writer.into()))
        };
        two_tasks(|| {
            let ((pings, ping), (pongs, pong)) = (pipe(), pipe());
            let first = spawn(async move {
                for _ in 0..TURNS {
                    write(&ping).await;
                    read(&pongs).await;
                }
            });
            let second = spawn(async move {
                for _ in 0..TURNS {
                    read(&pings).await;
                    write(&pong).await;
                }
            });
            [first, second]
        });
    }

    async fn read(pipe: &AsyncFd<OwnedFd>) {
        let read = pipe.read_with(|fd| Ok(rustix::io::read(fd, &mut [0])?));
        assert_eq!(read.await.expect("the other one writes"), 1);
    }

    async fn write(pipe: &AsyncFd<OwnedFd>) {
        let write = pipe.write_with(|fd| Ok(rustix::io::write(fd, &[0])?));
        assert_eq!(write.await.expect("the other one reads"), 1);
    }
    // ANCHOR_END: task_pipe
}

/// The experiments, from what is expected to be the cheapest.
const WAYS: &[(&str, fn())] = &[
    ("two tasks, yield_now", tasks_that_yield),
    ("two tasks, a channel", tasks_over_a_channel),
    #[cfg(unix)]
    ("two tasks, pipes", pipes::tasks_over_pipes),
    ("two threads, a condvar", threads_over_a_condvar),
    #[cfg(unix)]
    ("two threads, pipes", pipes::threads_over_pipes),
];

// ANCHOR: measure
/// The middle of several rounds, for each of [`WAYS`]. In each round all of them have their turn,
/// so that a noisy moment is a noisy moment of all.
fn measure() -> Vec<Duration> {
    let mut times = vec![Vec::new(); WAYS.len()];
    for _ in 0..ROUNDS {
        for ((_, way), times) in WAYS.iter().zip(&mut times) {
            times.push(a_switch(way));
        }
    }
    let middle = |mut times: Vec<Duration>| {
        times.sort();
        times[ROUNDS / 2]
    };
    times.into_iter().map(middle).collect()
}

/// The same, with this thread and those that it starts on one core. An error says why not.
fn measure_on_one_core() -> Result<Vec<Duration>, io::Error> {
    let pinned = thread::spawn(|| {
        cores::stay_on(cores::first_and_last()?[0])?;
        Ok(measure())
    });
    pinned.join().expect("the measurement does not panic")
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    let (one_core, any_core) = (measure_on_one_core(), measure());
    writeln!(out, "one switch, in nanoseconds\n\n{:22} {:>9} {:>9}", "", "one core", "any core")?;
    for (row, (name, _)) in WAYS.iter().enumerate() {
        let one = one_core.as_ref().map_or("-".into(), |times| times[row].as_nanos().to_string());
        writeln!(out, "{name:22} {one:>9} {:>9}", any_core[row].as_nanos())?;
    }
    if let Err(error) = one_core {
        writeln!(out, "\none core: not judged: {error}")?;
    }
    if cfg!(debug_assertions) {
        writeln!(out, "\nThis build is not optimized: with --release, our part of it is smaller.")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("task_switch", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ratios of medians of one run. With --release they are larger: without, our own code is slow
    /// and the kernel's is not.
    #[cfg(unix)]
    #[test]
    fn what_goes_through_the_kernel_costs_several_times_a_yield() {
        let times = match measure_on_one_core() {
            Ok(times) => times,
            Err(reason) => return println!("not judged: {reason}"),
        };
        let [yielding, _channel, task_pipe, _condvar, thread_pipe] = times[..] else {
            panic!("{} rows", times.len());
        };
        assert!(thread_pipe >= 5 * yielding, "{thread_pipe:?}, {yielding:?}");
        assert!(task_pipe >= 5 * yielding, "{task_pipe:?}, {yielding:?}");
    }
}

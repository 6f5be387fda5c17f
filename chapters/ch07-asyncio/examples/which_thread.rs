//! Which thread polls a task?
//!
//! The same three tasks, each of which gives its thread back a hundred times, on five executors.
//! Each poll writes down the thread that does it. Predict for each row on how many threads the
//! tasks were polled, and whether the thread that called `block_on` was among them.
//!
//! The figure for two workers differs from run to run: a task goes to whichever worker is free, and
//! it may change its thread at every `.await`.
//!
//! `cargo run -p ch07-asyncio --features tokio,smol --example which_thread`

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use ch07_asyncio::runtime::{self, yield_now};
use tokio::runtime::Builder;

const TASKS: usize = 3;
const YIELDS: usize = 100;

// ANCHOR: task
/// The threads that polled.
#[derive(Clone, Default)]
struct Threads(Arc<Mutex<HashSet<ThreadId>>>);

impl Threads {
    fn note(&self) {
        let mut threads = self.0.lock().expect("nobody panics while holding this lock");
        threads.insert(thread::current().id());
    }

    /// A task. (Our `yield_now` asks nothing of its executor but a waker, so any will do.)
    async fn task(self) {
        for _ in 0..YIELDS {
            self.note();
            yield_now().await;
        }
        self.note();
    }
}
// ANCHOR_END: task

// ANCHOR: executors
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Executor {
    Ours,
    TokioCurrentThread,
    TokioMultiThread { workers: usize },
    SmolLocal,
}

const EXECUTORS: [Executor; 5] = [
    Executor::Ours,
    Executor::TokioCurrentThread,
    Executor::TokioMultiThread { workers: 1 },
    Executor::TokioMultiThread { workers: 2 },
    Executor::SmolLocal,
];

impl Executor {
    /// Spawns the tasks and waits for them.
    fn run(self, threads: &Threads) {
        let tasks = (0..TASKS).map(|_| threads.clone().task());
        match self {
            Executor::Ours => {
                runtime::Runtime::new().expect("descriptors are free").block_on(async {
                    for task in tasks.map(runtime::spawn).collect::<Vec<_>>() {
                        task.await.expect("it does not panic");
                    }
                })
            }
            Executor::TokioCurrentThread => tokio_runs(&mut Builder::new_current_thread(), tasks),
            Executor::TokioMultiThread { workers } => {
                tokio_runs(Builder::new_multi_thread().worker_threads(workers), tasks)
            }
            Executor::SmolLocal => {
                let executor = smol::LocalExecutor::new();
                smol::block_on(executor.run(async {
                    for task in tasks.map(|task| executor.spawn(task)).collect::<Vec<_>>() {
                        task.await;
                    }
                }));
            }
        }
    }
}

fn tokio_runs(
    builder: &mut Builder,
    tasks: impl Iterator<Item = impl Future<Output = ()> + Send + 'static>,
) {
    builder.build().expect("threads are to be had").block_on(async {
        for task in tasks.map(tokio::spawn).collect::<Vec<_>>() {
            task.await.expect("it does not panic");
        }
    });
}
// ANCHOR_END: executors

// ANCHOR: measure
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Polled {
    /// By so many different threads.
    threads: usize,
    /// One of them was the thread that called `block_on`.
    by_the_caller: bool,
}

fn measure(executor: Executor) -> Polled {
    let threads = Threads::default();
    executor.run(&threads);
    let threads = threads.0.lock().expect("nobody panics while holding this lock");
    Polled { threads: threads.len(), by_the_caller: threads.contains(&thread::current().id()) }
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{TASKS} tasks{:<30}{:>9}  the caller's among them", "", "threads")?;
    for executor in EXECUTORS {
        let Polled { threads, by_the_caller } = measure(executor);
        let among = if by_the_caller { "yes" } else { "no" };
        writeln!(out, "{:<37}{threads:>9}  {among}", format!("{executor:?}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("which_thread", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_polls_all_and_it_is_the_caller_s() {
        for executor in [Executor::Ours, Executor::TokioCurrentThread, Executor::SmolLocal] {
            let expected = Polled { threads: 1, by_the_caller: true };
            assert_eq!(measure(executor), expected, "{executor:?}");
        }
    }

    #[test]
    fn one_worker_is_one_thread_and_another_one_than_the_caller_s() {
        let polled = measure(Executor::TokioMultiThread { workers: 1 });
        assert_eq!(polled, Polled { threads: 1, by_the_caller: false });
    }

    /// How many of two workers took part is not promised: one may have been quick enough for all.
    #[test]
    fn two_workers_are_two_threads_at_most() {
        let polled = measure(Executor::TokioMultiThread { workers: 2 });
        assert!((1..=2).contains(&polled.threads), "{polled:?}");
        assert!(!polled.by_the_caller);
    }
}

//! Who runs here: the process, its threads, and how each is called.
//!
//! A program that starts no thread prints its process and its threads; then it starts two. Predict
//! how many threads it has at first, and which of the numbers the main thread shares with its
//! process.
//!
//! `cargo run -p ch02-threads --example whoami`

#![forbid(unsafe_code)]

use std::io;
use std::process::{self, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread, ThreadId};

use lab::experiment::{Experiment, Report};
use lab::proc::threads;

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "whoami").with_threads(0);

// ANCHOR: me
/// What a thread knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Me {
    process: u32,
    /// Rust's number: never used again in this process.
    rust: ThreadId,
    /// The kernel's number.
    kernel: Option<u32>,
    name: Option<String>,
    /// As the kernel has it. It keeps 15 bytes.
    short_name: Option<String>,
}

fn me() -> Me {
    let this: Thread = thread::current();
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    let (kernel, rest) = stat.split_once(" (").unzip();
    Me {
        process: process::id(),
        rust: this.id(),
        kernel: kernel.and_then(|number| number.parse().ok()),
        name: this.name().map(str::to_owned),
        short_name: rest.and_then(|rest| Some(rest.rsplit_once(')')?.0.to_owned())),
    }
}
// ANCHOR_END: me

/// Main and two more, all alive at the same time, and how many the kernel counts then.
fn three() -> io::Result<(Vec<Me>, Option<usize>)> {
    let gate = Mutex::new(());
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let closed = closed; // dropped here, it opens the gate, also where a thread is missing
        let look = || {
            let me = me();
            drop(gate.lock()); // nobody ends before all are there
            me
        };
        let named = thread::Builder::new().name("the one who reads".into());
        let named = named.spawn_scoped(scope, look)?;
        let unnamed = thread::Builder::new().spawn_scoped(scope, look)?;
        let (main, count) = (me(), threads().ok());
        drop(closed);
        let join = |thread: thread::ScopedJoinHandle<'_, Me>| thread.join().expect("it only looks");
        Ok((vec![main, join(named), join(unnamed)], count))
    })
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("one thread, called main, whose number in the kernel is that of the process")?;
    let number = |number: Option<u32>| number.map_or("unknown".to_owned(), |it| it.to_string());
    let count = |count: Option<usize>| count.map_or("unknown".to_owned(), |it| it.to_string());
    report.say(format_args!("threads at first: {}", count(threads().ok())))?;
    let (all, of_the_kernel) = three()?;
    report.say(format_args!("threads now:      {}\n", count(of_the_kernel)))?;
    for Me { process, rust, kernel, name, short_name } in all {
        report.say(format_args!("process {process}, thread {}, {rust:?}", number(kernel)))?;
        let [name, short] = [name, short_name].map(|name| name.unwrap_or("no name".to_owned()));
        report.say(format_args!("  name in Rust: {name}; in the kernel: {short}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_one_process_and_each_has_a_number_of_its_own() {
        let (all, count) = three().expect("two threads are free");
        assert!(all.iter().all(|me| me.process == process::id()), "{all:?}");
        let different = |a: usize, b: usize| all[a].rust != all[b].rust;
        assert!(different(0, 1) && different(1, 2) && different(0, 2), "{all:?}");
        assert!(count.is_none_or(|count| count >= 3), "{count:?}");
        if cfg!(target_os = "linux") {
            // The main thread waits for the tests. Its number is that of the process.
            let main = format!("/proc/self/task/{}", process::id());
            assert!(std::fs::exists(main).is_ok_and(|is_there| is_there));
        }
    }

    #[test]
    fn a_thread_has_the_name_that_it_was_given_and_the_kernel_a_part_of_it() {
        let (all, _) = three().expect("two threads are free");
        assert_eq!(all[1].name.as_deref(), Some("the one who reads"));
        assert_eq!(all[2].name, None);
        if cfg!(target_os = "linux") {
            assert_eq!(all[1].short_name.as_deref(), Some("the one who rea"));
            assert!(all[1].kernel.is_some() && all[1].kernel != all[2].kernel, "{all:?}");
            assert_eq!(all[2].short_name, all[0].short_name, "that of the thread that started it");
        }
    }
}

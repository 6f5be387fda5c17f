//! What a waiting task costs in memory, and what a waiting thread costs.
//!
//! 100,000 tasks sleep for an hour on our runtime, and 200 threads wait. Predict how many bytes of
//! memory are resident for each task, and for each thread. A thread may use 2 MiB of stack; a
//! coroutine is said to be a thousand times lighter.
//!
//! `cargo run -p ch07-asyncio --example task_memory`, and with `--features tokio,smol` theirs
//! stand beside ours.
//!
//! The figures hold for tasks that hold nothing while they sleep. What else lives across the
//! `.await` is added to each.

#![forbid(unsafe_code)]

use std::any::Any;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use ch07_asyncio::runtime::{Runtime, sleep, spawn, yield_now};

const TASKS: usize = 100_000;
const THREADS: usize = 200;

/// Longer than the experiment takes.
const HOUR: Duration = Duration::from_secs(3600);

// ANCHOR: resident
/// What the kernel holds for this process at one moment, in bytes.
#[derive(Clone, Copy)]
struct Memory {
    /// Resident pages, counted one by one. (The figure in /proc/self/status is less exact.)
    resident: u64,
    /// The tables that say where they lie.
    tables: u64,
    /// How much of it is in pages of 2 MiB: one of them would hide what a thread touches.
    huge: u64,
}

impl Memory {
    /// `None` where the system does not say.
    fn now() -> Option<Memory> {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        Some(Memory {
            resident: field(&rollup, "Rss:")?,
            tables: field(&status, "VmPTE:")?,
            huge: field(&rollup, "AnonHugePages:")?,
        })
    }
}

/// The number after a name, in bytes; /proc gives it in KiB.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
// ANCHOR_END: resident

// ANCHOR: alone
/// A row of the table: who waits, how many of them, and what starts them. They live as long as what
/// it returns.
type Row = (&'static str, usize, fn() -> Box<dyn Any>);

const ROWS: &[Row] = &[
    ("a thread", THREADS, threads),
    ("a task of ours", TASKS, ours),
    #[cfg(feature = "tokio")]
    ("a task of tokio", TASKS, on_tokio),
    #[cfg(feature = "smol")]
    ("a task of smol", TASKS, on_smol),
];

/// Set for a process that measures one row, to its name. Each row is measured in a process of its
/// own: where another one was before, it would use again what that one gave back.
const ROW: &str = "TASK_MEMORY_ROW";

/// How many bytes each of a row adds to this process.
fn grow((_, number, start): &Row) -> Result<u64, String> {
    let now = || Memory::now().ok_or("this system has no /proc/self/smaps_rollup");
    let before = now()?;
    let _alive = start();
    let after = now()?;
    if after.huge > before.huge {
        return Err("the kernel has used huge pages".into());
    }
    let added = (after.resident + after.tables).saturating_sub(before.resident + before.tables);
    Ok(added / u64::try_from(*number).expect("it is a small number"))
}

/// What a process of this row's own says. An error says why nothing can be said.
fn grow_alone(row: &Row) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(program).args(ARGUMENTS).env(ROW, row.0).output();
    let output = child.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().find_map(|line| line.strip_prefix(FIGURE));
    let figure = found.ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    figure.parse().map_err(|_| figure.to_owned())
}

/// What the process of one row writes before its figure, or before the reason why it has none.
const FIGURE: &str = "= ";

fn print_row(out: &mut dyn Write, name: &str) -> io::Result<()> {
    let row = ROWS.iter().find(|row| row.0 == name);
    let grown = row.map_or_else(|| Err(format!("there is no row {name:?}")), grow);
    let figure = grown.map_or_else(|reason| reason, |bytes| bytes.to_string());
    writeln!(out, "\n{FIGURE}{figure}")
}
// ANCHOR_END: alone

// ANCHOR: ours
/// How many tasks have begun to wait.
static WAITING: AtomicUsize = AtomicUsize::new(0);

fn ours() -> Box<dyn Any> {
    let runtime = Runtime::new().expect("descriptors are free");
    runtime.block_on(async {
        for _ in 0..TASKS {
            spawn(async {
                WAITING.fetch_add(1, Ordering::Relaxed);
                sleep(HOUR).await;
            });
        }
        while WAITING.load(Ordering::Relaxed) < TASKS {
            yield_now().await;
        }
    });
    Box::new(runtime)
}
// ANCHOR_END: ours

#[cfg(feature = "tokio")]
fn on_tokio() -> Box<dyn Any> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("descriptors are free");
    runtime.block_on(async {
        for _ in 0..TASKS {
            tokio::spawn(async {
                WAITING.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(HOUR).await;
            });
        }
        while WAITING.load(Ordering::Relaxed) < TASKS {
            tokio::task::yield_now().await;
        }
    });
    Box::new(runtime)
}

#[cfg(feature = "smol")]
fn on_smol() -> Box<dyn Any> {
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        for _ in 0..TASKS {
            let task = executor.spawn(async {
                WAITING.fetch_add(1, Ordering::Relaxed);
                smol::Timer::after(HOUR).await;
            });
            task.detach();
        }
        while WAITING.load(Ordering::Relaxed) < TASKS {
            smol::future::yield_now().await;
        }
    }));
    Box::new(executor)
}

// ANCHOR: threads
/// Threads that wait. They end when this is dropped.
struct Threads {
    threads: Vec<thread::JoinHandle<()>>,
    release: Option<mpsc::Sender<()>>,
}

fn threads() -> Box<dyn Any> {
    let (release, released) = mpsc::channel();
    let (released, started) = (Arc::new(Mutex::new(released)), Arc::new(Barrier::new(THREADS + 1)));
    let threads = (0..THREADS).map(|_| {
        let (released, started) = (Arc::clone(&released), Arc::clone(&started));
        thread::spawn(move || {
            started.wait();
            let released = released.lock().expect("nobody panics while holding this lock");
            let _ = released.recv(); // an error: the sender was dropped
        })
    });
    let threads = threads.collect();
    started.wait();
    Box::new(Threads { threads, release: Some(release) })
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.release.take());
        for thread in self.threads.drain(..) {
            thread.join().expect("it only waits");
        }
    }
}
// ANCHOR_END: threads

/// How many bytes each holds, row by row.
fn measure() -> Result<Vec<u64>, String> {
    ROWS.iter().map(grow_alone).collect()
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    let figures = match measure() {
        Ok(figures) => figures,
        Err(reason) => return writeln!(out, "not judged: {reason}"),
    };
    writeln!(out, "{TASKS} tasks that sleep, {THREADS} threads that wait; bytes for each:\n")?;
    for ((name, ..), bytes) in ROWS.iter().zip(&figures) {
        writeln!(out, "{name:16} {bytes:>8}")?;
    }
    writeln!(
        out,
        "\nA thread holds {} times as much as a task of ours. Not counted is what it has inside of \
         the\nkernel: a second stack, of 16 KiB on x86-64.",
        figures[0] / figures[1].max(1)
    )
}

/// What the process of one row is started with: the program itself needs nothing.
#[cfg(not(test))]
const ARGUMENTS: &[&str] = &[];

fn main() -> ExitCode {
    command_line::experiment("task_memory", |out| match env::var(ROW) {
        Ok(name) => print_row(out, &name),
        Err(_) => print(out),
    })
}

/// A test program is told which test is the one that plays the row.
#[cfg(test)]
const ARGUMENTS: &[&str] = &["--exact", "tests::a_task_is_ten_to_300_times_lighter", "--nocapture"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_ten_to_300_times_lighter() {
        if let Ok(name) = env::var(ROW) {
            return print_row(&mut io::stdout(), &name).expect("the other process reads");
        }
        let figures = match measure() {
            Ok(figures) => figures,
            Err(reason) => return println!("not judged: {reason}"),
        };
        let (thread, tasks) = (figures[0], &figures[1..]);
        for ((name, ..), bytes) in ROWS[1..].iter().zip(tasks) {
            assert!((50..1024).contains(bytes), "{name}: {bytes} bytes");
        }
        let ratio = thread / tasks[0];
        assert!((10..300).contains(&ratio), "{thread} to {} bytes", tasks[0]);
    }
}

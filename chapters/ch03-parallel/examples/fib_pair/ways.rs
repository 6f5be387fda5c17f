//! Seven ways to compute two numbers of fib, each whole but in one way.

use std::env;
use std::hint::black_box;
use std::io;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use fib_timing::fib;
use lab::spent::Spent;

use crate::gil::{Gil, SWITCH_INTERVAL, fib_under};

pub(crate) type Pair = (u32, u32);
pub(crate) type Both = (Computed, Computed);

/// A result, how long its thread had a CPU for it, and why nothing can be said about that.
#[derive(Clone)]
pub(crate) struct Computed {
    pub(crate) value: u64,
    pub(crate) on_cpu: Duration,
    pub(crate) disturbed: Option<String>,
}

fn timed(compute: impl FnOnce() -> u64) -> io::Result<Computed> {
    let (value, spent) = Spent::on(|| black_box(compute()))?;
    Ok(Computed { value, on_cpu: spent.on_cpu, disturbed: spent.disturbed() })
}

// ANCHOR: ways
pub(crate) fn sequential((a, b): Pair) -> io::Result<Both> {
    Ok((timed(|| fib(a))?, timed(|| fib(b))?))
}

pub(crate) fn threads((a, b): Pair) -> io::Result<Both> {
    both(move || timed(|| fib(a)), move || timed(|| fib(b)))
}

pub(crate) fn on_rayon((a, b): Pair) -> io::Result<Both> {
    let (a, b) = pool()?.join(|| timed(|| fib(a)), || timed(|| fib(b)));
    Ok((a?, b?))
}

pub(crate) fn alone_under_the_gil((a, b): Pair) -> io::Result<Both> {
    let gil = Gil::new(SWITCH_INTERVAL);
    let python = |n| gil.run(|| timed(|| fib_under(&gil, n)));
    Ok((python(a)?, python(b)?))
}

pub(crate) fn under_the_gil((a, b): Pair) -> io::Result<Both> {
    let gil = Gil::new(SWITCH_INTERVAL);
    let python = |n| gil.run(|| timed(|| fib_under(&gil, n)));
    both(|| python(a), || python(b))
}

/// Each in a thread of its own.
fn both(
    a: impl FnOnce() -> io::Result<Computed> + Send,
    b: impl FnOnce() -> io::Result<Computed> + Send,
) -> io::Result<Both> {
    thread::scope(|scope| {
        let (a, b) = (scope.spawn(a), scope.spawn(b));
        let (a, b) = (a.join().expect("fib does not panic"), b.join().expect("fib does not panic"));
        Ok((a?, b?))
    })
}
// ANCHOR_END: ways

fn pool() -> io::Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().map_err(io::Error::other)
}

// ANCHOR: pieces
/// Pieces of this size are not divided any more.
const PIECE: u32 = 28;

/// fib(n) in pieces, of which any worker may take any.
fn in_pieces(n: u32) -> io::Result<Computed> {
    if n <= PIECE {
        return timed(|| fib(n));
    }
    let (a, b) = rayon::join(|| in_pieces(n - 1), || in_pieces(n - 2));
    let (a, b) = (a?, b?);
    let (value, on_cpu) = (a.value + b.value, a.on_cpu + b.on_cpu);
    Ok(Computed { value, on_cpu, disturbed: a.disturbed.or(b.disturbed) })
}

pub(crate) fn on_rayon_in_pieces((a, b): Pair) -> io::Result<Both> {
    let (a, b) = pool()?.join(|| in_pieces(a), || in_pieces(b));
    Ok((a?, b?))
}
// ANCHOR_END: pieces

// ANCHOR: processes
/// Set for a worker process, to its number.
pub(crate) const WORKER: &str = "FIB_PAIR_WORKER";
/// What a worker writes before its figures.
const FIGURES: &str = "= ";

pub(crate) fn processes((a, b): Pair) -> io::Result<Both> {
    let (a, b) = (Worker::start(a)?, Worker::start(b)?);
    Ok((a.computed()?, b.computed()?))
}

/// A process. Dropped, it is ended.
struct Worker(Child);

impl Worker {
    fn start(n: u32) -> io::Result<Worker> {
        let mut command = Command::new(env::current_exe()?);
        command.args(ARGUMENTS).env(WORKER, n.to_string()).stdout(Stdio::piped());
        command.spawn().map(Worker)
    }

    fn computed(mut self) -> io::Result<Computed> {
        let output = self.0.stdout.take().expect("it was asked for as a pipe");
        let text = io::read_to_string(output)?; // until it has ended
        let figures = text.lines().find_map(|line| line.strip_prefix(FIGURES)?.split_once(' '));
        let figures = figures.and_then(|(value, nanos)| value.parse().ok().zip(nanos.parse().ok()));
        let (value, nanos) = figures.ok_or_else(|| io::Error::other("a worker was lost"))?;
        Ok(Computed { value, on_cpu: Duration::from_nanos(nanos), disturbed: None })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill(); // an error: it has ended
        let _ = self.0.wait();
    }
}

pub(crate) fn work(n: &str) -> io::Result<String> {
    let Computed { value, on_cpu, .. } = timed(|| fib(n.parse().unwrap_or(0)))?;
    Ok(format!("\n{FIGURES}{value} {}", on_cpu.as_nanos()))
}
// ANCHOR_END: processes

/// What a worker is started with: the program itself needs nothing.
#[cfg(not(test))]
const ARGUMENTS: &[&str] = &[];

/// A test program is told which test is the one that plays the worker.
#[cfg(test)]
const ARGUMENTS: &[&str] = &["--exact", "tests::each_way_computes_both", "--nocapture"];

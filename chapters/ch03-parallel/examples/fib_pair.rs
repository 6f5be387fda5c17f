//! fib(40) and fib(41): one after the other, and in five ways at once.
//!
//! Each of the two computations is indivisible in all but one of these ways. Predict which gain is
//! the best that two cores can give for such a pair. Is it 2? Then predict what one lock for all
//! threads, as in CPython, leaves of it.
//!
//! `cargo run -p ch03-parallel --example fib_pair`

#![forbid(unsafe_code)]

mod gil;

use std::env;
use std::hint::black_box;
use std::io;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fib_timing::fib;
use gil::{Gil, SWITCH_INTERVAL, fib_under};
use lab::cpu_time;
use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch03-parallel", "fib_pair");

const PAIR: Pair = (40, 41);

type Pair = (u32, u32);

/// What two computations took of CPUs, each on its own.
type OnCpu = (Duration, Duration);

/// Computes, and says how long this thread had a CPU for it.
fn costs(compute: impl FnOnce() -> u64) -> Duration {
    let before = cpu_time::of_thread().unwrap_or_default();
    black_box(compute());
    cpu_time::of_thread().unwrap_or_default().saturating_sub(before)
}

// ANCHOR: ways
fn sequential((a, b): Pair) -> io::Result<OnCpu> {
    Ok((costs(|| fib(a)), costs(|| fib(b))))
}

fn threads((a, b): Pair) -> io::Result<OnCpu> {
    thread::scope(|scope| {
        let a = scope.spawn(move || costs(|| fib(a)));
        let b = scope.spawn(move || costs(|| fib(b)));
        Ok((a.join().expect("fib does not panic"), b.join().expect("fib does not panic")))
    })
}

fn on_rayon((a, b): Pair) -> io::Result<OnCpu> {
    Ok(pool()?.join(|| costs(|| fib(a)), || costs(|| fib(b))))
}

fn under_the_gil((a, b): Pair) -> io::Result<OnCpu> {
    let gil = Gil::new(SWITCH_INTERVAL);
    let python = |n| gil.run(|| costs(|| fib_under(&gil, n)));
    thread::scope(|scope| {
        let (a, b) = (scope.spawn(|| python(a)), scope.spawn(|| python(b)));
        Ok((a.join().expect("fib does not panic"), b.join().expect("fib does not panic")))
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
fn in_pieces(n: u32) -> Duration {
    if n <= PIECE {
        return costs(|| fib(n));
    }
    let (a, b) = rayon::join(|| in_pieces(n - 1), || in_pieces(n - 2));
    a + b
}

fn on_rayon_in_pieces((a, b): Pair) -> io::Result<OnCpu> {
    Ok(pool()?.join(|| in_pieces(a), || in_pieces(b)))
}
// ANCHOR_END: pieces

/// Set for a worker process, to its number.
const WORKER: &str = "FIB_PAIR_WORKER";
/// What a worker writes before its figure.
const FIGURE: &str = "= ";

fn processes((a, b): Pair) -> io::Result<OnCpu> {
    let (a, b) = (start(a)?, start(b)?);
    let (a, b) = (figure(a), figure(b)); // both have ended, whatever they say
    Ok((a?, b?))
}

fn start(n: u32) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(ARGUMENTS).env(WORKER, n.to_string()).stdout(Stdio::piped()).spawn()
}

fn figure(worker: Child) -> io::Result<Duration> {
    let text = String::from_utf8_lossy(&worker.wait_with_output()?.stdout).into_owned();
    let nanos = text.lines().find_map(|line| line.strip_prefix(FIGURE)?.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::Error::other("a worker was lost"))
}

fn work(n: &str) -> String {
    let cost = costs(|| fib(n.parse().unwrap_or(0)));
    format!("\n{FIGURE}{}", cost.as_nanos())
}

// ANCHOR: run
struct Run {
    wall: Duration,
    on_cpu: OnCpu,
}

fn run(way: fn(Pair) -> io::Result<OnCpu>, pair: Pair) -> io::Result<Run> {
    let start = Instant::now();
    let on_cpu = way(pair)?;
    Ok(Run { wall: start.elapsed(), on_cpu })
}

impl Run {
    fn gain_over(&self, other: &Run) -> f64 {
        other.wall.div_duration_f64(self.wall)
    }

    /// How many cores it had, on the average.
    fn cores(&self) -> f64 {
        (self.on_cpu.0 + self.on_cpu.1).div_duration_f64(self.wall)
    }

    /// Nothing but the machine keeps fib from its core: it waits for nobody, and calls nobody. So
    /// the larger of two that both began at once has one all the time, or the machine is busy.
    fn disturbed(&self) -> Option<String> {
        let longest = self.on_cpu.0.max(self.on_cpu.1);
        (longest < self.wall.mul_f64(0.9))
            .then(|| format!("{longest:?} on a CPU of {:?}: the machine is busy", self.wall))
    }
}
// ANCHOR_END: run

/// fib(n), and how many calls that is.
fn calls(n: u32) -> u64 {
    if n < 2 { 1 } else { 1 + calls(n - 1) + calls(n - 2) }
}

fn growth(n: u32) -> f64 {
    calls(n + 1) as f64 / calls(n) as f64
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn few_cores() -> Option<String> {
    (cores() < 2).then(|| "there is one core".into())
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("threads, processes and rayon 1.618 times as quick; under the lock nothing")?;
    let first = run(sequential, PAIR)?;
    report.say(format_args!(
        "{:<28}{:>8}{:>7}{:>7}",
        "fib(40) and fib(41)", "seconds", "gain", "cores"
    ))?;
    let mut row = |name: &str, run: &Run| {
        let (seconds, gain, cores) = (run.wall.as_secs_f64(), run.gain_over(&first), run.cores());
        report.say(format_args!("{name:<28}{seconds:>8.2}{gain:>7.2}{cores:>7.2}"))
    };
    row("one after the other", &first)?;
    let two_threads = run(threads, PAIR)?;
    row("two threads", &two_threads)?;
    row("two processes", &run(processes, PAIR)?)?;
    row("rayon::join", &run(on_rayon, PAIR)?)?;
    row("rayon, in pieces", &run(on_rayon_in_pieces, PAIR)?)?;
    let locked = run(under_the_gil, PAIR)?;
    row("two threads, a toy GIL", &locked)?;
    report.say("")?;

    let disturbed = first.wall.mul_f64(0.9) > first.on_cpu.0 + first.on_cpu.1;
    let disturbed = disturbed.then(|| "the machine is busy".to_owned());
    let gain = locked.gain_over(&first);
    let judged = Judgement::of(gain <= 1.05, || "the lock let both compute".into());
    report.claim("C96", gain, "times as quick, under a GIL", judged.unless(disturbed.clone()))?;
    let gain = two_threads.gain_over(&first);
    let judged = Judgement::of(gain >= 1.33, || "threads gained little".into());
    let reason = few_cores().or_else(|| two_threads.disturbed()).or(disturbed);
    report.claim("C100", gain, "times as quick, in threads", judged.unless(reason))?;
    let growth = growth(25);
    let judged = Judgement::of((growth - 1.618).abs() < 0.001, || "it grows otherwise".into());
    report.claim("C97", growth, "times the calls for n + 1", judged)
}

/// What a worker is started with: the program itself needs nothing.
#[cfg(not(test))]
const ARGUMENTS: &[&str] = &[];

fn main() -> ExitCode {
    if let Ok(n) = env::var(WORKER) {
        println!("{}", work(&n));
        return ExitCode::SUCCESS;
    }
    EXPERIMENT.main(measure)
}

/// A test program is told which test is the one that plays the worker.
#[cfg(test)]
const ARGUMENTS: &[&str] = &["--exact", "tests::each_way_computes_both", "--nocapture"];

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const SMALL: Pair = (30, 31);

    fn run_small(way: fn(Pair) -> io::Result<OnCpu>) -> Run {
        run(way, SMALL).expect("threads and processes are free")
    }

    #[test]
    fn each_way_computes_both() {
        if let Ok(n) = env::var(WORKER) {
            return println!("{}", work(&n));
        }
        for way in [sequential, threads, processes, on_rayon, on_rayon_in_pieces, under_the_gil] {
            let (a, b) = run_small(way).on_cpu;
            // The larger one takes 1.6 times as long. Less exactly: a core may be slow at times.
            assert!(a > Duration::ZERO && b > a / 2, "{a:?} {b:?}");
        }
    }

    #[test]
    fn under_the_gil_two_threads_have_one_core() {
        let cores = run_small(under_the_gil).cores();
        assert!(cores < 1.2, "{cores}");
    }

    #[test]
    fn two_threads_have_more_than_one_core() {
        let run = run_small(threads);
        let judged = Judgement::of(run.cores() > 1.33, || format!("{}", run.cores()));
        judged.unless(few_cores().or_else(|| run.disturbed())).assert();
    }

    #[test]
    fn the_toy_interpreter_computes_fib() {
        let gil = Gil::new(SWITCH_INTERVAL);
        assert_eq!(gil.run(|| fib_under(&gil, 24)), fib(24));
    }

    #[test]
    fn fib_n_is_2_fib_of_n_plus_1_minus_1_calls_and_grows_by_phi() {
        for n in 0..20 {
            assert_eq!(calls(n), 2 * fib(n + 1) - 1);
        }
        let phi = (1.0 + 5.0_f64.sqrt()) / 2.0;
        assert!((growth(25) - phi).abs() < 0.001);
        // One after the other takes 1 + φ, both at once as long as the longer one, φ.
        assert!(((1.0 + phi) / phi - phi).abs() < 1e-9);
    }
}

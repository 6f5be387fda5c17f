//! fib(40) and fib(41): one after the other, and in five ways at once.
//!
//! Each of the two computations is indivisible in all but one of these ways. Predict which gain is
//! the best that two cores can give for such a pair. Is it 2? Then predict what one lock for all
//! threads, as in CPython, leaves of it.
//!
//! `cargo run -p ch03-parallel --example fib_pair`

#![forbid(unsafe_code)]

#[path = "../gil/mod.rs"]
mod gil;
mod ways;

use std::env;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Judgement, Report};
use ways::{
    Both, Pair, WORKER, alone_under_the_gil, on_rayon, on_rayon_in_pieces, processes, sequential,
    threads, under_the_gil, work,
};

const EXPERIMENT: Experiment = Experiment::new("ch03-parallel", "fib_pair");

const PAIR: Pair = (40, 41);

struct Run {
    wall: Duration,
    both: Both,
}

fn run(way: fn(Pair) -> io::Result<Both>, pair: Pair) -> io::Result<Run> {
    let start = Instant::now();
    let both = way(pair)?;
    Ok(Run { wall: start.elapsed(), both })
}

impl Run {
    fn gain_over(&self, other: &Run) -> f64 {
        other.wall.div_duration_f64(self.wall)
    }

    fn on_cpu(&self) -> Duration {
        self.both.0.on_cpu + self.both.1.on_cpu
    }

    /// How many cores it had, on the average.
    fn cores(&self) -> f64 {
        self.on_cpu().div_duration_f64(self.wall)
    }

    fn disturbed(&self) -> Option<String> {
        self.both.0.disturbed.clone().or_else(|| self.both.1.disturbed.clone())
    }
}

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
        format!("fib({}) and fib({})", PAIR.0, PAIR.1),
        "seconds",
        "gain",
        "cores"
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
    row("one thread, a toy GIL", &run(alone_under_the_gil, PAIR)?)?;
    let locked = run(under_the_gil, PAIR)?;
    row("two threads, a toy GIL", &locked)?;
    report.say("")?;

    let disturbed = first.disturbed();
    let gain = locked.gain_over(&first);
    let judged = Judgement::of(gain <= 1.05, || "the lock let both compute".into());
    let reason = few_cores().or_else(|| disturbed.clone());
    report.claim("C96", gain, "times as quick, under a GIL", judged.unless(reason))?;
    let gain = two_threads.gain_over(&first);
    let judged = Judgement::of(gain >= 1.33, || "threads gained little".into());
    let reason = few_cores().or_else(|| two_threads.disturbed()).or(disturbed);
    report.claim("C100", gain, "times as quick, in threads", judged.unless(reason))?;
    let growth = growth(25);
    let judged = Judgement::of((growth - 1.618).abs() < 0.001, || "it grows otherwise".into());
    report.claim("C97", growth, "times the calls for n + 1", judged)
}

fn main() -> ExitCode {
    match env::var(WORKER).map(|n| work(&n)) {
        Ok(Ok(figures)) => println!("{figures}"),
        Ok(Err(error)) => eprintln!("a worker: {error}"), // the parent misses its figures
        Err(_) => return EXPERIMENT.main(measure),
    }
    ExitCode::SUCCESS
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use fib_timing::fib;
    use gil::{Gil, SWITCH_INTERVAL, fib_under};

    use super::*;

    const SMALL: Pair = (30, 31);

    /// The cores are those of all tests: one at a time.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());

        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_small(way: fn(Pair) -> io::Result<Both>) -> Run {
        run(way, SMALL).expect("threads and processes are free")
    }

    #[test]
    fn each_way_computes_both() {
        if let Ok(n) = env::var(WORKER) {
            return println!("{}", work(&n).expect("it is a Unix"));
        }
        let _alone = alone();
        let locked = [alone_under_the_gil, under_the_gil];
        let free = [sequential, threads, processes, on_rayon, on_rayon_in_pieces];
        for way in free.into_iter().chain(locked) {
            let (a, b) = run_small(way).both;
            assert_eq!((a.value, b.value), (fib(SMALL.0), fib(SMALL.1)));
            // The larger one takes 1.6 times as long. Less exactly: a core may be slow at times.
            assert!(a.on_cpu > Duration::ZERO && b.on_cpu > a.on_cpu / 2);
        }
    }

    #[test]
    fn under_the_gil_two_threads_have_one_core() {
        let _alone = alone();
        let cores = run_small(under_the_gil).cores();
        assert!(cores < 1.2, "{cores}");
    }

    #[test]
    fn two_threads_have_more_than_one_core() {
        let _alone = alone();
        // A thread may have to wait before it begins to count its time: but not each time.
        let judge = || {
            let run = run_small(threads);
            let judged = Judgement::of(run.cores() > 1.33, || format!("{}", run.cores()));
            judged.unless(few_cores().or_else(|| run.disturbed()))
        };
        Judgement::of_tries(10, judge).assert();
    }

    #[test]
    fn the_toy_interpreter_computes_fib() {
        let _alone = alone();
        let gil = Gil::new(SWITCH_INTERVAL);
        assert_eq!(gil.run(|| fib_under(&gil, 24)), fib(24));
    }

    #[test]
    fn fib_n_is_2_fib_of_n_plus_1_minus_1_calls_and_grows_by_phi() {
        let _alone = alone();
        for n in 0..20 {
            assert_eq!(calls(n), 2 * fib(n + 1) - 1);
        }
        let phi = (1.0 + 5.0_f64.sqrt()) / 2.0;
        assert!((growth(25) - phi).abs() < 0.001);
        // One after the other takes 1 + φ, both at once as long as the longer one, φ.
        assert!(((1.0 + phi) / phi - phi).abs() < 1e-9);
    }
}

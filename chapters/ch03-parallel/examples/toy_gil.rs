//! What one lock for all threads does: a toy of CPython's GIL, and the four things that are said
//! of it.
//!
//! Whoever executes holds the lock. Who waits for it asks for it after 5 ms. Around what waits, a
//! thread lets it go. Predict: (1) how many of two threads are between two instructions at once;
//! (2) how often two that compute for 200 ms hand the lock over; (3) how many of two waits overlap,
//! with the lock let go and with the lock held; (4) how long a thread whose answer is there must
//! wait while another one computes.
//!
//! `cargo run -p ch03-parallel --example toy_gil`

#![forbid(unsafe_code)]

mod gil;

use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fib_timing::fib;
use gil::{Gil, SWITCH_INTERVAL, fib_under};
use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch03-parallel", "toy_gil");

/// Nothing here takes so long, unless the lock does not do what it should.
const TOO_LONG: Duration = Duration::from_secs(10);

/// How many are in a section, and how many were at most.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Inside {
    fn while_in(&self, work: impl FnOnce()) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        work();
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

struct Computed {
    at_once: usize,
    hand_overs: u64,
}

/// Two threads compute, for a while and until the lock was handed over.
fn compute(gil: &Gil, at_least: Duration) -> Computed {
    let (inside, start) = (Inside::default(), Instant::now());
    let python = || {
        gil.run(|| {
            while start.elapsed() < at_least || (gil.hand_overs() < 2 && start.elapsed() < TOO_LONG)
            {
                inside.while_in(|| {
                    black_box(fib(15));
                });
                gil.checkpoint();
            }
        });
    };
    thread::scope(|scope| {
        scope.spawn(python);
        scope.spawn(python);
    });
    Computed { at_once: inside.most(), hand_overs: gil.hand_overs() }
}

/// Two threads wait for each other, each in its input or output. Says how many waited at once.
///
/// With the lock held they would do so for ever: so there the wait is only a short sleep.
fn wait(lets_go: bool) -> usize {
    let (gil, inside, both) = (Gil::new(SWITCH_INTERVAL), Inside::default(), Barrier::new(2));
    let python = || {
        gil.acquire();
        if lets_go {
            gil.release();
            inside.while_in(|| {
                both.wait();
            });
            gil.acquire();
        } else {
            inside.while_in(|| thread::sleep(Duration::from_millis(20)));
        }
        gil.release();
    };
    thread::scope(|scope| {
        scope.spawn(python);
        scope.spawn(python);
    });
    inside.most()
}

/// How late a thread goes on after its answer is there, again and again, while another computes:
/// with the lock, or without.
fn late(interval: Option<Duration>, answers: usize) -> Vec<Duration> {
    let gil = interval.map(Gil::new);
    let (is_over, computed) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    let (ask, asked) = mpsc::channel::<()>();
    let (answer, answered) = mpsc::channel();
    let its_computed = Arc::clone(&computed);
    // The other end of a connection, outside of the interpreter.
    let server = thread::spawn(move || {
        while let Ok(()) = asked.recv() {
            let before = its_computed.load(Ordering::Relaxed);
            while its_computed.load(Ordering::Relaxed) == before {
                thread::yield_now(); // the answer comes while the other thread computes
            }
            let _ = answer.send(Instant::now());
        }
    });
    let computes = || {
        gil.iter().for_each(Gil::acquire);
        let start = Instant::now();
        while !is_over.load(Ordering::Relaxed) && start.elapsed() < TOO_LONG {
            black_box(fib(15));
            computed.fetch_add(1, Ordering::Relaxed);
            gil.iter().for_each(Gil::checkpoint);
        }
        gil.iter().for_each(Gil::release);
    };
    let waits = || {
        gil.iter().for_each(Gil::acquire);
        let late = (0..answers).map(|_| {
            gil.iter().for_each(Gil::release);
            ask.send(()).expect("the server ends after us");
            let since = answered.recv().expect("the server answers");
            gil.iter().for_each(Gil::acquire);
            since.elapsed()
        });
        let late = late.collect();
        is_over.store(true, Ordering::Relaxed);
        gil.iter().for_each(Gil::release);
        late
    };
    let late = thread::scope(|scope| {
        scope.spawn(computes);
        waits()
    });
    drop(ask);
    server.join().expect("it only answers");
    late
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    const WORK: Duration = Duration::from_millis(200);

    report.expects("1 at once; a hand-over every 5 ms; waits overlap if let go; 5 ms late")?;
    let alone = Gil::new(SWITCH_INTERVAL);
    black_box(alone.run(|| fib_under(&alone, 30)));
    let two = compute(&Gil::new(SWITCH_INTERVAL), WORK);
    let often = compute(&Gil::new(Duration::from_micros(50)), WORK);
    report.say(format_args!("threads between two instructions at once: {}", two.at_once))?;
    report.say(format_args!("hand-overs, one thread computes:          {}", alone.hand_overs()))?;
    report.say(format_args!("hand-overs in 200 ms, two compute:        {}", two.hand_overs))?;
    report.say(format_args!("the same with an interval of 50 µs:       {}", often.hand_overs))?;
    report.say(format_args!("waits at once, the lock let go:           {}", wait(true)))?;
    report.say(format_args!("waits at once, the lock held:             {}", wait(false)))?;
    let late_with = median(late(Some(SWITCH_INTERVAL), 21));
    let late_without = median(late(None, 21));
    report.say(format_args!("late after an answer, with the lock:      {late_with:.1?}"))?;
    report.say(format_args!("late after an answer, without:            {late_without:.1?}\n"))?;

    let judged = Judgement::of(two.at_once == 1, || "the lock let both in".into());
    report.claim("C95", two.at_once as f64, "thread at once", judged)?;
    let judged = Judgement::of(late_with >= SWITCH_INTERVAL, || "it came sooner".into());
    report.claim("C99", late_with.as_secs_f64() * 1e3, "ms late after an answer", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_executes_at_a_time_and_the_lock_changes_hands() {
        let computed = compute(&Gil::new(Duration::from_millis(1)), Duration::from_millis(20));
        assert_eq!(computed.at_once, 1);
        assert!(computed.hand_overs >= 2);
    }

    #[test]
    fn who_computes_alone_never_hands_it_over() {
        let gil = Gil::new(Duration::from_micros(1));
        black_box(gil.run(|| fib_under(&gil, 25)));
        assert_eq!(gil.hand_overs(), 0);
    }

    #[test]
    fn waits_overlap_only_where_the_lock_is_let_go() {
        assert_eq!((wait(true), wait(false)), (2, 1));
    }

    /// The inversion: the thread that hardly computes waits a whole interval each time.
    #[test]
    fn who_waits_for_an_answer_waits_an_interval_more_for_the_lock() {
        let interval = Duration::from_millis(20);
        let late = late(Some(interval), 3);
        assert!(late.iter().all(|late| *late >= interval), "{late:?}");
    }

    #[test]
    fn without_the_lock_it_goes_on_as_soon_as_it_has_a_core() {
        // The best of some: a busy machine delays some of them.
        let late = late(None, 20);
        assert!(late.iter().min() < Some(&SWITCH_INTERVAL), "{late:?}");
    }
}

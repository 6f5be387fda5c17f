//! Two threads add 1 to one number. What is refused, what is lost, what is right?
//!
//! Each program here adds 1 twice, in two threads that both stand in the middle of their addition
//! when the other one comes. Predict which of them the compiler refuses, and for the others the
//! sum.
//!
//! `cargo run -p ch02-threads --example race`

#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

use lab::experiment::{Experiment, Report};

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "race");

/// Does not compile: the test in this file gives it to the compiler.
#[cfg(test)]
const WITHOUT_ANYTHING: &str = stringify! {
    // ANCHOR: refused
    pub fn both() -> u64 {
        let mut sum = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| sum += 1);
            scope.spawn(|| sum += 1);
        });
        sum
    }
    // ANCHOR_END: refused
};

/// Does `add` in two threads. They meet where `add` waits at the barrier.
fn in_two_threads(add: impl Fn(&Barrier) + Sync) {
    let middle = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| add(&middle));
        scope.spawn(|| add(&middle));
    });
}

// ANCHOR: atomics
/// Two steps, each of them atomic: the sum is not.
fn read_then_write() -> u64 {
    let sum = AtomicU64::new(0);
    in_two_threads(|middle| {
        let seen = sum.load(Ordering::SeqCst);
        middle.wait();
        sum.store(seen + 1, Ordering::SeqCst);
    });
    sum.into_inner()
}

/// One step: there is no middle.
fn one_step() -> u64 {
    let sum = AtomicU64::new(0);
    in_two_threads(|middle| {
        middle.wait();
        sum.fetch_add(1, Ordering::SeqCst);
    });
    sum.into_inner()
}
// ANCHOR_END: atomics

// ANCHOR: locks
/// The lock is let go in the middle.
fn locked_twice() -> u64 {
    let sum = Mutex::new(0);
    let lock = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    in_two_threads(|middle| {
        let seen = *lock();
        middle.wait();
        *lock() = seen + 1;
    });
    *lock()
}

/// The lock is held from the reading to the writing. Nobody else can stand between them, so they
/// cannot meet there: they meet before.
fn locked_once() -> u64 {
    let sum = Mutex::new(0);
    let lock = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    in_two_threads(|middle| {
        middle.wait();
        let mut sum = lock();
        let seen = *sum;
        *sum = seen + 1;
    });
    *lock()
}
// ANCHOR_END: locks

/// How many of so many additions are lost when nobody arranges that the threads meet.
fn lost_of(additions: u64) -> u64 {
    let sum = AtomicU64::new(0);
    in_two_threads(|start| {
        start.wait();
        for _ in 0..additions / 2 {
            let seen = sum.load(Ordering::Relaxed);
            sum.store(seen + 1, Ordering::Relaxed);
        }
    });
    additions - sum.into_inner()
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    const ADDITIONS: u64 = 2_000_000;

    report.expects("read, then write: 1, with atomics and with a lock; in one step: 2")?;
    report.say(format_args!("atomic read, then atomic write:     {}", read_then_write()))?;
    report.say(format_args!("atomic addition:                    {}", one_step()))?;
    report.say(format_args!("locked to read, locked to write:    {}", locked_twice()))?;
    report.say(format_args!("locked once for both:               {}", locked_once()))?;
    let lost = lost_of(ADDITIONS);
    report.say(format_args!("\nof {ADDITIONS} additions that may meet, lost: {lost}"))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use lab::compiler;

    use super::*;

    #[test]
    fn without_an_atomic_or_a_lock_it_does_not_compile() {
        let errors = compiler::errors(WITHOUT_ANYTHING).expect("what builds this test is there");
        assert_eq!(errors, ["E0499"]);
    }

    #[test]
    fn an_addition_in_two_steps_is_lost() {
        assert_eq!((read_then_write(), locked_twice()), (1, 1));
    }

    #[test]
    fn an_addition_in_one_step_or_under_one_lock_is_not() {
        assert_eq!((one_step(), locked_once()), (2, 2));
    }
}

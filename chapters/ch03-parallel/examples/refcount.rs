//! Why CPython has a lock for all threads, and Rust needs none: the count of references.
//!
//! A clone of a counted reference adds one to a count: read it, add, write it back. Two threads do
//! so. Predict the count when both have read before either writes. Then predict what Rust takes for
//! its two counts: `Rc`, with a plain addition, and `Arc`, with an atomic one, alone and when two
//! threads clone the same one.
//!
//! `cargo run -p ch03-parallel --example refcount` (with `--release`: as programs are shipped)

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io;
use std::marker::PhantomData;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch03-parallel", "refcount");

// ANCHOR: lost
/// WRONG: two threads add one, each in three steps. `both` stands where a thread can be
/// interrupted. (Each step is atomic, since a real data race is undefined and does not compile.)
fn in_three_steps() -> usize {
    let (count, both) = (AtomicUsize::new(1), Barrier::new(2));
    let clone = || {
        let read = count.load(Ordering::Relaxed);
        both.wait();
        count.store(read + 1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        scope.spawn(clone);
        scope.spawn(clone);
    });
    count.into_inner()
}

/// The same in one step.
fn in_one_step() -> usize {
    let count = AtomicUsize::new(1);
    let clone = || {
        count.fetch_add(1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        scope.spawn(clone);
        scope.spawn(clone);
    });
    count.into_inner()
}
// ANCHOR_END: lost

/// Asks the compiler whether a type may move to another thread. The constant of the type itself
/// goes before that of the trait, where it exists.
struct May<T>(PhantomData<T>);

impl<T: Send> May<T> {
    const MOVE: bool = true;
}

trait Otherwise {
    const MOVE: bool = false;
}

impl<T> Otherwise for May<T> {}

const RC_MAY_MOVE: bool = May::<Rc<u32>>::MOVE;
const ARC_MAY_MOVE: bool = May::<Arc<u32>>::MOVE;

const CLONES: u32 = 200_000;
const ROUNDS: usize = 9;

/// What a clone and its drop take, in nanoseconds: the median of some rounds. Before each one, the
/// threads that clone wait for each other.
fn cost<T: Clone>(counted: &T, start: &Barrier) -> f64 {
    let mut rounds = [(); ROUNDS].map(|()| {
        start.wait();
        let start = Instant::now();
        for _ in 0..CLONES {
            drop(black_box(counted.clone()));
        }
        start.elapsed()
    });
    rounds.sort();
    rounds[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(CLONES)
}

fn cost_for_one<T: Clone>(counted: &T) -> f64 {
    cost(counted, &Barrier::new(1))
}

/// For each of two threads that clone the same one.
fn cost_for_two(counted: &Arc<u32>) -> f64 {
    let both = Barrier::new(2);
    thread::scope(|scope| {
        let other = scope.spawn(|| cost(counted, &both));
        cost(counted, &both).max(other.join().expect("it does not panic"))
    })
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("one of two additions is lost; Arc costs more than Rc, and most for two")?;
    report.say(format_args!("1 and two clones, in three steps each: {}", in_three_steps()))?;
    report.say(format_args!("1 and two clones, in one step each:    {}", in_one_step()))?;
    report.say(format_args!("may an Rc move to another thread?      {RC_MAY_MOVE}"))?;
    report.say(format_args!("may an Arc?                            {ARC_MAY_MOVE}\n"))?;
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let (rc, arc) = (cost_for_one(&Rc::new(1)), cost_for_one(&Arc::new(1)));
    let two = cost_for_two(&Arc::new(1));
    report.say(format_args!("a clone and its drop, {profile}:"))?;
    report.say(format_args!("Rc                        {rc:>6.1} ns"))?;
    report.say(format_args!("Arc                       {arc:>6.1} ns"))?;
    report.say(format_args!("Arc, cloned by two threads{two:>6.1} ns\n"))?;
    let is_lost = in_three_steps() == 2 && in_one_step() == 3;
    let judged = Judgement::of(is_lost && !RC_MAY_MOVE && ARC_MAY_MOVE, || "none was lost".into());
    report.claim("C98", 3.0 - in_three_steps() as f64, "of two clones is not counted", judged)?;
    let debug = || "in a debug build the calls cost more than the counting".to_owned();
    let reason = cfg!(debug_assertions).then(debug);
    let judged = Judgement::of(arc > 2.0 * rc, || "atomic steps are cheap".into());
    report.claim("C98", arc / rc, "times the cost, an Arc's clone", judged.unless(reason))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_additions_in_three_steps_one_can_be_lost() {
        assert_eq!((in_three_steps(), in_one_step()), (2, 3));
    }

    #[test]
    fn an_rc_must_not_leave_its_thread_and_an_arc_may() {
        assert_eq!((RC_MAY_MOVE, ARC_MAY_MOVE), (false, true));
    }

    #[test]
    fn an_atomic_count_is_never_cheaper() {
        let (rc, arc) = (Rc::new(1), Arc::new(1));
        // The best of some: a busy machine disturbs some of them.
        let dearer = || cost_for_two(&arc).max(cost_for_one(&arc)) > cost_for_one(&rc);
        assert!((0..10).any(|_| dearer()));
        assert_eq!((Rc::strong_count(&rc), Arc::strong_count(&arc)), (1, 1));
    }
}

//! Does a built program show the behaviours? It is started as a reader starts it, and seen from
//! outside only: lines, times, exit status, CPU time. Which model of waiting it uses makes no
//! difference here, and no chapter is linked in.
//!
//! Counts, orders, texts and statuses are compared exactly. Times are ratios of the program's own
//! period T, which each probe chooses, and are judged by two rules: a control thread that sleeps on
//! the same grid must itself have been on time, or the run does not count (see `timing.rs`); and a
//! failure is believed when it was seen twice. Where a machine is too busy for either, the verdict
//! is [`Verdict::NotJudged`].
//!
//! A probe that cannot fail proves nothing: `tests/probes.rs` holds each one against a program that
//! misbehaves.

mod answers;
mod calibration;
mod endings;
mod hellos;
mod idle;
mod talk;
mod timing;
mod workers;

use std::path::PathBuf;

pub use calibration::{Cost, slow};

use crate::behaviour::Behaviour;
use crate::verdict::Verdict;

/// A program to be judged.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The built program.
    pub exe: PathBuf,
    /// Options that choose an implementation, such as `--offload`.
    pub args: Vec<String>,
    /// Does it compute its answers beside the loop, in as many workers as `--workers` says?
    pub takes_workers: bool,
}

/// A judgement in progress: `?` carries a verdict out as soon as there is one.
type Outcome<T = ()> = Result<T, Verdict>;

/// Judges one behaviour of one program. Takes from a tenth of a second to some seconds; nothing
/// that was started outlives the call.
pub fn probe(subject: &Subject, behaviour: Behaviour) -> Verdict {
    match behaviour {
        Behaviour::B1 => hellos::at_once(subject),
        Behaviour::B2 => answers::right(subject),
        Behaviour::B3 => hellos::while_silent(subject),
        Behaviour::B3b => hellos::during_half_a_line(subject),
        Behaviour::B4 => hellos::during_a_long_fib(subject),
        Behaviour::B5 => answers::to_many_lines(subject),
        Behaviour::B6 => answers::to_split_lines(subject),
        Behaviour::B7 => answers::to_bad_lines(subject),
        Behaviour::B8 => endings::at_end_of_input(subject),
        Behaviour::B9 => endings::at_exit(subject),
        Behaviour::B10 => endings::of_a_file(subject),
        Behaviour::B11 => idle::cpu(subject),
        Behaviour::B12 => idle::wake_ups(subject),
        Behaviour::B13 => hellos::after_a_stall(subject),
        Behaviour::B14 => endings::while_output_is_full(subject),
        Behaviour::B15 => workers::share_the_work(subject),
        Behaviour::B16 => endings::during_a_long_fib(subject),
    }
}

/// What an [`Outcome`] comes to.
fn verdict(outcome: Outcome) -> Verdict {
    outcome.err().unwrap_or(Verdict::Shown)
}

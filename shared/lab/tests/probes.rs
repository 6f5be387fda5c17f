//! Each probe against a program that shows the behaviour, and against programs that do not: a probe
//! that cannot fail would prove nothing about anybody.
//!
//! Where the machine is too busy to judge, that is written to standard error past the test
//! harness's capture, as a line `not judged: …`, and is no failure.

#![cfg(unix)]

use std::io::Write;
use std::path::Path;
use std::thread;

use lab::behaviour::Behaviour::{self, *};
use lab::black_box::{Subject, probe};
use lab::verdict::Verdict;

/// The fixture with one fault, or several separated by spaces; with none it shows everything.
fn fixture(faults: &str) -> Subject {
    let exe = Path::new(env!("CARGO_BIN_EXE_lab-fixture")).to_owned();
    let args = faults.split_whitespace().map(|fault| format!("--{fault}")).collect();
    Subject { exe, args, takes_workers: true }
}

/// Judges, side by side, and asserts each verdict: shown where the second part is empty, else not
/// shown, with a reason that contains it.
#[track_caller]
fn hold(cases: &[(Behaviour, &'static str, &'static str)]) {
    let verdicts: Vec<Verdict> = thread::scope(|scope| {
        let judge = |(behaviour, faults)| scope.spawn(move || probe(&fixture(faults), behaviour));
        let running: Vec<_> = cases.iter().map(|case| (case.0, case.1)).map(judge).collect();
        running.into_iter().map(|thread| thread.join().expect("a probe does not panic")).collect()
    });
    for (&(behaviour, faults, reason), verdict) in cases.iter().zip(verdicts) {
        let told = format!("{behaviour} of the fixture with {faults:?}: {verdict}");
        match &verdict {
            Verdict::NotJudged(_) => {
                writeln!(std::io::stderr(), "not judged: {told}").expect("standard error is open")
            }
            Verdict::Shown => assert!(reason.is_empty(), "{told}"),
            Verdict::NotShown(seen) => {
                assert!(!reason.is_empty() && seen.contains(reason), "{told}")
            }
        }
    }
}

#[test]
fn hello_at_once() {
    hold(&[
        (B1, "", ""),
        (B1, "no-first-hello", "not the first line"),
        (B1, "hello-last", "not the first line"),
        (B1, "slow-start", "no hello within"),
    ]);
}

#[test]
fn hello_on_time() {
    hold(&[
        (B3, "", ""),
        (B3, "hello-on-input", "hello 1 had not come"),
        (B3b, "", ""),
        (B3b, "hold-half-lines", "hello 1 had not come"),
    ]);
}

#[test]
fn hello_during_a_long_fib() {
    hold(&[(B4, "", ""), (B4, "stall", "hello 1 had not come")]);
}

#[test]
fn answers() {
    hold(&[
        (B2, "", ""),
        (B2, "wrong", "no right answer to [0]"),
        (B5, "", ""),
        (B5, "lose-lines", "no right answer to [2, 3"),
        (B6, "", ""),
        (B6, "no-joining", "no right answer to [12"),
        (B7, "", ""),
        (B7, "swallow-errors", "\"x\" was typed"),
        (B7, "die-on-error", "no right answer to [1]"),
    ]);
}

#[test]
fn ends() {
    hold(&[
        (B8, "", ""),
        (B8, "status-3", "status 3"),
        (B8, "drop-pending", "no right answer"),
        (B8, "hang-at-eof", "still running"),
        (B9, "", ""),
        (B9, "ignore-exit", "still running"),
        (B9, "answer-after-exit", "[3, 4] answered"),
        (B10, "", ""),
        (B10, "refuse-files", "cannot wait for a file"),
        (B10, "leave-child", "left behind: sleep"),
    ]);
}

#[test]
fn idle() {
    hold(&[
        (B11, "", ""),
        (B11, "spin", "% of a core"),
        (B12, "", ""),
        (B12, "wake-often", "it woke"),
    ]);
    let spinner = probe(&fixture("spin"), B12);
    assert!(
        matches!(spinner, Verdict::NotJudged(_)),
        "a spinner does not sleep, so its wake-ups say nothing: {spinner}"
    );
}

#[test]
fn hello_after_a_stall() {
    hold(&[
        (B13, "", ""),
        (B13, "burst", "point 3 was next"),
        (B13, "drift", "point 3 was next"),
        (B13, "skip", "not at once"),
        (B13, "hello-on-input", "1 hellos in the 3.5 T"),
    ]);
}

#[test]
fn exit_with_a_full_output() {
    hold(&[(B14, "", ""), (B14, "stall", "with a full stdout")]);
}

#[test]
fn workers() {
    hold(&[
        (B15, "", ""),
        (B15, "one-worker", "waited behind 1 slow"),
        (B15, "thread-each", "overtook 2 slow ones"),
    ]);
}

#[test]
fn exit_during_a_long_fib() {
    hold(&[(B16, "", ""), (B16, "wait-for-slow", "still running")]);
}

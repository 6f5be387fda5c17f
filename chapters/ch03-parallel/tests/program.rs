//! The program as a program: its options, its exit status, its manners.

use lab::program::{ends_quietly_when_nobody_reads, refuses_what_it_does_not_know};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ch03-parallel");

#[test]
fn it_refuses_what_it_does_not_know() {
    refuses_what_it_does_not_know(PROGRAM);
}

#[test]
fn it_ends_quietly_when_nobody_reads_any_more() {
    ends_quietly_when_nobody_reads(PROGRAM, &[], "");
}

/// No hello comes for a thousand seconds, so the answers alone meet the closed output.
#[test]
fn an_answer_that_nobody_reads_ends_it_too() {
    ends_quietly_when_nobody_reads(PROGRAM, &["--every", "1000"], "10\n");
}

#[test]
fn it_ends_quietly_with_worker_processes_too() {
    ends_quietly_when_nobody_reads(PROGRAM, &["--pool", "process", "--workers", "2"], "1\n");
}

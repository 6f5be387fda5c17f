//! The program as a program: its options, its exit status, its manners.
#![cfg(unix)]

use lab::program::{ends_quietly_when_nobody_reads, refuses_what_it_does_not_know};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ch07-asyncio");

#[test]
fn it_refuses_what_it_does_not_know() {
    refuses_what_it_does_not_know(PROGRAM);
}

#[test]
fn it_ends_quietly_when_nobody_reads_any_more() {
    ends_quietly_when_nobody_reads(PROGRAM, &[], "");
}

#[test]
fn it_ends_quietly_with_offload_too() {
    ends_quietly_when_nobody_reads(PROGRAM, &["--offload"], "");
}

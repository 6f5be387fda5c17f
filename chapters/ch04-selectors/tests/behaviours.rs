//! What one thread with a selector can promise, and what it cannot.
#![cfg(unix)]

use std::fs::File;
use std::io;
use std::time::Duration;

use lab::inside::{Gate, Output};

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch04_selectors::run(input, output, period, |n| gate.compute(n))
}

lab::behaviours!(run:
    b1_hello_at_once,
    b2_right_answers,
    b3_hello_while_the_input_is_silent,
    b3b_hello_while_half_a_line_is_pending,
    b4_missed_one_thread_does_both,
    b5_pasted_lines_in_order,
    b7_bad_input_is_reported,
    b8_the_end_of_the_input,
    b9_exit,
    b10_a_regular_file,
    b13_no_burst_after_a_stall,
    b15_b16_missed_the_answers_come_one_at_a_time,
    closed_output_ends_the_program,
);

/// The other half of B10: a descriptor that cannot be read is an error, not a busy loop.
#[test]
fn an_input_that_cannot_be_read_is_an_error() {
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).expect("it exists");
    let result = ch04_selectors::run(folder, io::sink(), Duration::from_secs(1), u64::from);
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::IsADirectory));
}

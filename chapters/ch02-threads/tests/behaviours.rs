//! What two threads can promise, and what they cannot.

use std::fs::File;
use std::io::{self, BufReader};
use std::time::Duration;

use lab::inside::{Gate, Output, Running, SLOW};

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch02_threads::run(BufReader::new(input), output, period, move |n| gate.compute(n))
}

lab::behaviours!(run:
    b1_hello_at_once,
    b2_right_answers,
    b3_hello_while_the_input_is_silent,
    b3b_hello_while_half_a_line_is_pending,
    b4_hello_during_a_long_fib,
    b5_pasted_lines_in_order,
    b7_bad_input_is_reported,
    b8_the_end_of_the_input,
    b9_exit,
    b10_a_regular_file,
    b13_no_burst_after_a_stall,
    b15_b16_missed_the_answers_come_one_at_a_time,
    closed_output_ends_the_program,
);

#[test]
fn the_hellos_and_the_answers_have_a_thread_each() {
    let mut running = Running::start(run);
    running.line(); // the first hello is said before there are two
    let hello = running.line();
    running.write("40\n");
    let computes = running.gate.wait_started(SLOW);
    assert_ne!(hello.thread, computes);
    running.gate.open_all();
    let answer = running.expect_answer(SLOW, u64::from(SLOW));
    assert_eq!(answer.thread, computes, "the thread that computed it says it");
}

#[test]
#[should_panic(expected = "this computation fails")]
fn a_panic_while_computing_leaves_run() {
    fn panics(input: File, output: Output, period: Duration, _: Gate) -> io::Result<()> {
        ch02_threads::run(BufReader::new(input), output, period, |_| {
            panic!("this computation fails")
        })
    }
    let mut running = Running::start(panics);
    running.write("1\n");
    let _ = running.end();
}

//! What a pool of two threads can promise.

use std::fs::File;
use std::io::{self, BufReader};
use std::num::NonZero;
use std::time::Duration;

use ch03_parallel::PENDING_MAX;
use lab::inside::{Gate, Output, Running, SLOW};

const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    let compute = move |n| Ok(gate.compute(n));
    ch03_parallel::run(BufReader::new(input), output, period, compute, TWO)
}

lab::behaviours!(run:
    b1_hello_at_once,
    b2_right_answers,
    b3_hello_while_the_input_is_silent,
    b3b_hello_while_half_a_line_is_pending,
    b4_hello_during_a_long_fib,
    b5_pasted_lines_in_any_order,
    b7_bad_input_is_reported,
    b8_the_end_of_the_input,
    b9_exit,
    b10_a_regular_file,
    b13_no_burst_after_a_stall,
    b15_with_two_workers,
    b16_exit_during_a_slow_fib,
    closed_output_ends_the_program,
    a_fast_writer_has_to_wait,
);

#[test]
fn at_the_limit_the_reader_waits_and_afterwards_all_are_answered() {
    let mut running = Running::start(run);
    let slow = format!("{SLOW}\n");
    running.write(&format!("{}x\n{slow}y\n", slow.repeat(PENDING_MAX)));
    while running.line().is_hello() {} // the error of x: the limit is reached, not passed
    for _ in 0..3 {
        assert!(running.line().is_hello(), "y was read: the reader did not wait");
    }
    running.close();
    running.gate.open_all();
    for _ in 0..PENDING_MAX + 2 {
        running.reply(); // each question, and the error of y
    }
    running.expect_end();
}

#[test]
fn an_answer_that_cannot_be_had_is_an_error_line() {
    fn fails(input: File, output: Output, period: Duration, _: Gate) -> io::Result<()> {
        let compute = |n| if n == 7 { Err(io::Error::other("no")) } else { Ok(u64::from(n)) };
        ch03_parallel::run(BufReader::new(input), output, period, compute, TWO)
    }
    let mut running = Running::start(fails);
    running.write("7\n");
    assert_eq!(running.reply().text, "error: fib(7): no");
    running.write("8\n");
    running.expect_answer(8, 8);
    running.close();
    running.expect_end();
}

//! The same behaviours with the answers computed on the pool: B4, B15 and B16 turn ✓.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::time::Duration;

use ch07_asyncio::PENDING_MAX;
use lab::inside::{Gate, Output, Running, SLOW};

const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch07_asyncio::run_offloaded(input, output, period, move |n| gate.compute(n), TWO)
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
fn answers_are_said_by_the_thread_that_writes_and_computed_by_another() {
    let mut running = Running::start(run);
    let hello = running.line();
    running.write("40\n");
    let computes = running.gate.wait_started(SLOW);
    assert_ne!(computes, hello.thread);
    running.gate.open_all();
    let answer = running.expect_answer(SLOW, u64::from(SLOW));
    assert_eq!(answer.thread, hello.thread);
    running.close();
    running.expect_end();
}

#[test]
fn at_the_limit_no_further_line_is_read_and_afterwards_it_goes_on() {
    let mut running = Running::start(run);
    let slow = format!("{SLOW}\n");
    running.write(&format!("{}x\n{slow}y\n", slow.repeat(PENDING_MAX - 1)));
    while running.line().is_hello() {} // the error of x: one below the limit, lines are still read
    for _ in 0..3 {
        assert!(running.line().is_hello(), "y was read beyond the limit"); // each hello is a turn
    }
    running.gate.open_all();
    let mut others = 0;
    while others < PENDING_MAX + 1 {
        others += usize::from(!running.line().is_hello());
    }
    running.write("10\n"); // and the input is still open
    running.expect_answer(10, 55);
    running.write("10\n");
    running.expect_answer(10, 55);
    running.hellos(2);
    running.close();
    running.expect_end();
}

/// With the output broken nothing more is said, asked or computed.
#[test]
fn after_a_failed_write_no_line_is_computed() {
    let mut running = Running::start(run);
    running.line();
    running.close_output();
    running.write("40\n");
    let (outcome, _) = running.end();
    assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
}

#[test]
fn a_computation_that_panics_ends_the_program_with_an_error() {
    fn panics(input: File, output: Output, period: Duration, _: Gate) -> io::Result<()> {
        let compute = |_| panic!("this computation fails");
        ch07_asyncio::run_offloaded(input, output, period, compute, TWO)
    }
    let mut running = Running::start(panics);
    running.write("7\n");
    let (outcome, _) = running.end();
    let error = outcome.expect_err("the answer can never come");
    assert_eq!(error.to_string(), "the thread that computed fib(7) panicked");
}

/// B5: one worker computes one answer at a time, so they come in the order of the questions.
#[test]
fn one_worker_answers_in_input_order() {
    fn one(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        let workers = NonZero::<usize>::MIN;
        ch07_asyncio::run_offloaded(input, output, period, move |n| gate.compute(n), workers)
    }
    const ROUNDS: usize = 30;
    let mut running = Running::start(one);
    let numbers: String = (0..30).map(|n| format!("{n}\n")).collect();
    running.write(&numbers.repeat(ROUNDS));
    for round in 0..ROUNDS {
        for n in 0..30 {
            let reply = running.reply().text;
            assert!(reply.starts_with(&format!("fib({n}) = ")), "round {round}, {n}: {reply}");
        }
    }
    running.close();
    running.expect_end();
}

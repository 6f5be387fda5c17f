//! What each way of running it promises, and what it cannot.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use lab::inside::{Gate, Output, PERIOD, Running, SLOW};

use crate::offload::PENDING_MAX;

const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");

mod one_thread {
    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        let the_only_thread = thread::current().id();
        crate::run(input, output, period, move |n| {
            // The ✗ of B4: what computes is the thread that polls everything.
            assert_eq!(thread::current().id(), the_only_thread);
            gate.compute(n)
        })
    }

    lab::behaviours!(run:
        b1_hello_at_once,
        b2_right_answers,
        b3_hello_while_the_input_is_silent,
        b3b_hello_while_half_a_line_is_pending,
        b5_pasted_lines_in_order,
        b7_bad_input_is_reported,
        b8_the_end_of_the_input,
        b9_exit,
        b10_a_regular_file,
        b13_no_burst_after_a_stall,
        closed_output_ends_the_program,
    );

    /// The ✗ of B15 and B16.
    #[test]
    fn the_answers_come_one_at_a_time() {
        let mut running = Running::start(run);
        running.write("40\n10\nexit\n");
        running.gate.wait_started(SLOW);
        assert_eq!(running.gate.started(), [SLOW], "the second question waits");
        running.gate.open_all();
        running.expect_answer(SLOW, u64::from(SLOW));
        running.expect_answer(10, 55);
        running.expect_end();
    }

    /// A hello that falls due during an answer is said before the next answer.
    ///
    /// Unless the answer began while an earlier hello was being written: then nobody slept until
    /// the point that went by, and it is skipped. That is rare, so some tries settle it.
    #[test]
    fn a_hello_that_is_due_goes_before_the_next_line() {
        const TRIES: usize = 20;
        assert!((0..TRIES).any(|_| a_hello_follows_the_slow_answer()));
    }

    fn a_hello_follows_the_slow_answer() -> bool {
        let mut running = Running::start(run);
        running.write("40\n1\n2\n");
        running.gate.wait_started(SLOW);
        let started = Instant::now();
        while started.elapsed() < PERIOD * 2 {
            thread::yield_now(); // the passing of two points of the grid is what is waited for
        }
        running.gate.open_all();
        running.expect_answer(SLOW, u64::from(SLOW));
        let hello_follows = running.line().is_hello();
        running.close();
        running.end().0.expect("the program ends without an error");
        hello_follows
    }
}

mod offload {
    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        crate::run_offloaded(input, output, period, move |n| gate.compute(n), TWO)
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
    fn at_the_limit_no_further_line_is_read_and_afterwards_it_goes_on() {
        let mut running = Running::start(run);
        let slow = format!("{SLOW}\n");
        running.write(&format!("{}x\n{slow}y\n", slow.repeat(PENDING_MAX - 1)));
        while running.line().is_hello() {} // the error of x: one below the limit
        for _ in 0..3 {
            assert!(running.line().is_hello(), "y was read beyond the limit");
        }
        running.gate.open_all();
        for _ in 0..PENDING_MAX + 1 {
            running.reply();
        }
        running.close();
        running.expect_end();
    }

    /// B5: one worker computes one answer at a time, so they come in the order of the questions.
    #[test]
    fn one_worker_answers_in_input_order() {
        fn one(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
            let workers = NonZero::<usize>::MIN;
            crate::run_offloaded(input, output, period, move |n| gate.compute(n), workers)
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

    #[test]
    fn a_computation_that_panics_ends_the_program_with_an_error() {
        let mut running = Running::start(|input, output, period, _| {
            let compute = |_| panic!("this computation fails");
            crate::run_offloaded(input, output, period, compute, TWO)
        });
        running.write("7\n");
        let (outcome, _) = running.end();
        let error = outcome.expect_err("the answer can never come");
        assert_eq!(error.to_string(), "the thread that computed fib(7) panicked");
    }
}

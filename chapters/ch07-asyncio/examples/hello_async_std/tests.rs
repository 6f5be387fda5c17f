//! What each way of running it promises, and what it cannot.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::time::Duration;

use lab::inside::{Gate, Output, Run, Running, SLOW, shown};

use crate::questions::PENDING_MAX;

const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");

mod in_a_task {
    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        crate::run(input, output, period, move |n| gate.compute(n), None)
    }

    /// A behaviour, and the test that it is shown.
    type Shown = (&'static str, fn(Run));

    /// One after another: the executor is the same for all, and a computation that is held keeps
    /// one of its threads.
    #[test]
    fn what_it_shows() {
        let needs_one_thread: [Shown; 9] = [
            ("B1", shown::b1_hello_at_once),
            ("B2", shown::b2_right_answers),
            ("B3", shown::b3_hello_while_the_input_is_silent),
            ("B3b", shown::b3b_hello_while_half_a_line_is_pending),
            ("B5", shown::b5_pasted_lines_in_any_order),
            ("B7", shown::b7_bad_input_is_reported),
            ("B9", shown::b9_exit),
            ("B10", shown::b10_a_regular_file),
            ("closed output", shown::closed_output_ends_the_program),
        ];
        let needs_two: [Shown; 4] = [
            ("B4", shown::b4_hello_during_a_long_fib),
            ("B8", shown::b8_the_end_of_the_input),
            ("B13", shown::b13_no_burst_after_a_stall),
            ("B16", shown::b16_exit_during_a_slow_fib),
        ];
        for (name, shown) in needs_one_thread {
            println!("{name}");
            shown(run);
        }
        if std::thread::available_parallelism().map_or(1, NonZero::get) < 2 {
            println!("not judged: B4, B8, B13 and B16 need an executor of two threads");
            return;
        }
        for (name, shown) in needs_two {
            println!("{name}");
            shown(run);
        }
    }
}

mod offload {
    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        crate::run(input, output, period, move |n| gate.compute(n), Some(TWO))
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
            crate::run(input, output, period, move |n| gate.compute(n), Some(workers))
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
            crate::run(input, output, period, compute, Some(TWO))
        });
        running.write("7\n");
        let (outcome, _) = running.end();
        let error = outcome.expect_err("the answer can never come");
        assert_eq!(error.to_string(), "the thread that computed fib(7) panicked");
    }
}

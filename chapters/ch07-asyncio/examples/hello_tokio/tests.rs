//! What each way of running it promises, and what it cannot.

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lab::inside::{Gate, Output, PERIOD, Running, SLOW};

use crate::beside::{Beside, PENDING_MAX, run_beside};
use crate::threads::LineReader;

const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");

fn run_with(
    input: File,
    output: Output,
    period: Duration,
    gate: Gate,
    beside: Beside,
) -> io::Result<()> {
    run_beside(LineReader::new(input)?, output, period, move |n| gate.compute(n), beside)
}

mod one_thread {
    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        let the_only_thread = thread::current().id();
        crate::run(LineReader::new(input)?, output, period, move |n| {
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
        b15_b16_missed_the_answers_come_one_at_a_time,
        closed_output_ends_the_program,
    );
}

mod offload {
    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        let beside = Beside { multi_thread: false, offload: true, workers: TWO };
        run_with(input, output, period, gate, beside)
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
}

mod multi_thread {
    use super::*;

    const BESIDE: Beside = Beside { multi_thread: true, offload: false, workers: TWO };

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        run_with(input, output, period, gate, BESIDE)
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
        b16_exit_during_a_slow_fib,
        closed_output_ends_the_program,
    );

    /// Two slow answers on two workers: nothing is polled any more. (With a worker to spare there
    /// would be a hello for each point.)
    #[test]
    fn as_many_slow_answers_as_workers_stop_the_hellos() {
        const POINTS: u32 = 10;
        let mut running = Running::start(run);
        running.write("40\n");
        let one = running.gate.wait_started(SLOW);
        running.write("41\n");
        let other = running.gate.wait_started(41);
        assert_ne!(one, other);
        let held = Instant::now();
        while held.elapsed() < PERIOD * POINTS {
            thread::yield_now(); // the passing of these points is what is waited for
        }
        let opened = Instant::now();
        running.gate.open_all();
        let mut hellos = 0;
        for _ in [SLOW, 41] {
            let mut line = running.line();
            while line.is_hello() {
                hellos += usize::from((held..opened).contains(&line.at));
                line = running.line();
            }
            assert!(line.text.starts_with("fib(4"), "{}", line.text);
        }
        assert!(hellos <= 1, "{hellos} hellos; one may have been on its way");
        running.close();
        running.expect_end();
    }
}

/// B5: one worker computes one answer at a time, so they come in the order of the questions.
mod one_worker {
    use super::*;

    fn answers_in_input_order(program: lab::inside::Run) {
        const ROUNDS: usize = 30;
        let mut running = Running::start(program);
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

    const fn beside(multi_thread: bool, offload: bool) -> Beside {
        Beside { multi_thread, offload, workers: NonZero::<usize>::MIN }
    }

    #[test]
    fn of_the_pool_answers_in_input_order() {
        answers_in_input_order(|input, output, period, gate| {
            run_with(input, output, period, gate, beside(false, true))
        });
    }

    #[test]
    fn that_polls_and_computes_answers_in_input_order() {
        answers_in_input_order(|input, output, period, gate| {
            run_with(input, output, period, gate, beside(true, false))
        });
    }

    #[test]
    fn of_the_pool_beside_one_that_polls_answers_in_input_order() {
        answers_in_input_order(|input, output, period, gate| {
            run_with(input, output, period, gate, beside(true, true))
        });
    }
}

mod panics {
    use super::*;

    fn run(input: File, output: Output, period: Duration, beside: Beside) -> io::Result<()> {
        let compute = |_| panic!("this computation fails");
        run_beside(LineReader::new(input)?, output, period, compute, beside)
    }

    #[test]
    fn a_computation_that_panics_ends_the_program_with_an_error() {
        let programs: [lab::inside::Run; 2] = [
            |input, output, period, _| {
                let beside = Beside { multi_thread: false, offload: true, workers: TWO };
                run(input, output, period, beside)
            },
            |input, output, period, _| {
                let beside = Beside { multi_thread: true, offload: false, workers: TWO };
                run(input, output, period, beside)
            },
        ];
        for program in programs {
            let mut running = Running::start(program);
            running.write("7\n");
            let (outcome, _) = running.end();
            let error = outcome.expect_err("the answer can never come");
            assert_eq!(error.to_string(), "the thread that computed fib(7) panicked");
        }
    }
}

/// What `tokio::io::stdin()` does, with a pipe in the place of standard input: the pool reads. The
/// pipe stays silent until the runtime is being dropped.
#[test]
fn a_runtime_that_is_dropped_waits_for_a_read_and_one_that_is_shut_down_does_not() {
    for (dropped, expected) in [(true, true), (false, false)] {
        let (mut reader, mut writer) = io::pipe().expect("two descriptors are free");
        let has_read = Arc::new(AtomicBool::new(false));
        let (reads, reading) = mpsc::channel();
        let (ends, ending) = mpsc::channel::<()>();
        let runtime = crate::one_thread().expect("two descriptors are free");
        let its_flag = Arc::clone(&has_read);
        runtime.spawn_blocking(move || {
            reads.send(()).expect("the test waits for it");
            let length = reader.read(&mut [0]).expect("it is a pipe");
            its_flag.store(length == 1, Ordering::SeqCst);
        });
        reading.recv().expect("the pool runs it");
        let typist = thread::spawn(move || {
            let _ = ending.recv();
            writer.write_all(b"\n").expect("the reading end is open");
        });
        let seen = if dropped {
            ends.send(()).expect("the typist waits for it");
            drop(runtime); // returns after the read
            has_read.load(Ordering::SeqCst)
        } else {
            runtime.shutdown_background();
            let seen = has_read.load(Ordering::SeqCst); // and nobody has typed yet
            ends.send(()).expect("the typist waits for it");
            seen
        };
        assert_eq!(seen, expected);
        typist.join().expect("the pipe can be written");
    }
}

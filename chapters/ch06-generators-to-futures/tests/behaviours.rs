//! What futures on one thread can promise, and what they cannot.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use lab::inside::{Gate, Output, PERIOD, Running, SLOW};

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch06_generators_to_futures::run(input, output, period, |n| gate.compute(n))
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

/// No `'static`, no `Rc`: what belongs to the caller is lent to `run`, and is back afterwards.
#[test]
fn the_input_the_output_and_the_computation_are_borrowed() {
    let (reader, mut writer) = io::pipe().expect("two descriptors are free");
    writer.write_all(b"10\nexit\n").expect("the pipe is empty");
    let (mut output, computed) = (Vec::new(), Cell::new(0));
    let compute = |n| {
        computed.set(n);
        55
    };
    ch06_generators_to_futures::run(&reader, &mut output, Duration::from_secs(1_000), compute)
        .expect("a pipe can be polled and read");
    let output = String::from_utf8(output).expect("the output is UTF-8");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines.len(), computed.get()), (2, 10), "{lines:?}");
    assert!(lines[0].ends_with("Hello world!") && lines[1].starts_with("fib(10) = 55 "));
}

#[test]
fn an_input_that_cannot_be_read_is_an_error() {
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).expect("it exists");
    let every = Duration::from_secs(1);
    let result = ch06_generators_to_futures::run(folder, io::sink(), every, u64::from);
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::IsADirectory));
}

/// A write fails that is not the first. The line that is there already must not be computed: that
/// may take years.
#[test]
fn after_a_failed_write_no_line_is_computed() {
    /// Takes as many lines, and no more.
    struct Takes(u32);
    impl Write for Takes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (takes, input) in [(0, "93\n"), (1, "x\n93\n")] {
        let (reader, mut writer) = io::pipe().expect("two descriptors are free");
        writer.write_all(input.as_bytes()).expect("the pipe is empty");
        let compute = |n| panic!("fib({n}) is computed for nobody");
        let every = Duration::from_secs(1_000);
        let result = ch06_generators_to_futures::run(&reader, Takes(takes), every, compute);
        assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    }
}

/// A hello that falls due during an answer is said before the next answer, not one answer later,
/// though the next line was read already.
#[test]
fn a_hello_that_is_due_goes_before_the_next_line() {
    let mut running = Running::start(run);
    running.write("40\n1\n2\n");
    running.gate.wait_started(SLOW);
    let due = Instant::now() + PERIOD * 2;
    while Instant::now() < due {
        thread::yield_now(); // the passing of two points of the grid is what is waited for
    }
    running.gate.open_all();
    running.expect_answer(SLOW, u64::from(SLOW)); // hellos may stand before it: none was due then
    assert!(running.line().is_hello(), "the late hello goes before the next answer");
    running.expect_answer(1, 1);
    running.expect_answer(2, 1);
    running.close();
    running.expect_end();
}

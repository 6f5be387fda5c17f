//! What callbacks on one thread can promise, and what they cannot.
#![cfg(unix)]

use std::fs::File;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use lab::inside::{Gate, Output, PERIOD, Running, SLOW};

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch05_callback_loop::run(input, output, period, move |n| gate.compute(n))
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

#[test]
fn an_input_that_cannot_be_read_is_an_error() {
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).expect("it exists");
    let result = ch05_callback_loop::run(folder, io::sink(), Duration::from_secs(1), u64::from);
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::IsADirectory));
}

/// The first hello cannot be written. The loop still has a turn, and the line that it finds there
/// must not be computed: that may take years.
#[test]
fn after_a_failed_write_no_line_is_computed() {
    struct Broken;
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("a later failure"))
        }
    }
    let (reader, mut writer) = io::pipe().expect("two descriptors are free");
    io::Write::write_all(&mut writer, b"93\n").expect("the pipe is empty");
    let compute = |n| panic!("fib({n}) is computed for nobody");
    let result = ch05_callback_loop::run(reader, Broken, Duration::from_secs(1), compute);
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
}

/// A hello that falls due during an answer is said before the next answer, not one answer later.
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

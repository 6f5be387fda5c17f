//! What one thread that blocks can promise, and what it cannot.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use lab::inside::{Gate, Output, PERIOD, Running};

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch01_sync::run(BufReader::new(input), output, period, |n| gate.compute(n))
}

lab::behaviours!(run:
    b1_hello_at_once,
    b2_right_answers,
    b4_missed_one_thread_does_both,
    b5_pasted_lines_in_order,
    b7_bad_input_is_reported,
    b8_the_end_of_the_input,
    b9_exit,
    b10_a_regular_file,
    b15_b16_missed_the_answers_come_one_at_a_time,
);

/// An input that is silent for five periods before each line, and says which thread waits for it.
struct Slow {
    lines: &'static [u8],
    waits: mpsc::Sender<(ThreadId, Instant, Instant)>,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begin = Instant::now();
        while begin.elapsed() < PERIOD * 5 {
            thread::yield_now(); // the passing of five points of the grid is what is waited for
        }
        let _ = self.waits.send((thread::current().id(), begin, Instant::now()));
        let length = buffer.len().min(2);
        self.lines.read(&mut buffer[..length])
    }
}

/// B3 and B13 ✗: the thread that waits for a line is the thread that says hello. Five hellos fall
/// due during each wait, and none is said; after it there is one, at no point of the grid.
#[test]
fn b3_b13_missed_no_hello_during_a_wait() {
    let (waits, waited) = mpsc::channel();
    let input = Slow { lines: b"1\n2\n3\n", waits };
    let mut output = Vec::new();
    ch01_sync::run(BufReader::with_capacity(2, input), &mut output, PERIOD, fib_timing::fib)
        .expect("the program ends without an error");
    let this_thread = thread::current().id();
    let waits: Vec<_> = waited.iter().collect();
    assert_eq!(waits.len(), 4, "three lines and the end");
    assert!(waits.iter().all(|(thread, ..)| *thread == this_thread));
    let hellos = output.lines().map_while(Result::ok).filter(|line| line.ends_with("Hello world!"));
    assert_eq!(hellos.count(), 4, "one at the start, and one after each of three lines");
}

/// The end of the output is noticed at the next write, and there is none while nobody types.
#[test]
fn a_closed_output_is_noticed_at_the_next_write() {
    let mut running = Running::start(run);
    running.line();
    running.close_output();
    running.write("1\n");
    let (outcome, _) = running.end();
    assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
}

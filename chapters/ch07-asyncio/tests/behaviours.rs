//! What tasks on one thread can promise, and what they cannot.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use lab::inside::{Gate, Output, PATIENCE, PERIOD, Running, SLOW};

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch07_asyncio::run(input, output, period, move |n| gate.compute(n))
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

/// The ✗ of B4. A thread of its own writes, so the thread that says hello says nothing of the loop.
/// But the loop runs on the thread that calls `run`, and if that one computes, no task has a turn.
#[test]
fn b4_missed_the_loop_s_thread_computes() {
    let (tell, told) = mpsc::channel();
    let (loop_thread, mut input, gate) = start(io::sink(), tell);
    input.write_all(b"40\n").expect("the program reads");
    let computes = gate.wait_started(SLOW);
    assert_eq!(computes, loop_thread);
    gate.open_all();
    drop(input);
    told.recv_timeout(PATIENCE).expect("it ends").expect("it ends without an error");
}

/// Each line says which thread wrote it: never that of the loop.
#[test]
fn lines_are_written_by_a_thread_of_their_own() {
    let mut running = Running::start(run);
    let hello = running.line();
    running.write("40\n");
    let computes = running.gate.wait_started(SLOW);
    assert_ne!(hello.thread, computes);
    running.gate.open_all();
    let answer = running.expect_answer(SLOW, u64::from(SLOW));
    assert_eq!(answer.thread, hello.thread, "hellos and answers have one writer");
    running.close();
    running.expect_end();
}

type Ended = io::Result<()>;

/// Starts the program on a thread, which is returned.
fn start(
    output: impl Write + Send + 'static,
    ended: Sender<Ended>,
) -> (thread::ThreadId, io::PipeWriter, Gate) {
    let (reader, writer) = io::pipe().expect("two descriptors are free");
    let gate = Gate::default();
    let its_gate = gate.clone();
    let thread = thread::spawn(move || {
        let compute = move |n| its_gate.compute(n);
        let _ = ended.send(ch07_asyncio::run(reader, output, PERIOD, compute));
    });
    (thread.thread().id(), writer, gate)
}

/// An output whose second write blocks for as long as the test likes: a pipe that nobody reads.
struct Full {
    writes: usize,
    full: Sender<()>,
    gate: Receiver<()>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writes == 2 {
            let _ = self.full.send(());
            let _ = self.gate.recv(); // an error is the end of the test
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// B14: the write blocks, the loop does not.
#[test]
fn b14_exit_ends_the_program_while_a_write_blocks() {
    let ((full, is_full), (open, gate)) = (mpsc::channel(), mpsc::channel());
    let (end, ended) = mpsc::channel();
    let (_, mut input, _) = start(Full { writes: 0, full, gate }, end);
    is_full.recv_timeout(PATIENCE).expect("the second hello is due");
    input.write_all(b"exit\n").expect("the program reads");
    ended.recv_timeout(PATIENCE).expect("it ends").expect("it ends without an error");
    drop(open);
}

/// A task that has something to say waits, and so nothing more is read: that is the limit.
#[test]
fn an_answer_waits_for_a_full_output_and_what_comes_after_it_is_not_computed() {
    let ((full, is_full), (open, gate)) = (mpsc::channel(), mpsc::channel());
    let (end, ended) = mpsc::channel();
    let (_, mut input, computed) = start(Full { writes: 0, full, gate }, end);
    is_full.recv_timeout(PATIENCE).expect("the second hello is due");
    input.write_all(b"1\n2\n3\n").expect("the program reads");
    computed.wait_started(1);
    drop(input);
    drop(open); // somebody reads again
    ended.recv_timeout(PATIENCE).expect("it ends").expect("it ends without an error");
    assert_eq!(computed.finished(), [1, 2, 3]);
}

#[cfg(unix)]
#[test]
fn an_input_that_cannot_be_read_is_an_error() {
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).expect("it exists");
    let result = ch07_asyncio::run(folder, io::sink(), Duration::from_secs(1), u64::from);
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::IsADirectory));
}

/// The first hello cannot be written. The line that is there already must not be computed: that may
/// take years.
#[test]
fn after_a_failed_write_no_line_is_computed() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("a later failure"))
        }
    }
    let (reader, mut writer) = io::pipe().expect("two descriptors are free");
    writer.write_all(b"93\n").expect("the pipe is empty");
    let compute = |n| panic!("fib({n}) is computed for nobody");
    let result = ch07_asyncio::run(reader, Broken, Duration::from_secs(1), compute);
    assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
}

#[test]
#[should_panic(expected = "this computation fails")]
fn a_panic_while_computing_leaves_run() {
    fn panics(input: File, output: Output, period: Duration, _: Gate) -> io::Result<()> {
        ch07_asyncio::run(input, output, period, |_| panic!("this computation fails"))
    }
    let mut running = Running::start(panics);
    running.write("1\n");
    let _ = running.end();
}

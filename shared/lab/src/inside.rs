//! A chapter's `run`, driven from inside its own test.
//!
//! The input is a pipe, the output is taken apart into lines as they are written, and `compute` is
//! given by the test, which can hold a computation at a [`Gate`] for as long as it likes. So a test
//! waits for what happens, and for nothing else: no sleep, and no time that has to be long enough.
//! Of every line and every computation the thread is recorded. That is how a test sees that a
//! loop cannot say hello while it computes: both happen on the same thread.
//!
//! The tests that every chapter passes stand here once; [`behaviours!`](crate::behaviours) names
//! those that a chapter passes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen, before it says that it did not. Only a
/// test that fails ever waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The period of the hellos in these tests.
pub const PERIOD: Duration = Duration::from_millis(2);

/// Computations of this n and above wait at the gate; those below it do not.
pub const SLOW: u32 = 40;

/// An input that is at its end from the start.
const NULL: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// What `run` of a chapter looks like from here. The input is the reading end of a pipe, as a
/// [`File`], which is both `Read` and `AsFd`.
pub type Run = fn(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()>;

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The line, without its newline.
    pub text: String,
    /// The thread that wrote it.
    pub thread: ThreadId,
    /// When it was written.
    pub at: Instant,
}

impl Written {
    /// Whether this line is a hello.
    pub fn is_hello(&self) -> bool {
        self.text.ends_with(" - Hello world!")
    }
}

/// The writing end of an output: what a chapter writes to.
#[derive(Debug)]
pub struct Output {
    partial: Vec<u8>,
    lines: Sender<Written>,
}

impl Write for Output {
    /// # Panics
    ///
    /// When a write is not one whole line: the specification asks for one write a line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial.extend_from_slice(bytes);
        let line = self.partial.strip_suffix(b"\n").expect("a line is written in one write");
        let text = String::from_utf8(line.to_vec()).expect("the output is UTF-8");
        assert!(!text.contains('\n'), "two lines in one write: {text:?}");
        self.partial.clear();
        let written = Written { text, thread: thread::current().id(), at: Instant::now() };
        self.lines.send(written).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The test's hold on the computations, and what became of them.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    started: Vec<(u32, ThreadId)>,
    finished: Vec<u32>,
    open: BTreeSet<u32>,
    all_open: bool,
}

impl Gate {
    /// The function to compute with: fib, but at [`SLOW`] and above it returns only once the gate
    /// is open for that n, and then it returns n.
    pub fn compute(&self, n: u32) -> u64 {
        let mut state = self.lock();
        state.started.push((n, thread::current().id()));
        self.shared.1.notify_all();
        state =
            self.wait_until(state, |state| n < SLOW || state.all_open || state.open.contains(&n));
        drop(state);
        let value = if n < SLOW { fib_timing::fib(n) } else { u64::from(n) };
        self.lock().finished.push(n);
        value
    }

    /// Lets the computation of n end.
    pub fn open(&self, n: u32) {
        self.lock().open.insert(n);
        self.shared.1.notify_all();
    }

    /// Lets every computation end.
    pub fn open_all(&self) {
        self.lock().all_open = true;
        self.shared.1.notify_all();
    }

    /// Waits until the computation of n has started. Returns the thread that does it.
    pub fn wait_started(&self, n: u32) -> ThreadId {
        let find = |state: &State| state.started.iter().find(|(m, _)| *m == n).map(|(_, id)| *id);
        let state = self.wait_until(self.lock(), |state| find(state).is_some());
        find(&state).expect("that is what was waited for")
    }

    /// The numbers whose computation has ended, in that order.
    pub fn finished(&self) -> Vec<u32> {
        self.lock().finished.clone()
    }

    /// The numbers whose computation has started, in that order.
    pub fn started(&self) -> Vec<u32> {
        self.lock().started.iter().map(|(n, _)| *n).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until<'a>(
        &self,
        state: MutexGuard<'a, State>,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let (state, timeout) = self
            .shared
            .1
            .wait_timeout_while(state, PATIENCE, |state| !done(state))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "waited {PATIENCE:?} at the gate: {state:?}");
        state
    }
}

/// A program that runs on a thread of its own.
#[derive(Debug)]
pub struct Running {
    input: Option<io::PipeWriter>,
    lines: Receiver<Written>,
    /// Lines that were read while something else was waited for.
    seen: Vec<Written>,
    ended: Receiver<thread::Result<io::Result<()>>>,
    /// The hold on its computations.
    pub gate: Gate,
    /// A point in time before the program started.
    pub started: Instant,
}

impl Running {
    /// Starts `run` with a pipe as its input.
    pub fn start(run: Run) -> Running {
        let (reader, writer) = io::pipe().expect("two descriptors are free");
        let mut running = Running::start_on(run, file(reader));
        running.input = Some(writer);
        running
    }

    /// Starts `run` with an input of the test's own.
    pub fn start_on(run: Run, input: File) -> Running {
        let (lines, written) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let gate = Gate::default();
        let its_gate = gate.clone();
        let started = Instant::now();
        thread::spawn(move || {
            let output = Output { partial: Vec::new(), lines };
            let outcome = std::panic::catch_unwind(|| run(input, output, PERIOD, its_gate));
            let _ = end.send(outcome); // a test that failed does not listen any more
        });
        Running { input: None, lines: written, seen: Vec::new(), ended, gate, started }
    }

    /// Writes to the program's input, in one write.
    pub fn write(&mut self, text: &str) {
        let input = self.input.as_mut().expect("the input was not closed");
        input.write_all(text.as_bytes()).expect("the program reads on");
    }

    /// Closes the program's input.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// Closes the reading end of the program's output: from now on each of its writes fails.
    pub fn close_output(&mut self) {
        let (_, nobody) = mpsc::channel();
        self.lines = nobody;
    }

    /// The next line.
    ///
    /// # Panics
    ///
    /// When none comes within [`PATIENCE`].
    pub fn line(&mut self) -> Written {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push(line.clone());
                line
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line for {PATIENCE:?}; before that: {:#?}", self.seen)
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the program wrote no more; before that: {:#?}", self.seen)
            }
        }
    }

    /// The next line that is no hello.
    pub fn reply(&mut self) -> Written {
        loop {
            let line = self.line();
            if !line.is_hello() {
                return line;
            }
        }
    }

    /// The next `count` hellos. Other lines are passed over.
    pub fn hellos(&mut self, count: usize) -> Vec<Written> {
        let mut hellos = Vec::new();
        while hellos.len() < count {
            let line = self.line();
            if line.is_hello() {
                hellos.push(line);
            }
        }
        hellos
    }

    /// Waits for the next answer and checks it, without its timing.
    pub fn expect_answer(&mut self, n: u32, value: u64) -> Written {
        let reply = self.reply();
        let expected = format!("fib({n}) = {value} (took ");
        assert!(reply.text.starts_with(&expected), "expected {expected:?}, got {:?}", reply.text);
        reply
    }

    /// Waits until `run` has returned, and returns what it returned, with the replies nobody asked
    /// for yet.
    ///
    /// # Panics
    ///
    /// With the panic of `run`, and when it does not return within [`PATIENCE`].
    pub fn end(self) -> (io::Result<()>, Vec<String>) {
        let outcome = match self.ended.recv_timeout(PATIENCE) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => panic!("run did not return within {PATIENCE:?}; seen: {:#?}", self.seen),
        };
        let rest = self.lines.try_iter().filter(|line| !line.is_hello());
        (outcome, rest.map(|line| line.text).collect())
    }

    /// Waits until `run` has returned without an error and without another reply.
    pub fn expect_end(self) {
        let (outcome, rest) = self.end();
        outcome.expect("the program ends without an error");
        assert_eq!(rest, [""; 0], "replies that nobody asked for");
    }
}

/// The reading end of a pipe, as a file.
fn file(reader: io::PipeReader) -> File {
    #[cfg(unix)]
    return File::from(std::os::fd::OwnedFd::from(reader));
    #[cfg(windows)]
    return File::from(std::os::windows::io::OwnedHandle::from(reader));
}

/// The tests of the behaviours that a chapter shows, by name: `behaviours!(run: b1, b2, b5)`. Each
/// becomes a `#[test]` of that name, which calls the function of that name in
/// [`inside::shown`](crate::inside::shown).
#[macro_export]
macro_rules! behaviours {
    ($run:path: $($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                $crate::inside::shown::$name($run);
            }
        )+
    };
}

/// One function for each behaviour that can be shown from inside.
pub mod shown {
    use super::*;

    /// Hello at once, also when the input is at its end.
    pub fn b1_hello_at_once(run: Run) {
        let mut running = Running::start(run);
        assert!(running.line().is_hello());
        running.close();
        running.expect_end();

        let mut at_its_end = Running::start_on(run, File::open(NULL).expect("it exists"));
        assert!(at_its_end.line().is_hello());
        at_its_end.expect_end();
    }

    /// Right answers.
    pub fn b2_right_answers(run: Run) {
        let mut running = Running::start(run);
        for (n, value) in [(0, 0), (1, 1), (2, 1), (10, 55), (20, 6765)] {
            running.write(&format!("{n}\n"));
            running.expect_answer(n, value);
        }
        running.close();
        running.expect_end();
    }

    /// Hellos go on while the input is silent.
    pub fn b3_hello_while_the_input_is_silent(run: Run) {
        let mut running = Running::start(run);
        running.hellos(5);
        running.close();
        running.expect_end();
    }

    /// Hellos go on while half a line is pending, and the line is answered once it is whole.
    pub fn b3b_hello_while_half_a_line_is_pending(run: Run) {
        let mut running = Running::start(run);
        running.write("1");
        running.hellos(5);
        running.write("0\n");
        running.expect_answer(10, 55);
        running.close();
        running.expect_end();
    }

    /// Hellos go on while an answer is being computed.
    pub fn b4_hello_during_a_long_fib(run: Run) {
        let mut running = Running::start(run);
        running.write("40\n");
        running.gate.wait_started(SLOW);
        while running.lines.try_recv().is_ok() {} // what was said before the computation started
        running.hellos(5);
        assert!(running.gate.finished().is_empty(), "the computation is still held");
        running.gate.open_all();
        running.expect_answer(SLOW, u64::from(SLOW));
        running.close();
        running.expect_end();
    }

    /// Many lines in one write are all answered, in their order, while the writer keeps the pipe.
    pub fn b5_pasted_lines_in_order(run: Run) {
        let mut running = Running::start(run);
        running.write("1\n2\n3\nx\n\n5\n");
        running.expect_answer(1, 1);
        running.expect_answer(2, 1);
        running.expect_answer(3, 2);
        assert!(running.reply().text.ends_with("got \"x\""));
        running.expect_answer(5, 5);
        running.close();
        running.expect_end();
    }

    /// Many lines in one write are all answered, in any order, while the writer keeps the pipe.
    pub fn b5_pasted_lines_in_any_order(run: Run) {
        let mut running = Running::start(run);
        let numbers: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        running.write(&(numbers.join("\n") + "\n"));
        let mut replies: Vec<String> = (0..30).map(|_| running.reply().text).collect();
        replies.sort_by_key(|text| {
            text[4..].split(')').next().and_then(|n| n.parse::<u32>().ok()).expect("an answer")
        });
        for (n, reply) in (0..30).zip(replies) {
            let expected = format!("fib({n}) = {} (took ", fib_timing::fib(n));
            assert!(reply.starts_with(&expected), "expected {expected:?}, got {reply:?}");
        }
        running.close();
        running.expect_end();
    }

    /// Bad input is reported, and the program goes on.
    pub fn b7_bad_input_is_reported(run: Run) {
        let mut running = Running::start(run);
        for bad in ["abc", "-1", "94", "3.0"] {
            running.write(&format!("{bad}\n"));
            let expected = format!("error: expected a whole number from 0 to 93, got {bad:?}");
            assert_eq!(running.reply().text, expected);
        }
        running.write(&format!("{}\n10\n", "9".repeat(5000)));
        assert!(running.reply().text.ends_with("got a line of more than 1024 bytes"));
        running.expect_answer(10, 55);
        running.close();
        running.expect_end();
    }

    /// At the end of the input what was asked is answered, an unterminated last line included.
    pub fn b8_the_end_of_the_input(run: Run) {
        let mut running = Running::start(run);
        running.write("40\n10");
        running.close();
        running.gate.wait_started(SLOW);
        running.gate.open_all();
        let mut replies = [running.reply().text, running.reply().text];
        replies.sort();
        assert!(replies[0].starts_with("fib(10) = 55 "), "{replies:?}");
        assert!(replies[1].starts_with("fib(40) = 40 "), "{replies:?}");
        running.expect_end();
    }

    /// `exit` ends the program while the input stays open, and what stands after it is dropped.
    pub fn b9_exit(run: Run) {
        let mut running = Running::start(run);
        running.write("3\nexit\n4\n");
        running.expect_answer(3, 2);
        let input = running.input.take(); // not closed: moved away
        running.expect_end();
        drop(input);
    }

    /// The input may be a regular file.
    pub fn b10_a_regular_file(run: Run) {
        let path = std::env::temp_dir().join(format!(
            "lab-numbers-{}-{:?}.txt",
            std::process::id(),
            thread::current().id()
        ));
        std::fs::write(&path, "10\nabc\n20").expect("the temporary folder can be written");
        let file = File::open(&path).expect("it was written just now");
        std::fs::remove_file(&path).expect("it was written just now"); // open, it stays readable
        let running = Running::start_on(run, file);
        let (outcome, mut replies) = running.end();
        outcome.expect("the program ends without an error");
        replies.sort();
        assert_eq!(replies.len(), 3, "{replies:?}");
        assert!(replies[0].starts_with("error: expected"), "{replies:?}");
        assert!(replies[1].starts_with("fib(10) = 55 "), "{replies:?}");
        assert!(replies[2].starts_with("fib(20) = 6765 "), "{replies:?}");
    }

    /// After a stall there is no burst: each hello has its own point of the grid.
    ///
    /// At most one hello belongs to a point, and none comes before its point. So of any three in a
    /// row, the last comes at least a period after the first, however loaded the machine is.
    pub fn b13_no_burst_after_a_stall(run: Run) {
        let mut running = Running::start(run);
        running.hellos(2);
        running.write("40\n");
        running.gate.wait_started(SLOW);
        let stall_ends = Instant::now() + PERIOD * 5;
        while Instant::now() < stall_ends {
            thread::yield_now(); // the passing of five points is the event that is waited for
        }
        running.gate.open_all();
        running.expect_answer(SLOW, u64::from(SLOW));
        running.hellos(5);
        let hellos: Vec<&Written> = running.seen.iter().filter(|line| line.is_hello()).collect();
        for three in hellos.windows(3) {
            let apart = three[2].at - three[0].at;
            assert!(apart >= PERIOD, "three hellos within {apart:?}");
        }
        running.close();
        running.expect_end();
    }

    /// The ✗ of B4 and B13's stall: the thread that computes is the thread that says hello. While
    /// it does the one, it cannot do the other.
    pub fn b4_missed_one_thread_does_both(run: Run) {
        let mut running = Running::start(run);
        let hello = running.line();
        running.write("40\n");
        let computes = running.gate.wait_started(SLOW);
        assert_eq!(computes, hello.thread);
        running.gate.open_all();
        running.expect_answer(SLOW, u64::from(SLOW));
        running.close();
        running.expect_end();
    }

    /// The ✗ of B15 and B16: the thread that computes is the one that reads the next line, or waits
    /// for it. Whatever comes after a slow question waits for its answer, `exit` too.
    pub fn b15_b16_missed_the_answers_come_one_at_a_time(run: Run) {
        let mut running = Running::start(run);
        running.write("40\n10\nexit\n");
        running.gate.wait_started(SLOW);
        assert_eq!(running.gate.started(), [SLOW], "the second question waits");
        running.gate.open_all();
        let first = running.expect_answer(SLOW, u64::from(SLOW));
        let second = running.expect_answer(10, 55);
        assert_eq!(first.thread, second.thread);
        running.expect_end();
    }

    /// With two workers, a quick fib does not wait behind one slow one, and does wait behind two.
    pub fn b15_with_two_workers(run: Run) {
        let mut running = Running::start(run);
        running.write("40\n10\n");
        running.expect_answer(10, 55);
        running.gate.wait_started(SLOW);
        running.write("41\n");
        running.gate.wait_started(41);
        running.write("11\n");
        running.hellos(3); // the loop turns, and 11 still waits:
        assert!(!running.gate.started().contains(&11));
        running.gate.open(41);
        running.expect_answer(41, 41);
        running.expect_answer(11, 89);
        assert_eq!(running.gate.finished(), [10, 41, 11]);
        running.gate.open_all();
        running.expect_answer(SLOW, u64::from(SLOW));
        running.close();
        running.expect_end();
    }

    /// `exit` does not wait for a slow answer, and that answer is not given afterwards.
    pub fn b16_exit_during_a_slow_fib(run: Run) {
        let mut running = Running::start(run);
        running.write("40\n10\nexit\n");
        running.gate.wait_started(SLOW);
        running.expect_answer(10, 55);
        let input = running.input.take();
        let gate = running.gate.clone();
        running.expect_end();
        assert_eq!(gate.finished(), [10], "the slow one is still held");
        gate.open_all();
        drop(input);
    }

    /// The end of the output ends the program without a panic, while the input is silent.
    pub fn closed_output_ends_the_program(run: Run) {
        let mut running = Running::start(run);
        running.line();
        running.close_output();
        let (outcome, _) = running.end();
        assert_eq!(outcome.map_err(|e| e.kind()), Err(io::ErrorKind::BrokenPipe));
    }

    /// Endless questions do not fill the memory: while none is answered, the program stops reading.
    pub fn a_fast_writer_has_to_wait(run: Run) {
        const QUESTIONS: &str = "40\n40\n40\n40\n40\n40\n40\n40\n40\n40\n";
        const ENOUGH: usize = 1 << 20; // bytes: many times what a pipe and a buffer hold
        let mut running = Running::start(run);
        let mut input = running.input.take().expect("the input is a pipe");
        let (sent, bytes_sent) = mpsc::channel();
        thread::spawn(move || {
            let mut left = ENOUGH;
            while left > 0 && input.write_all(QUESTIONS.as_bytes()).is_ok() {
                left = left.saturating_sub(QUESTIONS.len());
                let _ = sent.send(QUESTIONS.len()); // the test may have ended
            }
        });
        running.gate.wait_started(SLOW);
        running.hellos(20);
        let taken: usize = bytes_sent.try_iter().sum();
        assert!(taken < ENOUGH / 2, "{taken} bytes were taken while nothing was answered");
        let gate = running.gate.clone();
        running.close_output();
        let (outcome, _) = running.end();
        assert_eq!(outcome.map_err(|e| e.kind()), Err(io::ErrorKind::BrokenPipe));
        gate.open_all();
    }
}

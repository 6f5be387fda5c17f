//! What the page of this chapter claims, and what no other test holds.

use std::fmt::Display;
use std::hint;
use std::io::{self, BufReader, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use lab::compiler;
use lab::inside::{PATIENCE, PERIOD};

// The kernel takes the core away from a thread that never offers it.

/// Set for a test that runs on one core.
const ONE_CORE: &str = "CH02_ONE_CORE";

/// An output that counts hellos.
struct Counting(Arc<AtomicUsize>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.ends_with(b"Hello world!\n") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// ANCHOR: spin
/// A computation that ends after three more hellos. Until then it neither waits nor calls the
/// kernel.
fn spin(hellos: &AtomicUsize) {
    let before = hellos.load(Ordering::Relaxed);
    while hellos.load(Ordering::Relaxed) < before + 3 {
        hint::spin_loop();
    }
}
// ANCHOR_END: spin

#[test]
fn hellos_come_while_a_computation_spins() {
    let one_core = std::env::var_os(ONE_CORE).is_some();
    if one_core {
        let cores = thread::available_parallelism().expect("the system knows");
        assert_eq!(cores.get(), 1);
    }
    let hellos = Arc::new(AtomicUsize::new(0));
    let output = Counting(Arc::clone(&hellos));
    let compute = move |n| {
        let before = taken_away();
        spin(&hellos);
        // On one core a hello is said only while this thread is not running.
        assert!(!one_core || taken_away() > before);
        fib_timing::fib(n)
    };
    ch02_threads::run(&b"7\n"[..], output, PERIOD, compute).expect("nothing fails");
}

/// How often the kernel took the core from this thread although it could have gone on.
fn taken_away() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/thread-self/status") else { return 0 };
    let count = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    count.and_then(|count| count.trim().parse().ok()).expect("the kernel counts them")
}

#[test]
#[cfg(target_os = "linux")]
fn on_one_core_hellos_come_while_a_computation_spins() {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = allowed.expect("the kernel lists our cores").trim();
    let core = allowed.split([',', '-']).next().expect("split gives one at least");
    let output = std::process::Command::new("taskset")
        .args(["-c", core])
        .arg(std::env::current_exe().expect("this test is a program"))
        .args(["--exact", "hellos_come_while_a_computation_spins"])
        .env(ONE_CORE, "1")
        .output()
        .expect("taskset is installed (package util-linux)");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{output:?}");
}

// Who gets the lock next.

/// An output whose lock is handed out in an order that the test chooses, where the kernel may
/// choose any.
struct Script {
    order: &'static str,
    progress: Mutex<Progress>,
    turned: Condvar,
}

#[derive(Default)]
struct Progress {
    turns: usize,
    text: Vec<u8>,
}

/// The script, as one thread sees it.
struct Output<'a> {
    script: &'a Script,
    thread: char,
}

/// The output, locked.
struct Locked<'a> {
    progress: MutexGuard<'a, Progress>,
    turned: &'a Condvar,
}

impl Output<'_> {
    /// Waits until it is this thread's turn.
    fn lock(&self) -> Locked<'_> {
        let Script { order, progress, turned } = self.script;
        let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let (progress, timeout) = turned
            .wait_timeout_while(progress, PATIENCE, |progress| {
                order.chars().nth(progress.turns) != Some(self.thread)
            })
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{order}: no turn for {}", self.thread);
        Locked { progress, turned }
    }
}

impl Write for Locked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.progress.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.progress.turns += 1;
        self.turned.notify_all();
    }
}

// ANCHOR: say_in_two
/// WRONG: the line is written under the lock, and so is the newline.
fn say_in_two(output: &Output, line: impl Display) -> io::Result<()> {
    output.lock().write_all(line.to_string().as_bytes())?;
    output.lock().write_all(b"\n")
}
// ANCHOR_END: say_in_two

/// As the chapter does it.
fn say_in_one(output: &Output, line: impl Display) -> io::Result<()> {
    output.lock().write_all(format!("{line}\n").as_bytes())
}

const HELLO: &str = "1795366737 - Hello world!";
const ANSWER: &str = "fib(1) = 1 (took 0.000 s)";

/// What is written when a thread H says hello, a thread A says an answer, and they get the lock in
/// this order.
fn played(order: &'static str, say: fn(&Output, &'static str) -> io::Result<()>) -> String {
    let script = Script { order, progress: Mutex::default(), turned: Condvar::new() };
    thread::scope(|scope| {
        for (thread, line) in [('H', HELLO), ('A', ANSWER)] {
            let output = Output { script: &script, thread };
            scope.spawn(move || say(&output, line).expect("memory takes every byte"));
        }
    });
    let progress = script.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8(progress.text).expect("both lines are UTF-8")
}

// ANCHOR: six_orders
#[test]
fn of_six_orders_four_mix_the_lines() {
    let orders = ["HHAA", "HAHA", "HAAH", "AAHH", "AHAH", "AHHA"];
    let both_are_whole = |order: &&'static str| {
        let text = played(order, say_in_two);
        text.lines().eq([HELLO, ANSWER]) || text.lines().eq([ANSWER, HELLO])
    };
    let whole: Vec<&str> = orders.into_iter().filter(both_are_whole).collect();
    assert_eq!(whole, ["HHAA", "AAHH"]);

    let mixed = "1795366737 - Hello world!fib(1) = 1 (took 0.000 s)\n\n";
    assert_eq!(played("HAAH", say_in_two), mixed);
}
// ANCHOR_END: six_orders

#[test]
fn one_write_under_one_lock_is_whole_and_either_thread_may_be_first() {
    assert!(played("HA", say_in_one).lines().eq([HELLO, ANSWER]));
    assert!(played("AH", say_in_one).lines().eq([ANSWER, HELLO]));
}

// Waiting for both threads.

// ANCHOR: both_to_end
/// WRONG: returns when both have ended.
fn both_to_end(
    one: impl FnOnce() -> io::Result<()> + Send + 'static,
    other: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let (one, other) = (thread::spawn(one), thread::spawn(other));
    let (one, other) = (one.join(), other.join());
    one.expect("it does not panic").and(other.expect("it does not panic"))
}
// ANCHOR_END: both_to_end

#[test]
fn waiting_for_both_waits_for_a_silent_input() {
    let (events, happened) = mpsc::channel();
    let (input, typed) = io::pipe().expect("two descriptors are free");
    let (hello_events, answers_events, run_events) =
        (events.clone(), events.clone(), events.clone());
    let hellos = move || {
        report(&hello_events, "the hello thread has ended")?;
        Err(io::ErrorKind::BrokenPipe.into())
    };
    let answers = move || {
        let read = (&input).read(&mut [0])?;
        assert_eq!(read, 0, "nothing is typed");
        report(&answers_events, "the read has returned")
    };
    thread::spawn(move || {
        let ended = both_to_end(hellos, answers).map_err(|error| error.kind());
        assert_eq!(ended, Err(io::ErrorKind::BrokenPipe));
        report(&run_events, "run has returned")
    });
    // ANCHOR: silent_input
    assert_eq!(next(&happened), "the hello thread has ended");
    report(&events, "the input was closed").expect("we listen");
    drop(typed); // until here nobody typed a line, and nobody closed the input
    assert_eq!(next(&happened), "the input was closed");
    assert_eq!(next(&happened), "the read has returned");
    assert_eq!(next(&happened), "run has returned");
    // ANCHOR_END: silent_input
}

fn report(events: &Sender<&'static str>, event: &'static str) -> io::Result<()> {
    events.send(event).map_err(io::Error::other)
}

fn next(events: &Receiver<&'static str>) -> &'static str {
    events.recv_timeout(PATIENCE).expect("this must happen")
}

/// An output that takes one line; the write of the next does not return while the test runs.
struct Full {
    lines: usize,
    stuck: Sender<&'static str>,
    room: Receiver<()>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines += 1;
        if self.lines > 1 {
            report(&self.stuck, "a hello is stuck")?;
            let _ = self.room.recv(); // fails when the test ends
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn exit_ends_run_while_a_hello_is_stuck_in_its_write() {
    let (stuck, happened) = mpsc::channel();
    let (never, room) = mpsc::channel();
    let (input, mut typed) = io::pipe().expect("two descriptors are free");
    let output = Full { lines: 0, stuck: stuck.clone(), room };
    thread::spawn(move || {
        ch02_threads::run(BufReader::new(input), output, PERIOD, fib_timing::fib)?;
        report(&stuck, "run has returned")
    });
    assert_eq!(next(&happened), "a hello is stuck");
    typed.write_all(b"exit\n").expect("the program reads");
    assert_eq!(next(&happened), "run has returned");
    drop((never, typed));
}

// What the compiler refuses.

const WITHOUT_A_LOCK: &str = stringify! {
    // ANCHOR: without_a_lock
    use std::io::Write;
    use std::sync::Arc;
    use std::thread;

    fn two_writers(output: impl Write + Send + Sync + 'static) {
        let output = Arc::new(output);
        let hello_output = Arc::clone(&output);
        thread::spawn(move || hello_output.write_all(b"1795366737 - Hello world!\n"));
        thread::spawn(move || output.write_all(b"fib(1) = 1 (took 0.000 s)\n"));
    }
    // ANCHOR_END: without_a_lock
};

const SHARED_BY_RC: &str = stringify! {
    use std::{cell::RefCell, io::Write, rc::Rc, thread};

    fn two_writers(output: impl Write + Send + 'static) {
        let output = Rc::new(RefCell::new(output));
        thread::spawn(move || output.borrow_mut().write_all(b"1795366737 - Hello world!\n"));
    }
};

const BORROWED: &str = stringify! {
    use std::{io::Write, thread};

    fn one_writer(output: &mut Vec<u8>) {
        thread::spawn(move || output.write_all(b"1795366737 - Hello world!\n"));
    }
};

const LOCKED_INPUT: &str = stringify! {
    use std::{io, thread};

    fn reader() {
        let input = io::stdin().lock();
        thread::spawn(move || io::read_to_string(input));
    }
};

#[test]
fn the_compiler_refuses_what_threads_must_not_share() {
    let errors = |code| compiler::errors(code).expect("what builds this test is there");
    assert_eq!(errors(WITHOUT_A_LOCK), ["E0596", "E0596"]);
    assert_eq!(errors(SHARED_BY_RC), ["E0277"]);
    assert_eq!(errors(BORROWED), ["E0521"]);
    assert_eq!(errors(LOCKED_INPUT), ["E0277"]);
}

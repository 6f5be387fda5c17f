//! What the page says and no other test holds; and the page's dead ends, each with the test that
//! shows what is wrong with it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::compiler;
use lab::inside::{Gate, Output, PATIENCE, Running, SLOW};

const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    let compute = move |n| Ok(gate.compute(n));
    ch03_parallel::run(BufReader::new(input), output, period, compute, TWO)
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
        thread::yield_now();
    }
}

#[test]
fn the_third_question_waits_for_the_first_free_worker() {
    let mut running = Running::start(run);
    running.write("41\n40\n10\n");
    running.gate.wait_started(41);
    running.gate.wait_started(40);
    running.hellos(3);
    assert!(!running.gate.started().contains(&10), "both workers are busy, so 10 waits");
    running.gate.open(40);
    running.expect_answer(40, 40);
    running.expect_answer(10, 55);
    assert_eq!(running.gate.finished(), [40, 10], "41 is still held");
    running.gate.open(41);
    running.expect_answer(41, 41);
    running.close();
    running.expect_end();
}

#[test]
fn an_abandoned_computation_goes_on_and_its_answer_is_not_told() {
    let mut running = Running::start(run);
    running.write("40\nexit\n");
    running.gate.wait_started(SLOW);
    let gate = running.gate.clone();
    running.expect_end(); // run has returned, without an answer …
    assert!(gate.finished().is_empty(), "… and without stopping the computation");
    gate.open_all();
    wait_until("the end of the abandoned computation", || gate.finished() == [SLOW]);
}

// ANCHOR: thread_a_question
/// Broken: computes every line on a thread of its own, however many lines there are.
fn thread_a_question(
    input: impl BufRead,
    compute: impl Fn(u32) -> u64 + Send + Sync + 'static,
) -> Vec<JoinHandle<u64>> {
    let compute = Arc::new(compute);
    let numbers = input.lines().map_while(Result::ok).filter_map(|line| line.parse().ok());
    let start = |n| {
        let compute = Arc::clone(&compute);
        thread::spawn(move || compute(n))
    };
    numbers.map(start).collect()
}
// ANCHOR_END: thread_a_question

#[test]
fn a_thread_a_question_has_as_many_threads_as_the_writer_likes() {
    const LINES: usize = 200;
    let gate = Gate::default();
    let compute = {
        let gate = gate.clone();
        move |n| gate.compute(n)
    };
    let threads = thread_a_question(Cursor::new("40\n".repeat(LINES)), compute);
    // No computation has ended, and every one has started.
    wait_until("the start of the last", || gate.started().len() == LINES);
    assert!(gate.finished().is_empty());
    gate.open_all();
    for thread in threads {
        assert_eq!(thread.join().expect("the gate does not panic"), u64::from(SLOW));
    }

    // The chapter's program, given the same lines: no more than its two workers ever start.
    let mut running = Running::start(self::run);
    running.write(&"40\n".repeat(LINES));
    running.gate.wait_started(SLOW);
    running.hellos(5);
    assert!(running.gate.started().len() <= TWO.get());
    running.gate.open_all();
    for _ in 0..LINES {
        running.expect_answer(SLOW, u64::from(SLOW));
    }
    running.close();
    running.expect_end();
}

// ANCHOR: held_lock
/// Broken: as many workers as threads that ask, and one lock that is taken once, for all of it.
struct Held {
    idle: Mutex<Vec<Gate>>,
}

impl Held {
    fn ask(&self, n: u32) -> u64 {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = idle.pop().expect("there is a worker for each thread that asks");
        let value = worker.compute(n);
        idle.push(worker);
        value
    }
}
// ANCHOR_END: held_lock

#[test]
fn a_lock_held_while_computing_makes_one_worker_of_two() {
    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        let held = Held { idle: Mutex::new(vec![gate.clone(), gate]) };
        let compute = move |n| Ok(held.ask(n));
        ch03_parallel::run(BufReader::new(input), output, period, compute, TWO)
    }
    let mut running = Running::start(run);
    running.write("40\n");
    running.gate.wait_started(SLOW);
    running.write("10\n");
    running.hellos(5);
    assert_eq!(running.gate.started(), [SLOW], "a worker is idle, and 10 has not started");
    running.gate.open(SLOW);
    running.close();
    let (outcome, replies) = running.end();
    outcome.expect("the program ends without an error");
    assert_eq!(replies.len(), 2, "{replies:?}");
}

#[test]
fn two_cores_gain_at_most_phi_on_two_neighbours() {
    // fib calls itself once, and as often as its two parts do.
    let mut calls = vec![1.0, 1.0];
    for n in 2..=90 {
        calls.push(1.0 + calls[n - 1] + calls[n - 2]);
    }
    let phi = (1.0 + f64::sqrt(5.0)) / 2.0;
    for n in 30..90 {
        let one_core = calls[n] + calls[n + 1];
        let two_cores = f64::max(calls[n], calls[n + 1]);
        let gain: f64 = one_core / two_cores;
        assert!((gain - phi).abs() < 1e-5, "fib({n}) and its neighbour: {gain}");
    }
}

#[test]
fn rayons_own_choice_is_a_thread_a_core() {
    if std::env::var_os("RAYON_NUM_THREADS").is_some() {
        println!("not judged: RAYON_NUM_THREADS is set");
        return;
    }
    let pool = rayon::ThreadPoolBuilder::new().build().expect("threads can be started");
    let cores = thread::available_parallelism().expect("this system knows its cores");
    assert_eq!(pool.current_num_threads(), cores.get());
}

/// The bound of chapter 2's `compute`, that of this chapter's, and a closure that counts its calls.
const BOUNDS: &str = "
    pub fn ch02(_: impl Fn(u32) -> u64 + Send + 'static) {}
    pub fn ch03(_: impl Fn(u32) -> u64 + Send + Sync + 'static) {}
    pub fn atomic() {
        use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
        let calls = AtomicU32::new(0);
        ch03(move |n| u64::from(n + calls.fetch_add(1, Relaxed)));
    }
    pub fn cell() {
        let calls = std::cell::Cell::new(0);
        CHAPTER(move |n| u64::from(n + calls.replace(calls.get() + 1)));
    }";

#[test]
fn a_cell_may_be_moved_to_another_thread_and_not_shared_with_it() {
    let errors = |chapter: &str| {
        let program = BOUNDS.replace("CHAPTER", chapter);
        compiler::errors(&program).expect("what builds this test is there")
    };
    assert_eq!(errors("ch02"), Vec::<String>::new());
    assert_eq!(errors("ch03"), ["E0277"]);
}

/// What happens to a program that is driven from outside: its processes are seen, and killed.
#[cfg(target_os = "linux")]
mod outside {
    use std::fs;
    use std::io::{PipeReader, Write};
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::{self, Receiver};

    use ch03_parallel::{ASK_MAX, Processes};

    use super::*;

    const PROGRAM: &str = env!("CARGO_BIN_EXE_ch03-parallel");

    /// A program, and the lines that it has printed.
    struct Program {
        child: Child,
        lines: Receiver<String>,
    }

    impl Program {
        fn start(mut command: Command) -> Program {
            let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().expect("the program starts");
            let output = BufReader::new(child.stdout.take().expect("it was asked for as a pipe"));
            let (sender, lines) = mpsc::channel();
            thread::spawn(move || {
                for line in output.lines().map_while(Result::ok) {
                    let _ = sender.send(line); // the test may have ended
                }
            });
            Program { child, lines }
        }

        fn write(&mut self, text: &str) {
            let input = self.child.stdin.as_mut().expect("it was asked for as a pipe");
            input.write_all(text.as_bytes()).expect("the program reads");
        }

        fn line(&self) -> String {
            self.lines.recv_timeout(PATIENCE).expect("the program prints a line")
        }

        fn expect_answer(&self, start: &str) {
            let line = self.line();
            assert!(line.starts_with(start), "expected {start:?}, got {line:?}");
        }

        fn expect_end(mut self) {
            self.child.stdin = None;
            assert!(self.child.wait().expect("it is our child").success());
        }
    }

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = self.child.kill(); // a test that failed leaves nothing behind
            let _ = self.child.wait();
        }
    }

    fn kill(pid: u32) {
        lab::by_id::kill(pid).expect("it is alive");
    }

    #[test]
    fn a_quick_question_overtakes_on_one_core_too() {
        let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let cores = allowed.expect("Linux writes it").trim();
        let first = cores.split([',', '-']).next().expect("split gives at least one part");
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", first, PROGRAM, "--workers", "2", "--every", "1000"]);
        let mut program = Program::start(pinned);
        assert!(program.line().ends_with("Hello world!"));
        program.write("39\n34\n10\n");
        program.expect_answer("fib(34) = ");
        program.expect_answer("fib(10) = ");
        program.expect_answer("fib(39) = ");
        program.expect_end();
    }

    #[test]
    fn five_threads_of_which_two_compute() {
        let mut command = Command::new(PROGRAM);
        command.args(["--workers", "2", "--every", "1000"]);
        let mut program = Program::start(command);
        assert!(program.line().ends_with("Hello world!"));
        program.write("1\n");
        program.expect_answer("fib(1) = "); // so the reader and all before it have started
        let tasks = format!("/proc/{}/task", program.child.id());
        assert_eq!(fs::read_dir(tasks).expect("the program is running").count(), 5);
        program.expect_end();
    }

    #[test]
    fn a_killed_worker_costs_time_and_no_answer() {
        /// Told by the first worker, which gets the question and never answers.
        static TOLD: Mutex<Option<PipeReader>> = Mutex::new(None);
        static STARTED: AtomicU32 = AtomicU32::new(0);

        fn run(input: File, output: Output, period: Duration, _: Gate) -> io::Result<()> {
            let (told, tell) = io::pipe()?;
            *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
            let processes = Processes::new(move || {
                if STARTED.fetch_add(1, Ordering::Relaxed) > 0 {
                    let mut command = Command::new(PROGRAM);
                    command.arg("--worker");
                    return command;
                }
                let mut command = Command::new("sh");
                command.args(["-c", "read n; echo $$ >&2; exec sleep 600"]);
                command.stderr(tell.try_clone().expect("a descriptor is free"));
                command
            });
            let compute = move |n| processes.ask(n);
            ch03_parallel::run(BufReader::new(input), output, period, compute, TWO)
        }

        let mut running = Running::start(run);
        running.line(); // so the pipe is there
        running.write("20\n");
        let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut pid = String::new();
        BufReader::new(told.expect("run has made it")).read_line(&mut pid).expect("it is told");
        let busy_since = Instant::now();
        running.hellos(20);
        let lost = busy_since.elapsed();
        kill(pid.trim().parse().expect("a process id"));
        let answer = running.expect_answer(20, 6765);
        let (_, took) = answer.text.split_once("(took ").expect("an answer says it");
        let took: f64 = took.trim_end_matches(" s)").parse().expect("it is in seconds");
        assert!(took + 0.001 >= lost.as_secs_f64(), "{took} s counts what was lost: {lost:?}");
        assert_eq!(STARTED.load(Ordering::Relaxed), 2);
        running.close();
        running.expect_end();
    }

    /// The worker of a program, once it is one: before that, it is a copy of its parent.
    fn worker_of(program: &Program) -> u32 {
        let mut found = None;
        wait_until("a worker's start", || {
            found = lab::by_id::children_with(program.child.id(), "--worker").first().copied();
            found.is_some()
        });
        found.expect("that is what was waited for")
    }

    #[test]
    fn the_third_killed_worker_makes_the_answer_an_error_and_the_program_goes_on() {
        let mut command = Command::new(PROGRAM);
        command.args(["--pool", "process", "--workers", "1", "--every", "1000"]);
        let mut program = Program::start(command);
        assert!(program.line().ends_with("Hello world!"));
        program.write("93\n10\n"); // it takes years, so only a kill ends it
        let mut killed = Vec::new();
        for _ in 0..ASK_MAX {
            let mut worker = worker_of(&program);
            wait_until("another worker's start", || {
                worker = worker_of(&program);
                !killed.contains(&worker)
            });
            kill(worker);
            killed.push(worker);
        }
        assert_eq!(program.line(), "error: fib(93): 3 worker processes died over it");
        program.expect_answer("fib(10) = 55 ");
        program.expect_end();
    }
}

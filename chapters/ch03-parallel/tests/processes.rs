//! Worker processes: what is asked of a worker that dies is not lost, and nothing is left behind.
#![cfg(target_os = "linux")]

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use ch03_parallel::{ASK_MAX, Processes};
use lab::inside::PATIENCE;

fn worker() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ch03-parallel"));
    command.arg("--worker");
    command
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn kill(pid: u32) {
    lab::by_id::kill(pid).expect("it is alive");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::yield_now();
    }
}

fn wait_gone(pid: u32) {
    wait_until("the end of a process", || lab::by_id::is_gone(pid));
}

/// A program that is killed when the test that started it ends, however it ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_worker_is_used_again() {
    let processes = Processes::new(worker);
    assert_eq!(processes.ask(10).expect("a worker answers"), 55);
    let first = processes.idle();
    assert_eq!(processes.ask(20).expect("a worker answers"), 6765);
    assert_eq!((first.len(), processes.idle()), (1, first));
}

#[test]
fn an_idle_worker_that_was_killed_is_replaced_and_the_question_is_answered() {
    let processes = Processes::new(worker);
    for _ in 0..ASK_MAX + 2 {
        assert_eq!(processes.ask(10).expect("a worker answers"), 55);
        let idle = processes.idle();
        kill(idle[0]);
        wait_gone(idle[0]);
    }
}

#[test]
fn a_busy_worker_that_was_killed_is_replaced_and_its_question_is_asked_again() {
    // The first worker tells its process id through a pipe of the test, and never answers.
    let (told, tell) = io::pipe().expect("two descriptors are free");
    let started = AtomicU32::new(0);
    let processes = Arc::new(Processes::new(move || {
        if started.fetch_add(1, Ordering::Relaxed) > 0 {
            return worker();
        }
        let mut command = shell("read n; echo $$ >&2; exec sleep 600");
        command.stderr(tell.try_clone().expect("a descriptor is free"));
        command
    }));
    let asking = {
        let processes = Arc::clone(&processes);
        thread::spawn(move || processes.ask(20))
    };
    let mut line = String::new();
    BufReader::new(told).read_line(&mut line).expect("the worker tells its process id");
    kill(line.trim().parse().expect("a process id"));
    let answer = asking.join().expect("asking does not panic");
    assert_eq!(answer.expect("another worker answers"), 6765);
}

#[test]
fn a_question_that_kills_three_workers_is_answered_with_an_error() {
    let started = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&started);
    let processes = Processes::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        shell("read n; kill -9 $$")
    });
    let error = processes.ask(10).expect_err("no worker survives it");
    assert_eq!(error.to_string(), "3 worker processes died over it");
    assert_eq!(started.load(Ordering::Relaxed), ASK_MAX);
}

#[test]
fn a_program_that_is_no_worker_is_not_asked_for_ever() {
    let processes = Processes::new(|| shell("exit 0"));
    assert!(processes.ask(10).is_err());
    let nonsense = Processes::new(|| shell("read n; echo nonsense"));
    assert!(nonsense.ask(10).is_err());
    let missing = Processes::new(|| Command::new("there-is-no-such-program"));
    assert_eq!(missing.ask(10).map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
}

#[test]
fn a_worker_ends_when_its_parent_is_killed_also_in_the_middle_of_an_answer() {
    // The parent is a whole program whose one worker computes something that takes years.
    let mut parent = Program(
        Command::new(env!("CARGO_BIN_EXE_ch03-parallel"))
            .args(["--pool", "process", "--workers", "1", "--every", "1000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("cargo built the program"),
    );
    let mut input = parent.0.stdin.take().expect("stdin was asked for as a pipe");
    input.write_all(b"93\n").expect("the program reads");
    let workers = || lab::by_id::children_with(parent.0.id(), "--worker");
    wait_until("a worker's start", || !workers().is_empty());
    let worker = workers()[0];
    parent.0.kill().expect("the parent is running");
    parent.0.wait().expect("the parent was killed");
    wait_gone(worker);
}

/// Two questions at a time are two workers: the shell that plays the worker answers only once both
/// have started.
#[test]
fn two_questions_at_a_time_are_answered_by_two_workers() {
    let folder = std::env::temp_dir().join(format!("ch03-workers-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("the temporary folder can be written");
    let script = format!(
        "read n; touch {0}/$$; while [ $(ls {0} | wc -l) -lt 2 ]; do :; done; echo $n; cat",
        folder.display()
    );
    let processes = Arc::new(Processes::new(move || shell(&script)));
    let asking = [7, 8].map(|n| {
        let processes = Arc::clone(&processes);
        thread::spawn(move || processes.ask(n))
    });
    let answers = asking.map(|thread| {
        let answer = thread.join().expect("asking does not panic");
        answer.expect("both workers answer")
    });
    assert_eq!((answers, processes.idle().len()), ([7, 8], 2));
    std::fs::remove_dir_all(&folder).expect("it was created above");
}

#[test]
fn any_number_of_idle_deaths_is_not_the_doing_of_a_question() {
    let processes = Processes::new(worker);
    let idle = ASK_MAX as usize + 1;
    thread::scope(|scope| {
        for _ in 0..idle {
            scope.spawn(|| processes.ask(30).expect("a worker answers"));
        }
    });
    // Fewer than that, where one was quick enough to be asked twice.
    for pid in processes.idle() {
        kill(pid);
        wait_gone(pid);
    }
    assert_eq!(processes.ask(10).expect("a new worker answers"), 55);
}

#[test]
fn a_worker_that_is_dropped_leaves_no_zombie() {
    let processes = Processes::new(worker);
    processes.ask(10).expect("a worker answers");
    let idle = processes.idle();
    drop(processes);
    let entry = format!("/proc/{}", idle[0]);
    assert!(!std::path::Path::new(&entry).exists(), "its status was not fetched");
}

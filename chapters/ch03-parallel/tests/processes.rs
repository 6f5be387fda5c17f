//! Worker processes: what is asked of a worker that dies is not lost, and nothing is left behind.
#![cfg(unix)]

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

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
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.expect("kill is on every Unix").success());
}

/// Waits until a process that is not our child is gone (or a zombie that its parent has not
/// fetched).
fn wait_gone(pid: u32) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
        let state = String::from_utf8(output.expect("ps is on every Unix").stdout);
        let state = state.expect("ps writes ASCII");
        if state.trim().is_empty() || state.trim().starts_with('Z') {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "process {pid} is still there: {state}");
        thread::yield_now();
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
    let mut parent = Command::new(env!("CARGO_BIN_EXE_ch03-parallel"))
        .args(["--pool", "process", "--workers", "1", "--every", "1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut input = parent.stdin.take().expect("stdin was asked for as a pipe");
    input.write_all(b"93\n").expect("the program reads");
    let worker = loop {
        let output = Command::new("pgrep").args(["-P", &parent.id().to_string()]).output();
        let found = String::from_utf8(output.expect("pgrep is installed").stdout);
        if let Ok(pid) = found.expect("pgrep writes ASCII").trim().parse::<u32>() {
            break pid;
        }
        thread::yield_now();
    };
    parent.kill().expect("the parent is running");
    parent.wait().expect("the parent was killed");
    wait_gone(worker);
}

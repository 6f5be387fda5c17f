//! Processes for what computes: a core, and an end that can be forced.
//!
//! A worker process reads a number a line and writes its Fibonacci number a line, as in chapter 3.
//! Here tasks ask it, so nobody blocks. It is the only place of the four in which work can be
//! stopped: when the request is given up, its worker is killed.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::process::{Command as StdCommand, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;

/// The option that makes the program a worker of this kind. Only the program itself uses it.
pub const FIB_WORKER: &str = "--fib-worker";

/// How many workers a question may cost.
const ASK_MAX: u32 = 3;

/// Worker processes, as many as are asked at once. A clone is the same pool.
#[derive(Debug, Clone)]
pub struct Processes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    program: OsString,
    turns: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

impl Processes {
    /// A pool of at most `size` processes, started as `program --fib-worker` when a question finds
    /// none idle.
    pub fn new(program: impl Into<OsString>, size: usize) -> Processes {
        let (program, turns) = (program.into(), Semaphore::new(size));
        Processes(Arc::new(Shared { program, turns, idle: Mutex::default() }))
    }

    // ANCHOR: ask
    /// Waits for a process, and then for its answer. When a process dies over it, another one is
    /// asked, a few times.
    ///
    /// Dropped while a process computes, it kills that process.
    ///
    /// # Errors
    ///
    /// When a process cannot be started, or when three of them died over this question.
    pub async fn fib(&self, n: u32) -> io::Result<u64> {
        let _turn = self.0.turns.acquire().await.expect("nobody closes the semaphore");
        let mut died = 0;
        loop {
            let idle = self.lock().pop();
            let was_idle = idle.is_some();
            let mut worker = idle.map_or_else(|| Worker::start(&self.0.program), Ok)?;
            match worker.ask(n).await {
                Ok(value) => {
                    self.lock().push(worker);
                    return Ok(value);
                }
                // It may have died while nobody asked it: that is not this question's doing.
                Err(Lost::BeforeAsking) if was_idle => {}
                Err(_) => died += 1,
            }
            if died == ASK_MAX {
                return Err(io::Error::other(format!("{ASK_MAX} worker processes died over it")));
            }
        }
    }
    // ANCHOR_END: ask

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process ids of the workers that nobody asks anything now.
    pub fn idle(&self) -> Vec<u32> {
        self.lock().iter().filter_map(|worker| worker.process.id()).collect()
    }
}

/// How a worker was lost.
enum Lost {
    BeforeAsking,
    WhileAsking,
}

/// One worker process and the two pipes to it. It is killed when it is dropped.
#[derive(Debug)]
struct Worker {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(program: &OsString) -> io::Result<Worker> {
        let mut command = StdCommand::new(program);
        command.arg(FIB_WORKER).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Command::from(command).kill_on_drop(true).spawn()?;
        let questions = process.stdin.take().expect("stdin was asked for as a pipe");
        let answers = process.stdout.take().expect("stdout was asked for as a pipe");
        Ok(Worker { process, questions, answers: BufReader::new(answers) })
    }

    async fn ask(&mut self, n: u32) -> Result<u64, Lost> {
        let question = format!("{n}\n");
        self.questions.write_all(question.as_bytes()).await.map_err(|_| Lost::BeforeAsking)?;
        let mut line = String::new();
        self.answers.read_line(&mut line).await.map_err(|_| Lost::WhileAsking)?;
        // Where it died, the line is empty, and that is no number.
        line.trim_end().parse().map_err(|_| Lost::WhileAsking)
    }
}

/// The worker's side: answers each number of `questions`, and ends when they end, also in the
/// middle of a long answer: then its parent is gone.
///
/// # Errors
///
/// When writing an answer fails, or a line is no number.
pub fn serve_fib(
    questions: impl BufRead + Send + 'static,
    mut answers: impl Write,
    compute: impl Fn(u32) -> u64,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        for line in questions.lines().map_while(Result::ok) {
            let _ = sender.send(line); // fails only where the answering side is gone
        }
        std::process::exit(0)
    })?;
    for question in receiver {
        let n = question.parse().map_err(io::Error::other)?;
        answers.write_all(format!("{}\n", compute(n)).as_bytes())?;
        answers.flush()?;
    }
    Ok(())
}

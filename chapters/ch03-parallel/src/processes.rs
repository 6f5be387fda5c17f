//! Worker processes: cores without sharing memory.
//!
//! A worker is a program that reads a number a line and writes its Fibonacci number a line. What
//! the parent shares with it is two pipes and nothing else. That is safe, and it has a price that
//! a thread does not have: the other side can be gone. It may have been killed, by the kernel when
//! memory runs out or by hand, and then the question that it had must be asked again.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

// ANCHOR: ask_max
/// How many workers a question may cost. One that kills each worker it is given to would otherwise
/// be asked for ever.
pub const ASK_MAX: u32 = 3;
// ANCHOR_END: ask_max

// ANCHOR: processes
/// Worker processes, as many as are asked at once.
#[derive(Debug)]
pub struct Processes<C> {
    command: C,
    /// Those that nobody is asking anything now.
    idle: Mutex<Vec<Worker>>,
}
// ANCHOR_END: processes

impl<C: Fn() -> Command> Processes<C> {
    // ANCHOR: new
    /// A pool whose workers are started with `command`. A worker is started when a question finds
    /// none idle, so there are never more than there are threads that ask.
    pub fn new(command: C) -> Processes<C> {
        Processes { command, idle: Mutex::default() }
    }
    // ANCHOR_END: new

    // ANCHOR: ask
    /// Asks a worker for fib(n), and blocks until the answer is there. When the worker dies over
    /// it, another one is asked, up to [`ASK_MAX`] in all.
    ///
    /// # Errors
    ///
    /// When a worker cannot be started, or when [`ASK_MAX`] workers died over this question.
    pub fn ask(&self, n: u32) -> io::Result<u64> {
        let mut died = 0;
        loop {
            let idle = self.lock().pop();
            let was_idle = idle.is_some();
            let mut worker = idle.map_or_else(|| Worker::start((self.command)()), Ok)?;
            match worker.ask(n) {
                Ok(value) => {
                    self.lock().push(worker);
                    return Ok(value);
                }
                // It died while nobody asked it anything: that is not this question's doing.
                Err(Lost::BeforeAsking) if was_idle => {}
                Err(_) => died += 1,
            }
            if died == ASK_MAX {
                return Err(io::Error::other(format!("{ASK_MAX} worker processes died over it")));
            }
        }
    }
    // ANCHOR_END: ask

    // ANCHOR: helpers
    /// The process ids of the workers that are idle now.
    pub fn idle(&self) -> Vec<u32> {
        self.lock().iter().map(|worker| worker.process.id()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
    // ANCHOR_END: helpers
}

// ANCHOR: lost
/// How a worker was lost.
enum Lost {
    /// It was gone before the question reached it.
    BeforeAsking,
    /// It got the question, and no answer came back.
    WhileAsking,
}
// ANCHOR_END: lost

// ANCHOR: worker
/// One worker process and the two pipes to it.
#[derive(Debug)]
struct Worker {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}
// ANCHOR_END: worker

impl Worker {
    // ANCHOR: start
    fn start(mut command: Command) -> io::Result<Worker> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = process.stdin.take().expect("stdin was asked for as a pipe");
        let answers = process.stdout.take().expect("stdout was asked for as a pipe");
        Ok(Worker { process, questions, answers: BufReader::new(answers) })
    }
    // ANCHOR_END: start

    // ANCHOR: worker_ask
    fn ask(&mut self, n: u32) -> Result<u64, Lost> {
        // One short write: it reaches a living worker whole, and a dead one's pipe is closed.
        if self.questions.write_all(format!("{n}\n").as_bytes()).is_err() {
            return Err(Lost::BeforeAsking);
        }
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|_| Lost::WhileAsking)?;
        // Where it died, the line is empty, and that is no number.
        line.trim_end().parse().map_err(|_| Lost::WhileAsking)
    }
    // ANCHOR_END: worker_ask
}

// ANCHOR: drop_worker
/// A worker that nobody will ask again is ended, whatever it is doing, and its exit status is
/// fetched, without which the kernel would keep an entry for it (a zombie).
impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill(); // fails only where it has ended by itself
        let _ = self.process.wait();
    }
}
// ANCHOR_END: drop_worker

// ANCHOR: serve
/// The worker's side: answers each number that a line of `questions` holds. When they end, the
/// process ends, and what has no answer yet gets none: nobody is left to read it.
///
/// A thread of its own does the reading, and ends the process when there is nothing more to read:
/// so a worker ends with its parent, however the parent ended, also in the middle of a long answer.
///
/// # Errors
///
/// When writing an answer fails, or a line is no number: then the other side is not our parent.
pub fn serve(
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
// ANCHOR_END: serve

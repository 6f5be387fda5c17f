//! The client: a thread that prints the server's heartbeat, a thread that reads lines, and a loop
//! that asks and waits for all answers.
//!
//! A loop, because the first answer to come is the first to be printed. Of several threads, each of
//! which waits for an answer, any may be the first to print.
//!
//! It speaks HTTP/1.0, in which a response ends where its connection ends.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use fib_timing::{BadLine, Command, EXIT_GRACE, Line, Lines, answer, hello};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// How many questions may be open at once: behind these, no line is read.
pub(crate) const PENDING_MAX: usize = 1024;

/// How many of them may be asked at once. Each is a connection. While the server's loop computes,
/// nobody accepts, and the kernel keeps no more than 128 of them.
pub(crate) const CONNECTIONS_MAX: usize = 100;

/// The longest response that is read, in bytes.
const RESPONSE_MAX: u64 = 64 * 1024;

/// How much one read takes at most, in bytes: a thousand beats.
const CHUNK: usize = 64 * 1024;

/// Whom we ask, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Where it is to compute.
    pub(crate) place: &'static str,
    /// It computes one answer at a time, so they are printed in the order of the questions.
    pub(crate) in_turn: bool,
}

// ANCHOR: run
/// Says hello at each beat of the server, and has it answer the lines of `input`.
///
/// What is still blocked when this returns ends with the process, or with the server.
pub(crate) fn run(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    target: Target,
) -> io::Result<()> {
    let output = Arc::new(Mutex::new(output));
    let mut beats = Beats::of(target.address, period)?;
    // The first hello is said before there is a thread that could answer.
    beats.next()?;
    say(&output, hello(SystemTime::now()))?;
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let ((asked, to_ask), (ended, first)) = (unbounded_channel(), mpsc::channel());
    let open = Arc::new(Open::default());
    let in_turn = target.in_turn;
    let questions =
        Questions { in_turn, output: Arc::clone(&output), open: Arc::clone(&open), asked };
    let answers = Answers { output: Arc::clone(&output), open, target };
    start(&ended, move || Some(hellos(beats, &output)))?;
    start(&ended, move || runtime.block_on(answers.say_all(to_ask)).err().map(Err))?;
    start(&ended, move || Some(lines(input, &questions)))?;
    let result = first.recv().expect("whoever ends the program sends, also when it panics");
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

type Ended = mpsc::Sender<thread::Result<io::Result<()>>>;

/// Does `work` on a thread, and sends what ends the program, if that does.
fn start(
    ended: &Ended,
    work: impl FnOnce() -> Option<io::Result<()>> + Send + 'static,
) -> io::Result<()> {
    let ended = ended.clone();
    thread::Builder::new().spawn(move || {
        let result = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(None) => return,
            Ok(Some(result)) => Ok(result),
            Err(panic) => Err(panic),
        };
        let _ = ended.send(result); // nobody listens any more to the second to end
    })?;
    Ok(())
}
// ANCHOR_END: run

// ANCHOR: hellos
/// The first promise. The server keeps it, we print it.
fn hellos(mut beats: Beats, output: &Mutex<impl Write>) -> io::Result<()> {
    loop {
        beats.next()?;
        say(output, hello(SystemTime::now()))?;
    }
}

/// The server's heartbeat, as it comes over a connection.
struct Beats {
    stream: TcpStream,
    lines: Lines,
    chunk: Box<[u8]>,
}

impl Beats {
    fn of(server: SocketAddr, period: Duration) -> io::Result<Beats> {
        let mut stream = TcpStream::connect(server).map_err(of_server)?;
        let request = get(&format!("/events?seconds={}", period.as_secs_f64()));
        stream.write_all(request.as_bytes()).map_err(of_server)?;
        Ok(Beats { stream, lines: Lines::new(), chunk: vec![0; CHUNK].into() })
    }

    /// Waits for a beat. Those that came while we were stalled come in one read, and are one late
    /// hello.
    fn next(&mut self) -> io::Result<()> {
        let is_beat = |line: &Line| matches!(line, Line::Whole(text) if text.starts_with(b"data:"));
        loop {
            let length = read(&mut self.stream, &mut self.chunk).map_err(of_server)?;
            if length == 0 {
                return Err(of_server("its heartbeat has ended"));
            }
            self.lines.push(&self.chunk[..length]);
            if self.lines.by_ref().filter(is_beat).count() > 0 {
                return Ok(());
            }
        }
    }
}
// ANCHOR_END: hellos

// ANCHOR: lines
/// Reads each line, and has it answered. Returns when there is nothing more to answer.
fn lines(mut input: impl Read, questions: &Questions<impl Write>) -> io::Result<()> {
    let (mut lines, mut chunk) = (Lines::new(), vec![0; CHUNK]);
    loop {
        let length = read(&mut input, &mut chunk)?;
        match length {
            0 => lines.end(),
            _ => lines.push(&chunk[..length]),
        }
        for line in lines.by_ref() {
            match Command::parse(&line) {
                Ok(Command::Blank) => {}
                Ok(Command::Exit) => {
                    questions.wait_or_abandon();
                    return Ok(());
                }
                Ok(Command::Fib(n)) => questions.ask(n)?,
                Err(error) => questions.refuse(error)?,
            }
        }
        if length == 0 {
            questions.open.wait_for_fewer_than(1);
            return Ok(());
        }
    }
}

/// The questions, as the thread that reads sees them.
struct Questions<W> {
    in_turn: bool,
    output: Arc<Mutex<W>>,
    open: Arc<Open>,
    asked: UnboundedSender<u32>,
}

impl<W: Write> Questions<W> {
    fn ask(&self, n: u32) -> io::Result<()> {
        self.open.wait_for_fewer_than(PENDING_MAX);
        self.open.push(n);
        self.asked.send(n).map_err(|_| io::Error::other("nobody waits for answers"))
    }

    /// Says what is wrong with a line, when it is the line's turn.
    fn refuse(&self, error: BadLine) -> io::Result<()> {
        if self.in_turn {
            self.open.wait_for_fewer_than(1);
        }
        say(&self.output, error)
    }

    /// `exit`: what is ready soon is still answered, and what is not is named.
    fn wait_or_abandon(&self) {
        let abandoned = self.open.wait_for_none(EXIT_GRACE);
        if !abandoned.is_empty() {
            command_line::complain_abandoned(&abandoned);
        }
    }
}
// ANCHOR_END: lines

// ANCHOR: answers
/// The second promise. The server keeps it, we ask and print.
struct Answers<W> {
    target: Target,
    output: Arc<Mutex<W>>,
    open: Arc<Open>,
}

impl<W: Write + Send + 'static> Answers<W> {
    /// Asks in the order in which the questions were typed, and says each answer as it comes, or in
    /// the same order.
    async fn say_all(self, mut to_ask: UnboundedReceiver<u32>) -> io::Result<()> {
        let waiting = if self.target.in_turn { 1 } else { CONNECTIONS_MAX };
        let (turns, this) = (Arc::new(Semaphore::new(waiting)), Arc::new(self));
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                Some(n) = to_ask.recv() => {
                    let stream = this.ask(n).await.map_err(of_server)?;
                    let turn = Arc::clone(&turns).acquire_owned().await;
                    let turn = turn.expect("nobody closes the semaphore");
                    tasks.spawn(Arc::clone(&this).say(n, stream, turn));
                }
                Some(said) = tasks.join_next() => said??,
                else => return Ok(()),
            }
        }
    }

    async fn ask(&self, n: u32) -> io::Result<tokio::net::TcpStream> {
        let mut stream = tokio::net::TcpStream::connect(self.target.address).await?;
        let request = get(&format!("/fib/{n}?where={}", self.target.place));
        stream.write_all(request.as_bytes()).await?;
        Ok(stream)
    }

    /// The write may block this loop. There is nothing on it but other answers.
    async fn say(
        self: Arc<Self>,
        n: u32,
        stream: tokio::net::TcpStream,
        _turn: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        let mut response = String::new();
        stream.take(RESPONSE_MAX).read_to_string(&mut response).await.map_err(of_server)?;
        say(&self.output, line(n, &response)?)?;
        self.open.close(n);
        Ok(())
    }
}

/// What the server answers: a number, or why there is none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Answer { value: u64, seconds: f64 },
    Refusal { error: String },
}

/// The line that says what stands in a response.
fn line(n: u32, response: &str) -> io::Result<String> {
    let (_head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    match serde_json::from_str(body) {
        Ok(Reply::Answer { value, seconds }) => {
            let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            Ok(answer(n, (value, took)))
        }
        Ok(Reply::Refusal { error }) => Ok(format!("error: {error}")),
        Err(_) => Err(of_server(format_args!("fib({n}) was answered with {body:?}"))),
    }
}
// ANCHOR_END: answers

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\n\r\n")
}

// ANCHOR: open
/// The n of each question that has no answer yet, in the order in which they were asked.
#[derive(Default)]
struct Open {
    numbers: Mutex<Vec<u32>>,
    fewer: Condvar,
}

impl Open {
    fn push(&self, n: u32) {
        self.lock().push(n);
    }

    fn close(&self, n: u32) {
        let mut numbers = self.lock();
        let index = numbers.iter().position(|open| *open == n);
        numbers.remove(index.expect("each question is closed once"));
        self.fewer.notify_all();
    }

    fn wait_for_fewer_than(&self, limit: usize) {
        drop(self.fewer.wait_while(self.lock(), |numbers| numbers.len() >= limit));
    }

    /// Waits until all have their answers, up to a limit. Returns those that have none.
    fn wait_for_none(&self, limit: Duration) -> Vec<u32> {
        let some = |numbers: &mut Vec<u32>| !numbers.is_empty();
        let waited = self.fewer.wait_timeout_while(self.lock(), limit, some);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u32>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
// ANCHOR_END: open

// ANCHOR: say
/// One line, in one write, and a flush, under a lock: the lines of two threads never mix.
fn say(output: &Mutex<impl Write>, line: impl Display) -> io::Result<()> {
    // A thread that panicked while it held the lock left at worst half a line behind.
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}
// ANCHOR_END: say

/// One read, begun again where a signal has interrupted it.
fn read(from: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A connection that breaks is a failure. With its own kind it could be mistaken for the end of our
/// output, which is none.
fn of_server(error: impl Display) -> io::Error {
    io::Error::other(format!("the server: {error}"))
}

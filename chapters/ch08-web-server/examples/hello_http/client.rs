//! The client: a thread that prints the server's heartbeat, a thread that reads lines and asks, and
//! a loop that waits for all answers.
//!
//! A loop, because the first answer to come is the first to be printed. Of several threads, each of
//! which waits for an answer, any may be the first to print. It speaks HTTP/1.0, in which a response
//! ends where its connection ends.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use fib_timing::{BadLine, Command, EXIT_GRACE, Line, Lines, answer, hello};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// How many questions may be open at once. Each is a connection. While the server's loop computes,
/// nobody accepts, and the kernel keeps no more than 128 of them.
pub(crate) const PENDING_MAX: usize = 100;

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
/// When this returns, no connection is open any more. What is blocked ends with the process.
pub(crate) fn run(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    target: Target,
) -> io::Result<()> {
    let output = Arc::new(Mutex::new(output));
    let mut beats = Beats::of(target.address, period)?;
    let connection = beats.stream.try_clone()?;
    // The first hello is said before there is a thread that could answer.
    beats.next()?;
    say(&output, hello(SystemTime::now()))?;
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let ((asked, to_answer), (ended, first)) = (unbounded_channel(), mpsc::channel());
    let open = Arc::new(Open::new());
    let questions =
        Questions { target, output: Arc::clone(&output), open: Arc::clone(&open), asked };
    let answers = Answers { output: Arc::clone(&output), open: Arc::clone(&open), target };
    start(&ended, move || Some(hellos(beats, &output)))?;
    start(&ended, move || runtime.block_on(answers.say_all(to_answer)).err().map(Err))?;
    start(&ended, move || Some(lines(input, &questions)))?;
    let result = first.recv().expect("whoever ends the program sends, also when it panics");
    // Else the server would wait a while for us, where we are blocked in a write.
    let _ = connection.shutdown(Shutdown::Both); // fails where the server is gone
    open.give_up();
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
        let stream = get(server, &format!("/hellos?seconds={}", period.as_secs_f64()))?;
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
/// The second promise, its first half: reads each line, and asks. Returns when there is nothing
/// more to answer.
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
                    exit(&questions.open);
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

/// What is ready soon is still answered, and what is not is named.
fn exit(open: &Open) {
    let abandoned = open.wait_for_none(EXIT_GRACE);
    if !abandoned.is_empty() {
        open.give_up();
        command_line::complain_abandoned(&abandoned);
    }
}
// ANCHOR_END: lines

// ANCHOR: questions
/// A question, and the connection on which its answer comes.
struct Question {
    n: u32,
    stream: TcpStream,
}

/// What asks.
struct Questions<W> {
    target: Target,
    output: Arc<Mutex<W>>,
    open: Arc<Open>,
    asked: UnboundedSender<Arc<Question>>,
}

impl<W: Write> Questions<W> {
    /// Sends a question. They reach the server in the order in which they were typed.
    fn ask(&self, n: u32) -> io::Result<()> {
        self.open.wait_for_fewer_than(PENDING_MAX);
        let path = format!("/fib/{n}?where={}", self.target.place);
        let question = Arc::new(Question { n, stream: get(self.target.address, &path)? });
        self.open.push(Arc::clone(&question))?;
        self.asked.send(question).map_err(|_| io::Error::other("nobody waits for answers"))
    }

    /// Says what is wrong with a line, when it is the line's turn.
    fn refuse(&self, error: BadLine) -> io::Result<()> {
        if self.target.in_turn {
            self.open.wait_for_fewer_than(1);
        }
        say(&self.output, error)
    }
}
// ANCHOR_END: questions

// ANCHOR: answers
/// The second promise, its other half: what waits for the answers, and says them.
struct Answers<W> {
    target: Target,
    output: Arc<Mutex<W>>,
    open: Arc<Open>,
}

impl<W: Write + Send + 'static> Answers<W> {
    /// Says each answer as it comes, or in the order of the questions.
    async fn say_all(self, mut asked: UnboundedReceiver<Arc<Question>>) -> io::Result<()> {
        let (this, mut tasks) = (Arc::new(self), JoinSet::new());
        loop {
            tokio::select! {
                Some(question) = asked.recv() => {
                    let said = Arc::clone(&this).say(question);
                    if this.target.in_turn { said.await? } else { drop(tasks.spawn(said)) }
                }
                Some(said) = tasks.join_next() => said??,
                else => return Ok(()),
            }
        }
    }

    async fn say(self: Arc<Self>, question: Arc<Question>) -> io::Result<()> {
        let line = question.reply().await;
        if self.open.has(&question) {
            say(&self.output, line?)?;
            self.open.close(&question);
        }
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

impl Question {
    /// Waits for the answer, and gives the line that says it.
    async fn reply(&self) -> io::Result<String> {
        let stream = self.stream.try_clone()?;
        stream.set_nonblocking(true)?;
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let mut response = String::new();
        stream.take(RESPONSE_MAX).read_to_string(&mut response).await.map_err(of_server)?;
        let (_head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
        match serde_json::from_str(body) {
            Ok(Reply::Answer { value, seconds }) => {
                let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                Ok(answer(self.n, (value, took)))
            }
            Ok(Reply::Refusal { error }) => Ok(format!("error: {error}")),
            Err(_) => Err(of_server(format_args!("fib({}) was answered with {body:?}", self.n))),
        }
    }
}
// ANCHOR_END: answers

/// Sends a request.
fn get(server: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server).map_err(of_server)?;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(of_server)?;
    Ok(stream)
}

// ANCHOR: open
/// The questions that have no answer yet, in the order in which they were asked. None, when they
/// were given up.
struct Open {
    questions: Mutex<Option<Vec<Arc<Question>>>>,
    changed: Condvar,
}

impl Open {
    fn new() -> Open {
        Open { questions: Mutex::new(Some(Vec::new())), changed: Condvar::new() }
    }

    fn push(&self, question: Arc<Question>) -> io::Result<()> {
        let mut questions = self.lock();
        let questions = questions.as_mut().ok_or_else(|| io::Error::other("it has ended"))?;
        questions.push(question);
        Ok(())
    }

    fn close(&self, question: &Arc<Question>) {
        if let Some(questions) = &mut *self.lock() {
            questions.retain(|open| !Arc::ptr_eq(open, question));
        }
        self.changed.notify_all();
    }

    /// Closes all connections. The server sees that, and gives the work up where it can.
    fn give_up(&self) {
        for question in self.lock().take().into_iter().flatten() {
            let _ = question.stream.shutdown(Shutdown::Both); // fails where the server is gone
        }
        self.changed.notify_all();
    }

    fn wait_for_fewer_than(&self, limit: usize) {
        drop(self.changed.wait_while(self.lock(), |questions| count(questions) >= limit));
    }

    /// Waits until all have their answers, up to a limit. Returns the numbers of those that have
    /// none.
    fn wait_for_none(&self, limit: Duration) -> Vec<u32> {
        let are_some = |questions: &mut _| count(questions) > 0;
        let waited = self.changed.wait_timeout_while(self.lock(), limit, are_some);
        let (questions, _) = waited.unwrap_or_else(PoisonError::into_inner);
        questions.iter().flatten().map(|question| question.n).collect()
    }

    fn has(&self, question: &Arc<Question>) -> bool {
        self.lock().iter().flatten().any(|open| Arc::ptr_eq(open, question))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Arc<Question>>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(questions: &Option<Vec<Arc<Question>>>) -> usize {
    questions.as_ref().map_or(0, Vec::len)
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

/// A connection that breaks is a failure of ours. With its own kind it could be mistaken for the
/// end of our output, which is none.
fn of_server(error: impl Display) -> io::Error {
    io::Error::other(format!("the server: {error}"))
}

//! A web server by hand: accept, read, parse, spawn, await, write.
//!
//! What happens between a connection and its answer is written down, step by step, with the thread
//! that does it. It is said that a proxy thread accepts, and hands the requests to the loop.
//! Predict how many threads appear when the loop has one thread, and how many when the runtime has
//! two workers. And predict for a request that comes in three writes how often it is read and how
//! often it is parsed.
//!
//! `cargo run -p ch08-web-server --example from_scratch` serves a few requests of its own. With
//! `-- --port 8000` it serves yours, until Ctrl-C.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream as Client};
use std::process::ExitCode;
use std::str;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The longest head of a request, its first line and its headers, in bytes.
const HEAD_MAX: usize = 8 << 10;

const HEADERS_MAX: usize = 64;

/// The longest body, in bytes. It is skipped: no page wants one.
const BODY_MAX: usize = 64 << 10;

/// How much one read takes at most, in bytes.
const READ_MAX: usize = 4 << 10;

/// Further ones wait in the kernel, not accepted.
const CONNECTIONS_MAX: usize = 64;

/// From the end of one response to the end of the next.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);

/// How long, and for how many bytes, a client is listened to that was told that we close.
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);
const LINGER_MAX: usize = 256 << 10;

/// How long to wait after an `accept` that failed: the process may have no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the page /wait waits.
const WAIT: Duration = Duration::from_millis(20);

// ANCHOR: steps
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Accepted,
    ConnectionSpawned,
    Read(usize),
    /// What was read so far is not a whole head: it waits for more.
    Incomplete,
    Parsed(String),
    Refused(u16),
    RequestSpawned,
    HandlerRuns,
    Awaited(u16),
    Written(usize),
    Closed,
}

/// A step, of which connection, and on which thread.
#[derive(Debug, Clone)]
struct Record {
    connection: usize,
    step: Step,
    thread: ThreadId,
}

/// Where a connection writes its steps down.
#[derive(Clone)]
struct Log(SyncSender<Record>, usize);

/// The most steps that wait to be read.
const RECORDS_MAX: usize = 1024;

impl Log {
    /// Where nobody reads, steps are lost. To wait for a reader would stop the loop.
    fn note(&self, step: Step) {
        let record = Record { connection: self.1, step, thread: thread::current().id() };
        let _ = self.0.try_send(record);
    }
}
// ANCHOR_END: steps

// ANCHOR: parse
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status(u16, &'static str);

const OK: Status = Status(200, "OK");
const BAD_REQUEST: Status = Status(400, "Bad Request");
const NOT_FOUND: Status = Status(404, "Not Found");
const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
const HEAD_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");
const SERVER_ERROR: Status = Status(500, "Internal Server Error");
const NOT_IMPLEMENTED: Status = Status(501, "Not Implemented");
const VERSION_NOT_SUPPORTED: Status = Status(505, "HTTP Version Not Supported");

/// What this server asks of the head of a request.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    method: String,
    path: String,
    /// How many bytes of a body follow.
    body: usize,
    keep_alive: bool,
}

/// The head at the start of these bytes, and its length. `None`: it is not whole yet.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Status> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() < HEAD_MAX { Ok(None) } else { Err(HEAD_TOO_LARGE) };
    };
    if end + 4 > HEAD_MAX {
        return Err(HEAD_TOO_LARGE);
    }
    let mut lines = str::from_utf8(&bytes[..end]).map_err(|_| BAD_REQUEST)?.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else { return Err(BAD_REQUEST) };
    if !is_token(method) || !target.starts_with('/') || has_control(target) {
        return Err(BAD_REQUEST);
    }
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ if version.starts_with("HTTP/") => return Err(VERSION_NOT_SUPPORTED),
        _ => return Err(BAD_REQUEST),
    };
    let (mut hosts, mut length) = (0, None);
    for (number, line) in lines.enumerate() {
        let (name, value) = line.split_once(':').ok_or(BAD_REQUEST)?;
        let value = value.trim_matches([' ', '\t']);
        if number == HEADERS_MAX {
            return Err(HEAD_TOO_LARGE);
        } else if !is_token(name) || has_control(value) {
            return Err(BAD_REQUEST);
        } else if name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case("connection") {
            let close = |word: &str| word.trim().eq_ignore_ascii_case("close");
            keep_alive &= !value.split(',').any(close);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(NOT_IMPLEMENTED);
        } else if name.eq_ignore_ascii_case("content-length") {
            // Two lengths are two opinions on where the next request begins.
            let is_number = length.is_none() && value.bytes().all(|byte| byte.is_ascii_digit());
            length = Some(if is_number { value } else { return Err(BAD_REQUEST) });
        }
    }
    if hosts > 1 || hosts == 0 && version == "HTTP/1.1" || length == Some("") {
        return Err(BAD_REQUEST);
    }
    let body = length.unwrap_or("0").parse().map_err(|_| CONTENT_TOO_LARGE)?; // too many digits
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Ok(Some((Head { method: method.to_owned(), path, body, keep_alive }, end + 4)))
}
// ANCHOR_END: parse

/// A method or the name of a header.
fn is_token(text: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_right)
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}

// ANCHOR: serve
/// Accepts, and spawns a task for each connection.
async fn serve(listener: TcpListener, records: SyncSender<Record>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut number = 0;
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                command_line::complain(&format!("from_scratch: accept: {error}\n"));
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        number += 1;
        let log = Log(records.clone(), number);
        log.note(Step::Accepted);
        log.note(Step::ConnectionSpawned);
        tokio::spawn(async move {
            let mut connection = Connection { stream, buffer: Vec::new(), log };
            connection.run().await;
            connection.log.note(Step::Closed);
            drop((connection, place));
        });
    }
}

// ANCHOR_END: serve

// ANCHOR: connection
struct Connection {
    stream: TcpStream,
    /// What was read and is not parsed.
    buffer: Vec<u8>,
    log: Log,
}

/// Why a connection ends.
enum End {
    /// The client closed it, or it broke.
    Closed,
    /// We close it, after this answer.
    Refused(Status),
    /// We close it: the answer is written.
    Answered,
}

impl Connection {
    async fn run(&mut self) {
        let end = loop {
            match timeout(EXCHANGE_TIME_MAX, self.exchange()).await {
                Ok(Ok(())) => {}
                Ok(Err(end)) => break end,
                Err(_elapsed) => break End::Closed,
            }
        };
        // A client that reads nothing may be in the way of these last words as well.
        let _ = timeout(LINGER_TIME_MAX, self.end_with(end)).await;
    }

    async fn end_with(&mut self, end: End) -> Result<(), End> {
        match end {
            End::Closed => return Ok(()),
            End::Refused(status) => {
                self.log.note(Step::Refused(status.0));
                self.write(&Response::new(status), false, true).await?;
            }
            End::Answered => {}
        }
        self.linger().await.map_err(|_| End::Closed)
    }

    // ANCHOR_END: connection

    // ANCHOR: exchange
    /// One request and its response.
    async fn exchange(&mut self) -> Result<(), End> {
        let head = self.read_head().await?;
        self.skip(head.body).await?;
        let (keep_alive, with_body) = (head.keep_alive, head.method != "HEAD");
        let log = self.log.clone();
        log.note(Step::RequestSpawned);
        let handler = tokio::spawn(async move {
            log.note(Step::HandlerRuns);
            answer(&head).await
        });
        // A task of its own: should it panic, the connection goes on.
        let response = AbortOnDropHandle::new(handler).await;
        let response = response.unwrap_or_else(|_panicked| Response::new(SERVER_ERROR));
        self.log.note(Step::Awaited(response.status.0));
        self.write(&response, keep_alive, with_body).await?;
        if keep_alive { Ok(()) } else { Err(End::Answered) }
    }

    // ANCHOR_END: exchange

    // ANCHOR: read
    /// One read is not one head: it may be half of one, or two.
    async fn read_head(&mut self) -> Result<Head, End> {
        loop {
            if let Some((head, length)) = parse(&self.buffer).map_err(End::Refused)? {
                self.buffer.drain(..length);
                self.log.note(Step::Parsed(format!("{} {}", head.method, head.path)));
                return Ok(head);
            }
            if !self.buffer.is_empty() {
                self.log.note(Step::Incomplete);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), End> {
        let mut bytes = [0; READ_MAX];
        match self.stream.read(&mut bytes).await {
            Ok(0) | Err(_) => Err(End::Closed),
            Ok(length) => {
                self.log.note(Step::Read(length));
                self.buffer.extend_from_slice(&bytes[..length]);
                Ok(())
            }
        }
    }

    // ANCHOR_END: read

    async fn skip(&mut self, length: usize) -> Result<(), End> {
        if length > BODY_MAX {
            return Err(End::Refused(CONTENT_TOO_LARGE));
        }
        while self.buffer.len() < length {
            self.read().await?;
        }
        self.buffer.drain(..length);
        Ok(())
    }

    async fn write(
        &mut self,
        response: &Response,
        keep_alive: bool,
        with_body: bool,
    ) -> Result<(), End> {
        let Response { status: Status(code, reason), body } = response;
        let allow = if *code == METHOD_NOT_ALLOWED.0 { "Allow: GET, HEAD\r\n" } else { "" };
        let close = if keep_alive { "" } else { "Connection: close\r\n" };
        let mut text = format!(
            "HTTP/1.1 {code} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             {allow}{close}\r\n",
            body.len()
        );
        if with_body {
            text.push_str(body);
        }
        self.stream.write_all(text.as_bytes()).await.map_err(|_| End::Closed)?;
        self.log.note(Step::Written(text.len()));
        Ok(())
    }

    // ANCHOR: linger
    /// Closes our direction, and reads to the end of theirs. A socket that is closed with unread
    /// bytes resets the connection, and the client may lose the answer that is on its way.
    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let (mut bytes, mut left) = ([0; READ_MAX], LINGER_MAX);
        while left > 0 {
            match self.stream.read(&mut bytes).await? {
                0 => break,
                length => left = left.saturating_sub(length),
            }
        }
        Ok(())
    }
    // ANCHOR_END: linger
}

// ANCHOR: handler
struct Response {
    status: Status,
    body: String,
}

impl Response {
    fn new(status: Status) -> Response {
        Response { status, body: format!("{}\n", status.1) }
    }
}

/// The pages.
async fn answer(head: &Head) -> Response {
    let is_get = head.method == "GET" || head.method == "HEAD";
    match head.path.as_str() {
        "/" | "/wait" | "/panic" if !is_get => Response::new(METHOD_NOT_ALLOWED),
        "/" => Response { status: OK, body: "Hello world!\n".to_owned() },
        "/wait" => {
            sleep(WAIT).await;
            Response { status: OK, body: format!("waited {WAIT:?}\n") }
        }
        "/panic" => panic!("a handler with a bug"),
        _ => Response::new(NOT_FOUND),
    }
}
// ANCHOR_END: handler

/// The steps as they were noted, for a client that waits for one of them.
struct Watch {
    records: Receiver<Record>,
    seen: Vec<Record>,
}

/// How long a client waits for a step or an answer that must come.
const PATIENCE: Duration = Duration::from_secs(30);

impl Watch {
    /// Waits until a connection has made such a step so many times.
    fn wait_for(&mut self, connection: usize, step: &Step, times: usize) -> io::Result<()> {
        let is_it = |record: &&Record| record.connection == connection && record.step == *step;
        while self.seen.iter().filter(is_it).count() < times {
            self.seen.push(self.records.recv_timeout(PATIENCE).map_err(io::Error::other)?);
        }
        Ok(())
    }

    fn of(&self, connection: usize) -> impl Iterator<Item = &Record> {
        self.seen.iter().filter(move |record| record.connection == connection)
    }
}

/// A client's end of a connection.
struct Talk(BufReader<Client>);

impl Talk {
    fn connect(address: SocketAddr) -> io::Result<Talk> {
        let stream = Client::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Talk(BufReader::new(stream)))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.0.get_mut().write_all(text.as_bytes())
    }

    /// The head of the next response, and its body.
    fn read(&mut self) -> io::Result<(String, String)> {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = head[start..].strip_prefix("Content-Length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Serves on a port of the system's choice, until `client` returns, which runs on a thread of its
/// own.
fn serve_for<T: Send + 'static>(
    builder: &mut Builder,
    client: impl FnOnce(SocketAddr, Watch) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, records) = mpsc::sync_channel(RECORDS_MAX);
    builder.enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, ended) = (listener.local_addr()?, CancellationToken::new());
        let end = ended.clone().drop_guard();
        let client = thread::spawn(move || {
            let _end = end; // also should it panic
            client(address, Watch { records, seen: Vec::new() })
        });
        ended.run_until_cancelled(serve(listener, sender)).await;
        client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What the clients write, each piece once the one before was read, and how many answers they
/// expect.
fn conversations() -> Vec<(&'static str, Vec<String>, usize)> {
    let pieces = |pieces: &[&str]| pieces.iter().map(|&piece| piece.to_owned()).collect();
    let (start, rest) = GET.split_at(2);
    let (middle, end) = rest.split_at(20);
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(HEAD_MAX));
    vec![
        ("a request in one write", pieces(&[GET]), 1),
        ("a request in three writes", pieces(&[start, middle, end]), 1),
        ("two requests in one write", pieces(&[&(GET.replace("/ ", "/wait ") + GET)]), 2),
        ("a request that is none", pieces(&["Hello, server!\r\n\r\n"]), 1),
        ("a request that is too long", pieces(&[&long]), 1),
    ]
}

// ANCHOR: measure
/// What the clients read, one conversation after the other, and all steps.
fn converse(address: SocketAddr, mut watch: Watch) -> io::Result<(Vec<Vec<String>>, Watch)> {
    let mut answers = Vec::new();
    for (number, (_, pieces, responses)) in (1..).zip(conversations()) {
        let mut talk = Talk::connect(address)?;
        for (read, piece) in pieces.iter().enumerate() {
            watch.wait_for(number, &Step::Incomplete, read)?;
            talk.write(piece)?;
        }
        let status = |(head, _): (String, String)| head.lines().next().map(str::to_owned);
        let read = (0..responses).map(|_| Ok(talk.read().map(status)?.unwrap_or_default()));
        answers.push(read.collect::<io::Result<_>>()?);
        drop(talk);
        watch.wait_for(number, &Step::Closed, 1)?;
    }
    Ok((answers, watch))
}
// ANCHOR_END: measure

/// Gives the threads letters: A is the one that was seen first.
#[derive(Default)]
struct Letters(Vec<ThreadId>);

impl Letters {
    fn of(&mut self, thread: ThreadId) -> char {
        let known = self.0.iter().position(|known| *known == thread).unwrap_or_else(|| {
            self.0.push(thread);
            self.0.len() - 1
        });
        u8::try_from(known).map_or('?', |known| char::from(b'A' + known % 26))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Accepted => write!(f, "accepted"),
            Step::ConnectionSpawned => write!(f, "spawned: a task for the connection"),
            Step::Read(bytes) => write!(f, "read {bytes} bytes"),
            Step::Incomplete => write!(f, "not a whole head: waits for more"),
            Step::Parsed(what) => write!(f, "parsed: {what}"),
            Step::Refused(status) => write!(f, "refused: {status}"),
            Step::RequestSpawned => write!(f, "spawned: a task for the request"),
            Step::HandlerRuns => write!(f, "the handler runs"),
            Step::Awaited(status) => write!(f, "awaited: {status}"),
            Step::Written(bytes) => write!(f, "written: {bytes} bytes"),
            Step::Closed => write!(f, "closed"),
        }
    }
}

const WORKERS: usize = 2;

fn print(out: &mut dyn Write) -> io::Result<()> {
    let mut letters = Letters::default();
    letters.of(thread::current().id());
    writeln!(out, "one thread; A is the one that called block_on")?;
    let (answers, watch) = serve_for(&mut Builder::new_current_thread(), converse)?;
    for (number, ((title, ..), answers)) in (1..).zip(conversations().iter().zip(answers)) {
        writeln!(out, "\n{title}")?;
        for Record { step, thread, .. } in watch.of(number) {
            writeln!(out, "    {}  {step}", letters.of(*thread))?;
        }
        answers.iter().try_for_each(|answer| writeln!(out, "       client: {answer}"))?;
    }
    writeln!(out, "\nthreads: {}", letters.0.len())?;

    let mut letters = Letters::default();
    letters.of(thread::current().id());
    let builder = &mut Builder::new_multi_thread();
    let (_, watch) = serve_for(builder.worker_threads(WORKERS), converse)?;
    writeln!(out, "\n{WORKERS} workers, the same clients; A is the one that called block_on")?;
    for (number, (title, ..)) in (1..).zip(conversations()) {
        let threads = watch.of(number).map(|record| letters.of(record.thread));
        writeln!(out, "    {}  {title}", threads.collect::<String>())?;
    }
    writeln!(
        out,
        "\nthreads: {} (workers may take turns, or one of them does all)",
        letters.0.len()
    )
}

/// Serves on a port of the user's choice, until Ctrl-C.
fn serve_on(port: u16, out: &mut dyn Write) -> io::Result<()> {
    let (sender, records) = mpsc::sync_channel(RECORDS_MAX);
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        writeln!(out, "http://{}/", listener.local_addr()?)?;
        out.flush()?;
        // A thread of its own prints: a terminal that is stopped would stop the loop.
        thread::spawn(move || {
            let mut letters = Letters::default();
            for Record { connection, step, thread } in records {
                let line = format!("{connection:>5} {}  {step}\n", letters.of(thread));
                if io::stdout().write_all(line.as_bytes()).is_err() {
                    break; // nobody reads
                }
            }
        });
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        tokio::spawn(async move {
            let _ = tokio::signal::ctrl_c().await;
            drop(end);
        });
        ended.run_until_cancelled(serve(listener, sender)).await;
        Ok(())
    })
}

/// The port, if one is given.
fn options(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<u16>, lexopt::Error> {
    use lexopt::prelude::{Long, ValueExt};

    let (mut parser, mut port) = (lexopt::Parser::from_args(arguments), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => port = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(port)
}

fn main() -> ExitCode {
    let fail = |error: &dyn fmt::Display, status: u8| {
        command_line::complain(&format!("from_scratch: {error}\n"));
        ExitCode::from(status)
    };
    let result = match options(std::env::args_os().skip(1)) {
        Ok(Some(port)) => serve_on(port, &mut io::stdout()),
        Ok(None) => print(&mut io::stdout().lock()),
        Err(error) => return fail(&error, 2),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error, 1),
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Serves on this thread, for the time of `client`.
    fn serve_here<T: Send + 'static>(
        client: impl FnOnce(SocketAddr, Watch) -> io::Result<T> + Send + 'static,
    ) -> T {
        let served = serve_for(&mut Builder::new_current_thread(), client);
        served.expect("a port is free, and every answer comes")
    }

    fn steps(watch: &Watch, connection: usize) -> Vec<Step> {
        watch.of(connection).map(|record| record.step.clone()).collect()
    }

    fn parsed(what: &str) -> Step {
        Step::Parsed(what.to_owned())
    }

    /// The status of the answer, and whether the server closes after it.
    fn ask(address: SocketAddr, request: &str) -> io::Result<(u16, bool)> {
        let mut talk = Talk::connect(address)?;
        talk.write(request)?;
        let (head, _) = talk.read()?;
        let closes = head.contains("\r\nConnection: close\r\n");
        if closes {
            assert_eq!(talk.0.read(&mut [0])?, 0, "it closes, as it said");
        }
        Ok((head[9..12].parse().map_err(io::Error::other)?, closes))
    }

    /// A request that is right, but for this.
    fn get(path: &str, headers: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
    }

    #[test]
    fn a_request_is_accepted_read_parsed_spawned_awaited_and_written_in_this_order() {
        let (answers, watch) = serve_here(converse);
        let expected = [
            Step::Accepted,
            Step::ConnectionSpawned,
            Step::Read(GET.len()),
            parsed("GET /"),
            Step::RequestSpawned,
            Step::HandlerRuns,
            Step::Awaited(200),
            Step::Written(78),
            Step::Closed,
        ];
        assert_eq!(steps(&watch, 1), expected);
        let ok = "HTTP/1.1 200 OK";
        let refused = ["HTTP/1.1 400 Bad Request", "HTTP/1.1 431 Request Header Fields Too Large"];
        let refusal = [Step::Read(18), Step::Refused(400), Step::Written(105), Step::Closed];
        assert_eq!(steps(&watch, 4)[2..], refusal);
        assert_eq!(answers, [&[ok][..], &[ok], &[ok, ok], &refused[..1], &refused[1..]]);
    }

    #[test]
    fn a_head_in_three_writes_is_read_three_times_and_parsed_once() {
        let (_, watch) = serve_here(converse);
        let steps = steps(&watch, 2);
        let expected = [
            Step::Read(2),
            Step::Incomplete,
            Step::Read(20),
            Step::Incomplete,
            Step::Read(GET.len() - 22),
            parsed("GET /"),
        ];
        assert_eq!(steps[2..8], expected);
    }

    #[test]
    fn two_requests_in_one_write_are_read_once_and_answered_in_their_order() {
        let (_, watch) = serve_here(converse);
        let steps = steps(&watch, 3);
        assert_eq!(steps.iter().filter(|step| matches!(step, Step::Read(_))).count(), 1);
        let place = |step: &Step| steps.iter().position(|seen| seen == step);
        let (wait, first, second) =
            (place(&parsed("GET /wait")), place(&Step::Written(77)), place(&parsed("GET /")));
        assert!(wait.is_some() && wait < first && first < second, "{steps:?}");
    }

    #[test]
    fn on_one_thread_there_is_no_other_one() {
        let watch = serve_here(|address, mut watch| {
            // All of them wait at the same time.
            let mut talks =
                (0..10).map(|_| Talk::connect(address)).collect::<Result<Vec<_>, _>>()?;
            talks.iter_mut().try_for_each(|talk| talk.write(&get("/wait", "")))?;
            talks.iter_mut().try_for_each(|talk| talk.read().map(drop))?;
            drop(talks);
            (1..=10).try_for_each(|number| watch.wait_for(number, &Step::Closed, 1))?;
            Ok(watch)
        });
        let threads: HashSet<ThreadId> = watch.seen.iter().map(|record| record.thread).collect();
        assert_eq!(threads, HashSet::from([thread::current().id()]));
    }

    #[test]
    fn with_workers_one_thread_accepts_and_others_serve() {
        let builder = &mut Builder::new_multi_thread();
        let served = serve_for(builder.worker_threads(WORKERS), converse);
        let (_, watch) = served.expect("a port is free, and every answer comes");
        let (accepts, serves): (Vec<&Record>, Vec<_>) = watch
            .seen
            .iter()
            .partition(|record| matches!(record.step, Step::Accepted | Step::ConnectionSpawned));
        let caller = thread::current().id();
        assert!(accepts.iter().all(|record| record.thread == caller));
        let workers: HashSet<ThreadId> = serves.iter().map(|record| record.thread).collect();
        assert!(!workers.contains(&caller));
        assert!((1..=WORKERS).contains(&workers.len()), "{workers:?}");
    }

    #[test]
    fn what_is_no_request_is_refused_and_the_connection_closed() {
        let header = |name: &str| format!("{name}: x\r\n");
        let many: String = (0..HEADERS_MAX).map(|_| header("x")).collect();
        let cases = [
            (400, "GET /\r\n\r\n".to_owned()),
            (400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
            (400, "GET x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
            (400, "GET / FTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
            (400, get("/", "Host: other\r\n")),
            (400, get("/", "no colon\r\n")),
            (400, get("/", "X : space before the colon\r\n")),
            (400, get("/", "X: a line\r\n that is folded\r\n")),
            (400, get("/", "X: a newline\nin it\r\n")),
            (400, get("/", "Content-Length: \r\n")),
            (400, get("/", "Content-Length: +1\r\n")),
            (400, get("/", "Content-Length: 1\r\nContent-Length: 1\r\n")),
            (413, get("/", &format!("Content-Length: {}\r\n", BODY_MAX + 1))),
            (413, get("/", &format!("Content-Length: {}\r\n", "9".repeat(40)))),
            (431, get("/", &many)),
            (431, get("/", &format!("X: {}\r\n", "x".repeat(HEAD_MAX)))),
            (431, get(&format!("/{}", "x".repeat(4 * HEAD_MAX)), "")),
            (501, get("/", "Transfer-Encoding: chunked\r\n")),
            (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned()),
        ];
        serve_here(move |address, _| {
            for (status, request) in cases {
                assert_eq!(ask(address, &request)?, (status, true), "{request:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn what_is_a_request_keeps_its_connection_unless_it_says_close() {
        let most: String = (1..HEADERS_MAX).map(|_| "x: x\r\n").collect();
        serve_here(move |address, _| {
            for (answer, request) in [
                ((200, false), get("/", "")),
                ((200, false), get("/?a=b", &most)),
                ((404, false), get("/nothing", "")),
                ((405, false), get("/", "").replace("GET", "POST")),
                ((500, false), get("/panic", "")),
                ((200, true), get("/", "Connection: TE, Close\r\n")),
                ((200, true), "GET / HTTP/1.0\r\n\r\n".to_owned()),
            ] {
                assert_eq!(ask(address, &request)?, answer, "{request:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn a_handler_that_panics_costs_one_request() {
        serve_here(|address, _| {
            let mut talk = Talk::connect(address)?;
            for (path, status) in [("/", "200"), ("/panic", "500"), ("/", "200")] {
                talk.write(&get(path, ""))?;
                assert_eq!(talk.read()?.0[9..12], *status);
            }
            Ok(())
        });
    }

    #[test]
    fn a_body_is_skipped_and_the_next_request_found() {
        serve_here(|address, _| {
            let mut talk = Talk::connect(address)?;
            let body = "x".repeat(BODY_MAX);
            let post = get("/", &format!("Content-Length: {BODY_MAX}\r\n")).replace("GET", "POST");
            talk.write(&(post + &body + &get("/", "")))?;
            let (head, _) = talk.read()?;
            assert!(head.contains("405") && head.contains("\r\nAllow: GET, HEAD\r\n"), "{head}");
            assert_eq!(talk.read()?.1, "Hello world!\n");
            Ok(())
        });
    }

    #[test]
    fn head_is_get_without_the_body() {
        serve_here(|address, _| {
            let mut talk = Talk::connect(address)?;
            talk.write(&get("/", "Connection: close\r\n").replace("GET", "HEAD"))?;
            let mut answer = String::new();
            talk.0.read_to_string(&mut answer)?;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("Content-Length: 13\r\n") && answer.ends_with("\r\n\r\n"));
            Ok(())
        });
    }

    #[test]
    fn a_connection_too_many_is_accepted_when_another_one_closes() {
        let seen = serve_here(|address, mut watch| {
            let connect = |_| Talk::connect(address);
            let mut talks = (0..=CONNECTIONS_MAX).map(connect).collect::<Result<Vec<_>, _>>()?;
            let mut last = talks.pop().expect("there is one");
            last.write(&get("/", ""))?;
            watch.wait_for(CONNECTIONS_MAX, &Step::Accepted, 1)?;
            // The others are open and all are served, but for the last.
            for talk in &mut talks {
                talk.write(&get("/", ""))?;
                talk.read()?;
            }
            drop(talks.swap_remove(0));
            last.read()?;
            watch.wait_for(CONNECTIONS_MAX + 1, &Step::Accepted, 1)?;
            Ok(watch.seen)
        });
        let place = |step: &Step, is_it: fn(usize) -> bool| {
            seen.iter().position(|record| record.step == *step && is_it(record.connection))
        };
        let closed = place(&Step::Closed, |_| true);
        let last = place(&Step::Accepted, |number| number > CONNECTIONS_MAX);
        assert!(closed.is_some() && closed < last, "{seen:?}");
    }

    #[test]
    fn a_head_is_not_whole_before_its_last_byte() {
        let whole = get("/page?x", "Connection: close\r\nContent-Length: 3\r\n");
        for length in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..length]), Ok(None), "{length}");
        }
        let (method, path) = ("GET".to_owned(), "/page".to_owned());
        let head = Head { method, path, body: 3, keep_alive: false };
        let more = whole.clone() + "abcGET";
        assert_eq!(parse(more.as_bytes()), Ok(Some((head, whole.len()))));
    }

    #[test]
    fn a_port_is_the_only_option() {
        let parse = |arguments: &[&str]| options(arguments.iter().map(OsString::from));
        assert_eq!(parse(&[]).expect("none is needed"), None);
        assert_eq!(parse(&["--port", "8000"]).expect("it is a port"), Some(8000));
        for wrong in [&["--port"][..], &["--port", "65536"], &["--port", "x"], &["x"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! What the tests of the server share: a client that speaks HTTP byte by byte, a server in this
//! process, and the program as a process, which is killed when its test is over.
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use ch08_web_server::{
    Answer, App, Background, BlockingPool, Cores, Ended, Limits, Places, Processes, Request, Stats,
    json, routes,
};
use lab::inside::PATIENCE;
use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ch08-web-server");

/// How long a test waits before it looks again whether something has happened.
const LOOK: Duration = Duration::from_millis(1);

/// Waits until `holds`. It gives the core away meanwhile: what it waits for may need it.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::park_timeout(LOOK);
    }
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| &**value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("our bodies are UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The reason of a refusal.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no reason: {self:?}")).to_owned()
    }

    /// The process that answered.
    pub(crate) fn worker(&self) -> u32 {
        self.header("x-worker").and_then(|pid| pid.parse().ok()).expect("each answer has it")
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

/// A connection of a client. What it reads must come within [`PATIENCE`].
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        stream.set_nodelay(true).expect("it is a TCP stream");
        Client { stream, unread: Vec::new() }
    }

    /// Lets the kernel keep little of what is sent: the server has to read the rest of it.
    pub(crate) fn keep_little(&self) {
        set_socket_send_buffer_size(&self.stream, 128 * 1024).expect("it is a TCP stream");
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server reads");
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a request without a body, and does not wait for the answer.
    pub(crate) fn ask(&mut self, target: &str) {
        self.send(request(target));
    }

    /// The whole answer to [`Client::ask`].
    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.ask(target);
        self.reply()
    }

    pub(crate) fn reply(&mut self) -> Reply {
        match self.try_reply() {
            Ok(Some(reply)) => reply,
            other => panic!("expected an answer, got {other:?}, {:?}", self.unread),
        }
    }

    /// An answer without a body, whatever its headers say.
    pub(crate) fn reply_to_head(&mut self) -> Reply {
        self.head().ok().flatten().expect("an answer comes")
    }

    /// The next answer. `None`: the connection ended before a byte of it came. An answer that is
    /// cut in the middle is an [`io::ErrorKind::UnexpectedEof`].
    pub(crate) fn try_reply(&mut self) -> io::Result<Option<Reply>> {
        let Some(mut reply) = self.head()? else { return Ok(None) };
        let length = reply.header("content-length").map(|length| length.parse());
        if (100..200).contains(&reply.status) || reply.status == 304 {
            return Ok(Some(reply));
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                reply.body.extend(chunk);
            }
        } else if let Some(length) = length {
            reply.body = self.exactly(length.map_err(io::Error::other)?)?;
        }
        Ok(Some(reply))
    }

    /// The head of an answer. Its body is still to be read.
    pub(crate) fn head(&mut self) -> io::Result<Option<Reply>> {
        let end = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                break end;
            }
            let in_the_middle = !self.unread.is_empty();
            match self.fill() {
                Ok(true) => {}
                Ok(false) if in_the_middle => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(false) => return Ok(None),
                Err(error) if in_the_middle => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
                }
                Err(error) => return Err(error),
            }
        };
        let head = self.exactly(end + 4)?;
        let head = std::str::from_utf8(&head).map_err(io::Error::other)?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|line| line.get(..3)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Ok(Some(Reply {
            status: status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: Vec::new(),
        }))
    }

    /// The next chunk of a chunked body. The last one is empty.
    pub(crate) fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                break self.exactly(end + 2)?;
            }
            self.more()?;
        };
        let line = String::from_utf8(line).map_err(io::Error::other)?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let mut chunk = self.exactly(length + 2)?;
        chunk.truncate(length);
        Ok(chunk)
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.more()?;
        }
        let rest = self.unread.split_off(length);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    /// Reads more of an answer that has begun.
    fn more(&mut self) -> io::Result<()> {
        let cut = |error| io::Error::new(io::ErrorKind::UnexpectedEof, error);
        if self.fill().map_err(cut)? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// False at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let length = loop {
            match self.stream.read(&mut chunk) {
                // A child has ended, and a read with a time-out is not taken up again by itself.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.unread.extend(&chunk[..length]);
        Ok(length > 0)
    }

    /// Has something come that was not read yet, or the end? It does not wait for it.
    pub(crate) fn has_news(&self) -> bool {
        self.stream.set_nonblocking(true).expect("it is a TCP stream");
        let peeked = self.stream.peek(&mut [0; 1]);
        self.stream.set_nonblocking(false).expect("it is a TCP stream");
        let is_silent = peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        !self.unread.is_empty() || !is_silent
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("it is connected");
    }

    /// Waits for the end. No byte may come before it.
    pub(crate) fn end(mut self) -> End {
        match self.fill() {
            Ok(false) => End::Closed,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => End::Reset,
            other => panic!("expected the end, got {other:?}, {:?}", self.unread),
        }
    }

    /// Ends the connection with a reset instead of an end: whatever is under way is lost.
    pub(crate) fn reset(self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).expect("it is a TCP stream");
    }
}

/// A request without a body.
pub(crate) fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// A request with a body that is there.
pub(crate) fn post(target: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// The answer to a request of a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str) -> Reply {
    Client::connect(address).get(target)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The limits of the tests: as always, but a test that fails does not wait long for what it left
/// behind.
pub(crate) fn limits() -> Limits {
    Limits { grace: Duration::from_secs(2), ..Limits::default() }
}

/// A server in this process, with one loop on a thread of its own.
pub(crate) struct Server {
    pub(crate) background: Background,
    pub(crate) stats: Arc<Stats>,
    pub(crate) pool: BlockingPool,
}

impl Server {
    /// With the handlers that `add` adds, beside `/ping`. The pool has `tokens`.
    pub(crate) fn start(
        limits: Limits,
        tokens: usize,
        add: impl FnOnce(App) -> App + Send + 'static,
    ) -> Server {
        let pool = BlockingPool::new(tokens);
        let its_pool = pool.clone();
        Server::of(
            pool,
            move |_| add(App::new(limits, its_pool, Arc::default()).get("/ping", ping)),
        )
    }

    /// With the routes of the program.
    pub(crate) fn with_routes(limits: Limits, files: Option<&Path>) -> Server {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let places = Places {
            pool: BlockingPool::new(4),
            cores: Cores::new(cores).expect("threads can be had"),
            processes: Processes::new(PROGRAM, cores),
        };
        let files = files.map(Path::to_owned);
        Server::of(places.pool.clone(), move |end| routes(limits, places, files.as_deref(), 1, end))
    }

    fn of(
        pool: BlockingPool,
        make: impl FnOnce(CancellationToken) -> App + Send + 'static,
    ) -> Server {
        let (sender, receiver) = mpsc::channel();
        let background = Background::start(move |end| {
            let app = make(end);
            sender.send(Arc::clone(app.stats())).expect("the test listens");
            app
        });
        let background = background.expect("a port is free");
        let stats = receiver.recv_timeout(PATIENCE).expect("the app is made at once");
        Server { background, stats, pool }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.background.address())
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        get(self.background.address(), target)
    }

    /// Tells the server to end, and waits for that.
    pub(crate) fn end(self) -> Ended {
        self.background.join().expect("it can wait for its listener")
    }

    /// The server answers others: whatever was done to it, it lives.
    pub(crate) fn assert_lives(&self) {
        assert_eq!(self.get("/ping").status, 200);
    }

    /// Waits until every connection is closed on the server's side too.
    pub(crate) fn wait_for_no_connections(&self) {
        wait_until("the end of each connection", || self.stats.connections() == 0);
        assert_eq!(self.stats.in_progress(), 0, "what a connection has begun ends with it");
    }
}

async fn ping(_: Request) -> Answer {
    Ok(json(&"pong"))
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The handler's future is polled.
    Began,
    /// The handler has returned.
    Returned,
    /// The handler's future was dropped before it returned: the request was given up.
    Dropped,
}

/// The test's hold on the requests that a handler of the loop has begun.
pub(crate) struct Hold {
    fates: Receiver<Fate>,
    let_go: CancellationToken,
}

impl Hold {
    /// Adds a handler that awaits until it is let go.
    pub(crate) fn new() -> (Hold, impl FnOnce(App) -> App + Send + 'static) {
        let (sender, fates) = mpsc::channel();
        let let_go = CancellationToken::new();
        let gate = let_go.clone();
        let add = move |app: App| {
            app.get("/held", move |_| {
                let (sender, gate) = (sender.clone(), gate.clone());
                async move {
                    let watched = Watched::begin(sender);
                    gate.cancelled().await;
                    watched.end()
                }
            })
        };
        (Hold { fates, let_go }, add)
    }

    /// Waits for what becomes of a request.
    pub(crate) fn next(&self) -> Fate {
        self.fates.recv_timeout(PATIENCE).expect("something becomes of a request")
    }

    /// Has nothing become of any request since?
    pub(crate) fn is_silent(&self) -> bool {
        self.fates.try_recv().is_err()
    }

    pub(crate) fn let_go(&self) {
        self.let_go.cancel();
    }
}

/// Tells the fate of a request.
struct Watched {
    sender: Sender<Fate>,
    fate: Fate,
}

impl Watched {
    fn begin(sender: Sender<Fate>) -> Watched {
        let _ = sender.send(Fate::Began); // the test may have failed meanwhile
        Watched { sender, fate: Fate::Dropped }
    }

    fn end(mut self) -> Answer {
        self.fate = Fate::Returned;
        Ok(json(&"let go"))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.sender.send(self.fate);
    }
}

/// The program as a process. It is killed when its test is over, and its workers with it.
pub(crate) struct Program {
    process: Child,
    complaints: Arc<Mutex<String>>,
    listening: Option<thread::JoinHandle<()>>,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts it on a port that the system chooses.
    pub(crate) fn start(arguments: &[&str]) -> Program {
        Program::start_file(Path::new(PROGRAM), arguments)
    }

    /// Starts what lies in a file, which may be a copy of the program.
    pub(crate) fn start_file(file: &Path, arguments: &[&str]) -> Program {
        let mut program = Program::spawn(file, arguments, Stdio::piped());
        let mut line = String::new();
        let output = program.process.stdout.as_mut().expect("it was asked for as a pipe");
        BufReader::new(output).read_line(&mut line).expect("the program tells its address");
        let address = line.trim_end().strip_prefix("http://").and_then(|at| at.strip_suffix('/'));
        let address = address.and_then(|address| address.parse().ok());
        program.address = address.unwrap_or_else(|| panic!("no address: {line:?}"));
        program
    }

    /// Starts it on a port, and does not read what it prints.
    pub(crate) fn start_on(address: SocketAddr, arguments: &[&str], output: Stdio) -> Program {
        let port = address.port().to_string();
        let mut program =
            Program::spawn(Path::new(PROGRAM), &[&["--port", &port], arguments].concat(), output);
        program.address = address;
        program
    }

    fn spawn(file: &Path, arguments: &[&str], output: Stdio) -> Program {
        let mut command = Command::new(file);
        command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
        let mut process = command.spawn().expect("cargo built the program");
        let errors = process.stderr.take().expect("it was asked for as a pipe");
        let complaints = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&complaints);
        let listening = thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Program { process, complaints, listening: Some(listening), address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        get(self.address, target)
    }

    /// What it has said on standard error up to now.
    pub(crate) fn complaints(&self) -> String {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(self.id(), signal);
    }

    /// Has it ended? It does not wait for that.
    pub(crate) fn is_over(&mut self) -> bool {
        self.process.try_wait().expect("it is our child").is_some()
    }

    /// Waits for its end. Returns the status, and all that was said on standard error.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let mut status = None;
        wait_until("the end of the program", || {
            status = self.process.try_wait().expect("it is our child");
            status.is_some()
        });
        // Workers that outlive their parent keep its standard error.
        let listening = self.listening.take().expect("nobody has waited before");
        wait_until("the end of what it says", || listening.is_finished());
        (status.expect("that is what was waited for"), self.complaints())
    }

    /// Waits for its end, which is one that was asked for: status 0, and nothing to complain of.
    pub(crate) fn assert_ends_well(mut self) {
        let (status, complaints) = self.wait();
        assert_eq!((status.code(), &*complaints), (Some(0), ""));
    }

    /// Waits until nothing listens on its port any more.
    pub(crate) fn wait_for_refusal(&self) {
        wait_until("a refusal", || {
            let connected = TcpStream::connect(self.address);
            connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        });
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn workers(&self) -> Vec<u32> {
        lab::by_id::children_with(self.id(), "--worker")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        let workers = self.workers();
        let _ = self.process.kill(); // first, since it would replace them
        let _ = self.process.wait();
        #[cfg(target_os = "linux")]
        for worker in workers {
            let _ = lab::by_id::kill(worker); // it may have ended by itself
        }
    }
}

/// Sends a signal to a process that the calling test started, or to a child of one.
pub(crate) fn signal_to(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("it is the id of a process");
    kill_process(pid, signal).expect("it is there");
}

/// A start of the program that ends by itself.
pub(crate) fn output(arguments: &[&str]) -> Output {
    let output = Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output();
    output.expect("cargo built the program")
}

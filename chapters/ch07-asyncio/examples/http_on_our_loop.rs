//! A web server that knows nothing of our runtime, on our runtime.
//!
//! hyper speaks HTTP over whatever it is given. It asks for two traits: something that can be read,
//! and something that can be written. Each is a poll that returns at once. Predict how much code
//! stands between hyper and our `TcpStream`. And predict what becomes of the others, when the task
//! of one connection panics, and when the process has no descriptor left.
//!
//! `cargo run -p ch07-asyncio --features hyper --example http_on_our_loop -- --port 8000`, and in
//! another terminal `curl http://127.0.0.1:8000/`. Ctrl-C ends it, and so does `--requests N`, once
//! N requests were served.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::OsString;
use std::future::ready;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ch07_asyncio::runtime::{Notify, Runtime, TcpListener, TcpStream, sleep, spawn, timeout};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

/// How much one read takes at most, in bytes.
const READ_MAX: usize = 4096;

/// How long to wait after an `accept` that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may live, whatever it does. (hyper has finer limits. But it asks for a
/// timer that is `Send`, and our `Sleep` stays on its thread.)
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);

/// How long the connections that are open at the end have to end by themselves.
const GRACE: Duration = Duration::from_secs(1);

// ANCHOR: adapter
/// What hyper reads from and writes to.
struct HyperStream(TcpStream);

impl hyper::rt::Read for HyperStream {
    /// hyper's buffer is not initialized. Safe code cannot read into it, so it copies.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = [0; READ_MAX];
        let room = cursor.remaining().min(READ_MAX);
        let length = ready!(self.0.poll_read(cx, &mut buffer[..room]))?;
        cursor.put_slice(&buffer[..length]);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for HyperStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    /// Nothing is kept back here: what was written is the kernel's.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(Shutdown::Write))
    }
}
// ANCHOR_END: adapter

// ANCHOR: server
/// A page, made of a request and its number.
type Page = fn(&Request<Incoming>, u64) -> Response<Full<Bytes>>;

/// What the tasks of the server share. They run on one thread, so cells are enough.
struct Server {
    page: Page,
    /// After so many requests it ends.
    requests_max: u64,
    served: Cell<u64>,
    /// How many are open now.
    connections: Cell<usize>,
    accept_errors: Cell<u64>,
    /// One of the numbers above has changed.
    changed: Notify,
}

impl Server {
    fn new(page: Page, requests_max: u64) -> Rc<Server> {
        Rc::new(Server {
            page,
            requests_max,
            served: Cell::new(0),
            connections: Cell::new(0),
            accept_errors: Cell::new(0),
            changed: Notify::new(),
        })
    }

    /// Serves until `requests_max` requests were served.
    async fn serve(self: &Rc<Self>, listener: TcpListener) {
        let accepting = spawn(Rc::clone(self).accept_all(listener));
        self.wait_until(|server| server.served.get() >= server.requests_max).await;
        accepting.abort();
        let _ = timeout(GRACE, self.wait_until(|server| server.connections.get() == 0)).await;
    }

    async fn wait_until(&self, condition: impl Fn(&Server) -> bool) {
        while !condition(self) {
            self.changed.notified().await;
        }
    }

    /// A task for each connection. The number of descriptors is their limit: at that limit `accept`
    /// fails at once, and would fail again and again. The loop would have no turn for those who are
    /// about to close theirs.
    async fn accept_all(self: Rc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(spawn(Rc::clone(&self).connection(stream))),
                Err(error) => {
                    command_line::complain(&format!("http_on_our_loop: accept: {error}\n"));
                    add(&self.accept_errors, 1);
                    self.changed.notify_waiters();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One connection, from its first request to its end. How it ends is the client's affair.
    async fn connection(self: Rc<Self>, stream: TcpStream) {
        let _open = Open::new(&self);
        let service = service_fn(|request| ready(Ok::<_, Infallible>(self.answer(&request))));
        let connection = http1::Builder::new().serve_connection(HyperStream(stream), service);
        let _ = timeout(CONNECTION_TIME_MAX, connection).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        add(&self.served, 1);
        self.changed.notify_waiters();
        let mut response = (self.page)(request, self.served.get());
        if self.served.get() >= self.requests_max {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
// ANCHOR_END: server

fn add(count: &Cell<u64>, number: u64) {
    count.set(count.get() + number);
}

// ANCHOR: open
/// A connection that is open. It is counted down when it is dropped: also by a panic, also by a
/// cancellation.
struct Open<'a>(&'a Server);

impl Open<'_> {
    fn new(server: &Server) -> Open<'_> {
        server.connections.set(server.connections.get() + 1);
        Open(server)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
        self.0.changed.notify_waiters();
    }
}
// ANCHOR_END: open

/// The one page there is.
fn hello(request: &Request<Incoming>, number: u64) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/" => (StatusCode::OK, format!("Hello world! Requests served: {number}\n")),
        path => (StatusCode::NOT_FOUND, format!("nothing is at {path}\n")),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// 0 lets the system choose.
    port: u16,
    requests_max: u64,
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
        use lexopt::prelude::{Long, ValueExt};

        let mut options = Options { port: 0, requests_max: u64::MAX };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("port") => options.port = parser.value()?.parse()?,
                Long("requests") => options.requests_max = parser.value()?.parse()?,
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }
}

fn run(options: &Options, out: &mut dyn Write) -> io::Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)))?;
        writeln!(out, "http://{}/", listener.local_addr()?)?;
        out.flush()?;
        let server = Server::new(hello, options.requests_max);
        server.serve(listener).await;
        writeln!(out, "{} requests were served", server.served.get())
    })
}

fn main() -> ExitCode {
    let fail = |error: &dyn std::fmt::Display, status: u8| {
        command_line::complain(&format!("http_on_our_loop: {error}\n"));
        ExitCode::from(status)
    };
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => return fail(&error, 2),
    };
    match run(&options, &mut io::stdout()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error, 1),
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::net::TcpStream as Client;
    use std::sync::mpsc;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread;
    use std::time::Instant;

    use lab::inside::PATIENCE;
    use rustix::net::sockopt::set_socket_linger;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    /// What a runtime says of itself when nothing is left in it.
    const EMPTY: &str = "Runtime { tasks: 0, timers: 0, descriptors: 0, .. }";

    /// One test at a time: they count what the process has.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());

        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves `requests` requests, while `client` runs on a thread. Returns the server as it is at
    /// its end, and what the client returns.
    fn serve<T: Send + 'static>(
        runtime: &Runtime,
        (page, requests): (Page, u64),
        client: impl FnOnce(SocketAddr) -> T + Send + 'static,
    ) -> (Rc<Server>, T) {
        let server = Server::new(page, requests);
        let client = runtime.block_on(async {
            let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let listener = listener.expect("a port is free");
            let address = listener.local_addr().expect("it listens");
            let client = thread::spawn(move || client(address));
            timeout(PATIENCE, server.serve(listener)).await.expect("every request comes");
            client
        });
        (server, client.join().expect("the client does not panic"))
    }

    fn connect(address: SocketAddr) -> Client {
        let client = Client::connect(address).expect("the server listens");
        client.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        client
    }

    /// A request after which the server closes.
    fn last_request(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    }

    /// The whole answer. Nothing, when the server closes without one.
    fn ask(mut client: Client, request: &str) -> String {
        let mut answer = String::new();
        client.write_all(request.as_bytes()).expect("the server reads");
        client.read_to_string(&mut answer).expect("the server answers, or closes");
        answer
    }

    #[test]
    fn the_page_says_how_many_requests_were_served() {
        let _alone = alone();
        let runtime = Runtime::new().expect("descriptors are free");
        let (server, answers) = serve(&runtime, (hello, 3), |address| {
            ["/", "/x", "/"].map(|path| ask(connect(address), &last_request(path)))
        });
        let [first, other, last] = answers;
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
        assert!(first.ends_with("\r\n\r\nHello world! Requests served: 1\n"), "{first}");
        assert!(other.starts_with("HTTP/1.1 404 Not Found\r\n"), "{other}");
        assert!(last.ends_with("\r\n\r\nHello world! Requests served: 3\n"), "{last}");
        assert_eq!((server.served.get(), server.connections.get()), (3, 0));
        assert_eq!(format!("{runtime:?}"), EMPTY);
    }

    /// Two requests on one connection, and each byte of them by itself.
    #[test]
    fn a_request_may_come_in_any_number_of_pieces() {
        let _alone = alone();
        let runtime = Runtime::new().expect("descriptors are free");
        let (_, answers) = serve(&runtime, (hello, 2), |address| {
            let mut client = connect(address);
            client.set_nodelay(true).expect("it is connected");
            let requests =
                last_request("/").replace("Connection: close\r\n", "") + &last_request("/");
            for byte in requests.as_bytes() {
                client.write_all(&[*byte]).expect("the server reads");
            }
            ask(client, "")
        });
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
        assert!(answers.ends_with("Requests served: 2\n"), "{answers}");
    }

    /// The last answer tells a client that would keep its connection to close it.
    #[test]
    fn after_the_last_request_a_connection_that_would_stay_open_is_closed() {
        let _alone = alone();
        let runtime = Runtime::new().expect("descriptors are free");
        let keep_alive = last_request("/").replace("Connection: close\r\n", "");
        let (_, answer) =
            serve(&runtime, (hello, 1), move |address| ask(connect(address), &keep_alive));
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(format!("{runtime:?}"), EMPTY);
    }

    #[test]
    fn a_panic_ends_one_connection_and_not_the_server() {
        let _alone = alone();
        let runtime = Runtime::new().expect("descriptors are free");
        let page: Page = |request, number| match request.uri().path() {
            "/panic" => panic!("this panic is part of the test"),
            _ => hello(request, number),
        };
        let (server, answers) = serve(&runtime, (page, 3), |address| {
            let early = connect(address);
            let panicked = ask(connect(address), &last_request("/panic"));
            let late = ask(connect(address), &last_request("/"));
            [panicked, late, ask(early, &last_request("/"))]
        });
        assert_eq!(answers[0], "");
        assert!(answers[1].ends_with("Requests served: 2\n"), "{}", answers[1]);
        assert!(answers[2].ends_with("Requests served: 3\n"), "{}", answers[2]);
        assert_eq!(server.connections.get(), 0);
        assert_eq!(format!("{runtime:?}"), EMPTY);
    }

    /// How many connections one round of the load has open at once, and how many batches follow
    /// each other: 1,000 in all.
    const BATCH: usize = 50;
    const BATCHES: usize = 20;

    /// What the connections of a batch do, in turns. Three of four are answered.
    const WAYS: [fn(Client); 4] = [
        |client| drop(ask(client, &last_request("/"))),
        // reset in the middle of the request
        |mut client| {
            client.write_all(b"GET / HTTP/1.1\r\nHo").expect("the server reads");
            reset(&client);
        },
        // reset in the middle of the answer
        |mut client| {
            client.write_all(last_request("/").as_bytes()).expect("the server reads");
            client.read_exact(&mut [0]).expect("the server answers");
            reset(&client);
        },
        |client| drop(ask(client, &last_request("/x"))),
    ];

    /// The connection will be reset when it is closed.
    fn reset(client: &Client) {
        set_socket_linger(client, Some(Duration::ZERO)).expect("it is a socket");
    }

    /// All of a batch are connected before the first one does anything. The first to connect is the
    /// last to act, so the last request comes after all connections.
    fn load(address: SocketAddr) {
        for _ in 0..BATCHES {
            let clients: Vec<Client> = (0..BATCH).map(|_| connect(address)).collect();
            let ways = (0..BATCH).map(|number| WAYS[number % WAYS.len()]);
            clients.into_iter().zip(ways).rev().for_each(|(client, way)| way(client));
        }
    }

    /// The number of requests in one round.
    fn requests() -> u64 {
        let answered = (0..BATCH).filter(|number| number % WAYS.len() != 1).count();
        u64::try_from(answered * BATCHES).expect("it is a small number")
    }

    /// Resident memory of this process, in KiB, counted page by page.
    fn resident() -> Option<u64> {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    fn descriptors() -> Option<usize> {
        Some(fs::read_dir("/proc/self/fd").ok()?.count())
    }

    // ANCHOR: load
    /// A connection's future alone is larger than what may be left of it here.
    #[test]
    fn a_thousand_connections_half_of_them_reset_leave_nothing() {
        /// In KiB: about 130 bytes for each connection of a round.
        const GROWTH_MAX: u64 = 128;

        let _alone = alone();
        let before = descriptors();
        let runtime = Runtime::new().expect("descriptors are free");
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let (server, ()) = serve(&runtime, (hello, requests()), load);
            assert_eq!((server.served.get(), server.connections.get()), (requests(), 0));
            assert_eq!(Rc::strong_count(&server), 1, "a task holds it");
            assert_eq!(format!("{runtime:?}"), EMPTY);
            sizes.extend(resident());
        }
        drop(runtime);
        assert_eq!(descriptors(), before);
        match sizes[..] {
            [_warm, first, second] => {
                assert!(second < first + GROWTH_MAX, "{sizes:?} KiB after each round");
            }
            _ => println!("memory: not judged: this system has no /proc/self/smaps_rollup"),
        }
    }
    // ANCHOR_END: load

    /// Set for the process that may use up its descriptors.
    const CHILD: &str = "CH07_HTTP_WITHOUT_DESCRIPTORS";

    /// The limit is the whole process's, so this happens in a process of its own. A server that
    /// would try again without a pause has no turn for anything else, so the time limit is kept by
    /// another thread.
    #[test]
    fn without_a_free_descriptor_the_server_waits_a_little_and_goes_on() {
        let name = "tests::without_a_free_descriptor_the_server_waits_a_little_and_goes_on";
        if std::env::var_os(CHILD).is_some() {
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || {
                accept_at_the_limit();
                sender.send(()).expect("the test waits for it");
            });
            let result = receiver.recv_timeout(PATIENCE);
            return result.expect("the server still has its turns, and does not panic");
        }
        let _alone = alone();
        let program = std::env::current_exe().expect("the system knows what it runs");
        let mut child = std::process::Command::new(program);
        child.args(["--exact", name]).env(CHILD, "1");
        child.stderr(std::process::Stdio::null()); // a server that spins would fill the memory
        let output = child.output();
        let output = output.expect("a test can be started");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    fn accept_at_the_limit() {
        let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, limit).expect("a limit may be lowered");
        let runtime = Runtime::new().expect("descriptors are free");
        runtime.block_on(async {
            let server = Server::new(hello, 1);
            let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let listener = listener.expect("a port is free");
            // It is in the kernel's queue before the server runs.
            let client = connect(listener.local_addr().expect("it listens"));
            let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            let serving = spawn({
                let server = Rc::clone(&server);
                async move { server.serve(listener).await }
            });
            let start = Instant::now();
            server.wait_until(|server| server.accept_errors.get() == 3).await;
            assert!(start.elapsed() >= ACCEPT_PAUSE * 2, "it did not pause");
            drop(files);
            let answer = thread::spawn(move || ask(client, &last_request("/")));
            serving.await.expect("the server does not panic");
            let answer = answer.join().expect("the client does not panic");
            assert!(answer.ends_with("Requests served: 1\n"), "{answer}");
        });
        assert_eq!(format!("{runtime:?}"), EMPTY);
    }

    #[test]
    fn options_are_numbers_in_their_range() {
        let parse = |arguments: &[&str]| {
            Options::parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
        };
        assert_eq!(parse(&[]), Ok(Options { port: 0, requests_max: u64::MAX }));
        assert_eq!(
            parse(&["--port", "8000", "--requests=2"]),
            Ok(Options { port: 8000, requests_max: 2 })
        );
        for wrong in [&["--port", "65536"][..], &["--port"], &["--requests", "-1"], &["x"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

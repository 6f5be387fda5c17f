//! A web server on loopback that takes its time: each request is answered after a delay.
//!
//! What "downloads" in this workspace talks to it, so that nothing reaches the network, and the
//! time that a page takes is known. It has a thread for each connection: how it waits is not what
//! an experiment is about, and it keeps nobody else waiting.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The longest head of a request, in bytes.
const HEAD_MAX: u64 = 8 * 1024;

/// The server. When this is dropped, it ends: connections are cut, and its threads are joined.
#[derive(Debug)]
pub struct LateServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    delay: Duration,
    body: String,
    in_flight: AtomicUsize,
    most: AtomicUsize,
    answered: AtomicUsize,
    open: Mutex<Open>,
    ended: Condvar,
}

/// What has to be ended.
#[derive(Debug, Default)]
struct Open {
    is_over: bool,
    connections: Vec<(Arc<TcpStream>, JoinHandle<()>)>,
}

impl LateServer {
    /// Starts one that answers each request after `delay`, with `body` as plain text.
    ///
    /// # Errors
    ///
    /// When no port or thread is free.
    pub fn start(delay: Duration, body: impl Into<String>) -> io::Result<LateServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            delay,
            body: body.into(),
            in_flight: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            open: Mutex::default(),
            ended: Condvar::new(),
        });
        let its_own = Arc::clone(&shared);
        let accepting = thread::Builder::new().spawn(move || accept_all(listener, &its_own))?;
        Ok(LateServer { address, shared, accepting: Some(accepting) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of one of its pages. Whatever the path is, the page is the same.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// How many requests it had at the same time, at most: read, and not yet answered.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Drop for LateServer {
    fn drop(&mut self) {
        self.shared.open().is_over = true;
        self.shared.ended.notify_all();
        cut(&self.shared.open().connections);
        let accepting = self.accepting.take().expect("only drop takes it");
        // `accept` has no other way of being woken. Where even that fails, no thread is waited for.
        if TcpStream::connect(self.address).is_err() && !accepting.is_finished() {
            return;
        }
        accepting.join().expect("it does not panic");
        let connections = std::mem::take(&mut self.shared.open().connections);
        cut(&connections);
        for (_, serving) in connections {
            serving.join().expect("it does not panic");
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the delay. False if the server is ended meanwhile.
    fn is_on_after_the_delay(&self) -> bool {
        let is_on = |open: &mut Open| !open.is_over;
        let waited = self.ended.wait_timeout_while(self.open(), self.delay, is_on);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }
}

fn accept_all(listener: TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let mut open = shared.open();
        if open.is_over {
            return;
        }
        open.connections.retain(|(_, serving)| !serving.is_finished());
        // Without a descriptor, who has just come would wait for ever. So all connections are cut,
        // and with the listener all those that are not accepted yet. Who would need a thread that
        // is not to be had sees only its own one closed.
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue, // it left
            Err(_) => return cut(&open.connections),
        };
        let (stream, its_own) = (Arc::new(stream), Arc::clone(shared));
        let of_thread = Arc::clone(&stream);
        let serve = move || {
            // An error is this client's end: it sees that its connection is cut.
            let _ = serve(&of_thread, &its_own);
            let _ = of_thread.shutdown(Shutdown::Both);
        };
        let serving = thread::Builder::new().spawn(serve);
        open.connections.extend(serving.map(|serving| (stream, serving)));
    }
}

fn cut(connections: &[(Arc<TcpStream>, JoinHandle<()>)]) {
    for (stream, _) in connections {
        let _ = stream.shutdown(Shutdown::Both); // an error: it has ended already
    }
}

/// Answers the requests of a connection one after the other, until the client closes it. What is
/// no request ends it.
fn serve(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while read_head(&mut reader)? {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most.fetch_max(now, Ordering::SeqCst);
        let is_on = shared.is_on_after_the_delay();
        shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !is_on {
            break;
        }
        let (length, body) = (shared.body.len(), &shared.body);
        shared.answered.fetch_add(1, Ordering::SeqCst);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nServer: late\r\n";
        stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())?;
    }
    Ok(())
}

/// Reads up to the empty line that ends a head. False at the end of the connection.
fn read_head(reader: &mut impl BufRead) -> io::Result<bool> {
    let mut head = reader.take(HEAD_MAX);
    let mut line = Vec::new();
    loop {
        line.clear();
        head.read_until(b'\n', &mut line)?;
        match &line[..] {
            b"\r\n" => return Ok(true),
            [.., b'\n'] => {}
            _ => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Longer than any test waits.
    const HOUR: Duration = Duration::from_secs(3600);

    fn ask(server: &LateServer) -> TcpStream {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
        stream
    }

    fn answer(mut stream: TcpStream) -> String {
        stream.shutdown(Shutdown::Write).expect("it is connected");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers, and closes");
        text
    }

    #[test]
    fn each_request_is_answered_after_the_delay_and_all_of_them_at_once() {
        let delay = Duration::from_millis(50);
        let server = LateServer::start(delay, "a page").expect("a port is free");
        let start = Instant::now();
        let asked: Vec<TcpStream> = (0..10).map(|_| ask(&server)).collect();
        for stream in asked {
            let text = answer(stream);
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
            assert!(text.ends_with("Content-Length: 6\r\n\r\na page"), "{text}");
        }
        assert!(start.elapsed() >= delay);
        assert_eq!(server.answered(), 10);
        assert!(server.most_in_flight() > 1, "they did not wait for each other");
    }

    #[test]
    fn a_connection_may_ask_again() {
        let server = LateServer::start(Duration::ZERO, "again").expect("a port is free");
        let mut stream = ask(&server);
        stream.write_all(b"GET /2 HTTP/1.1\r\n\r\n").expect("it reads");
        assert_eq!(answer(stream).matches("\r\n\r\nagain").count(), 2);
    }

    #[test]
    fn it_ends_although_clients_wait_or_say_nothing() {
        let server = LateServer::start(HOUR, "").expect("a port is free");
        let silent = TcpStream::connect(server.address()).expect("it listens");
        let waiting = ask(&server);
        while server.most_in_flight() == 0 {
            thread::yield_now();
        }
        drop(server);
        assert_eq!((answer(silent), answer(waiting)), (String::new(), String::new()));
    }

    #[test]
    fn what_is_no_request_is_not_answered() {
        let server = LateServer::start(Duration::ZERO, "a page").expect("a port is free");
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\nHalf: a li").expect("it reads");
        assert_eq!(answer(stream), "");
        assert_eq!(server.answered(), 0);
    }
}

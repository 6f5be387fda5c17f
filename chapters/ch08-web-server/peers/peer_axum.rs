//! The three pings on axum, on one thread of tokio.
//!
//! axum stands on hyper, as this chapter's own server does, and writes the routing and the parsing
//! for us. It does not decide where a handler's work belongs: `good_ping` has to say
//! `spawn_blocking`. And nothing limits it but the runtime, which starts up to 512 threads. Predict
//! how many threads 100 good pings start here, and how many in FastAPI.
//!
//! `cargo run -p ch08-web-server --features axum --example peer_axum -- --port 8000`
//!
//! Wrong numbers get what axum answers by itself: status 400 and a line of text.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use fib_timing::{FIB_MAX, fib, timed};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// A ping sleeps for no longer, in seconds.
const SECONDS_MAX: f64 = 60.0;

/// How many threads tokio starts for blocking work. It is tokio's default, said here to be seen.
const BLOCKING_THREADS: usize = 512;

const X_WORKER: HeaderName = HeaderName::from_static("x-worker");

/// What the handlers share.
struct Server {
    /// The id of this process.
    worker: u32,
    worker_header: HeaderValue,
    /// Pings that have a thread of the pool, and those that wait for one.
    in_pool: AtomicUsize,
    asked_pool: AtomicUsize,
}

fn router() -> Router {
    let worker = std::process::id();
    let server = Server {
        worker,
        worker_header: HeaderValue::from(worker),
        in_pool: AtomicUsize::new(0),
        asked_pool: AtomicUsize::new(0),
    };
    Router::new()
        .route("/ping", get(ping))
        .route("/terrible-ping", get(terrible_ping))
        .route("/good-ping", get(good_ping))
        .route("/perfect-ping", get(perfect_ping))
        .route("/fib/{n}", get(answer))
        .route("/stats", get(stats))
        .with_state(Arc::new(server))
}

impl Server {
    /// The header is set here and not in a middleware: that would box each handler's future.
    fn json(&self, body: impl Serialize) -> Response {
        ([(X_WORKER, self.worker_header.clone())], Json(body)).into_response()
    }

    fn error(&self, error: &str) -> Response {
        let mut response = self.json(serde_json::json!({ "error": error }));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    }

    fn pong(&self) -> Response {
        self.json(Pong { pong: true })
    }
}

#[derive(Serialize)]
struct Pong {
    pong: bool,
}

#[derive(Deserialize)]
#[serde(default)]
struct Seconds {
    seconds: f64,
}

impl Default for Seconds {
    fn default() -> Seconds {
        Seconds { seconds: 10.0 }
    }
}

impl Seconds {
    fn duration(&self) -> Option<Duration> {
        let in_range = (0.0..=SECONDS_MAX).contains(&self.seconds);
        in_range.then(|| Duration::from_secs_f64(self.seconds))
    }
}

const BAD_SECONDS: &str = "seconds must be from 0 to 60";

async fn ping(State(server): State<Arc<Server>>) -> Response {
    server.pong()
}

// ANCHOR: pings
async fn terrible_ping(
    State(server): State<Arc<Server>>,
    Query(seconds): Query<Seconds>,
) -> Response {
    let Some(time) = seconds.duration() else { return server.error(BAD_SECONDS) };
    thread::sleep(time); // on the loop's thread, so nothing else runs
    server.pong()
}

async fn good_ping(State(server): State<Arc<Server>>, Query(seconds): Query<Seconds>) -> Response {
    let Some(time) = seconds.duration() else { return server.error(BAD_SECONDS) };
    server.asked_pool.fetch_add(1, Ordering::Relaxed);
    let blocking = Arc::clone(&server);
    let slept = spawn_blocking(move || {
        blocking.asked_pool.fetch_sub(1, Ordering::Relaxed);
        blocking.in_pool.fetch_add(1, Ordering::Relaxed);
        thread::sleep(time);
        blocking.in_pool.fetch_sub(1, Ordering::Relaxed);
    });
    slept.await.expect("nobody aborts it, and it does not panic");
    server.pong()
}

async fn perfect_ping(
    State(server): State<Arc<Server>>,
    Query(seconds): Query<Seconds>,
) -> Response {
    let Some(time) = seconds.duration() else { return server.error(BAD_SECONDS) };
    sleep(time).await;
    server.pong()
}
// ANCHOR_END: pings

/// Where a number is computed. No other process does it here.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Where {
    Inline,
    Pool,
    #[default]
    Rayon,
}

#[derive(Deserialize)]
struct Place {
    #[serde(default, rename = "where")]
    place: Where,
}

#[derive(Serialize)]
struct Answer {
    n: u32,
    value: u64,
    seconds: f64,
    #[serde(rename = "where")]
    place: Where,
}

async fn answer(
    State(server): State<Arc<Server>>,
    Path(n): Path<u32>,
    Query(Place { place }): Query<Place>,
) -> Response {
    if n > FIB_MAX {
        return server.error(&format!("n must be from 0 to {FIB_MAX}"));
    }
    let compute = move || timed(|| fib(n));
    let (value, took) = match place {
        Where::Inline => compute(),
        Where::Pool => {
            spawn_blocking(compute).await.expect("nobody aborts it, and it does not panic")
        }
        Where::Rayon => {
            let (sender, receiver) = oneshot::channel();
            // A client that went away is the only reason why nobody receives.
            rayon::spawn(move || {
                let _ = sender.send(compute());
            });
            receiver.await.expect("rayon runs it, and it does not panic")
        }
    };
    server.json(Answer { n, value, seconds: took.as_secs_f64(), place })
}

async fn stats(State(server): State<Arc<Server>>) -> Response {
    server.json(serde_json::json!({
        "worker": server.worker,
        "threads": threads(),
        "pool": {
            "tokens": BLOCKING_THREADS,
            "taken": server.in_pool.load(Ordering::Relaxed),
            "waiting": server.asked_pool.load(Ordering::Relaxed),
        },
    }))
}

/// The threads of this process, where the system says it.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// Serves until the process is ended.
async fn serve(listener: TcpListener) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Without it an answer may wait for the acknowledgement of the last one. It fails where the
        // client is gone already.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router()).await
}

fn runtime() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
}

fn port(arguments: impl IntoIterator<Item = OsString>) -> Result<u16, lexopt::Error> {
    use lexopt::prelude::{Long, ValueExt};

    let mut port = 8000;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => port = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(port)
}

fn run(port: u16) -> io::Result<()> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let mut out = io::stdout();
        writeln!(out, "http://{}/", listener.local_addr()?)?;
        out.flush()?;
        serve(listener).await
    })
}

fn main() -> ExitCode {
    let fail = |error: &dyn std::fmt::Display, status: u8| {
        command_line::complain(&format!("peer_axum: {error}\n"));
        ExitCode::from(status)
    };
    match port(std::env::args_os().skip(1)) {
        Ok(port) => match run(port) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Err(error) => fail(&error, 2),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use lab::inside::PATIENCE;

    use super::*;

    /// The answers to requests that follow each other.
    fn ask(paths: &[&str]) -> Vec<String> {
        let asked = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            tokio::spawn(serve(listener)); // until the runtime is dropped
            let mut answers = Vec::new();
            for path in paths {
                let request =
                    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                let mut client = TcpStream::connect(address).await?;
                client.write_all(request.as_bytes()).await?;
                let mut answer = String::new();
                client.read_to_string(&mut answer).await?;
                answers.push(answer);
            }
            Ok::<_, io::Error>(answers)
        };
        let runtime = runtime().expect("descriptors are free");
        let asked = runtime.block_on(timeout_of(asked));
        asked.expect("the server answers, or closes")
    }

    async fn timeout_of<T>(asked: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        timeout(PATIENCE, asked).await.map_err(io::Error::other)?
    }

    #[test]
    fn every_ping_says_pong_and_who_answered() {
        let pings = ["terrible", "good", "perfect"].map(|ping| format!("/{ping}-ping?seconds=0"));
        let mut paths = vec!["/ping"];
        paths.extend(pings.iter().map(String::as_str));
        for answer in ask(&paths) {
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains(&format!("\r\nx-worker: {}\r\n", std::process::id())));
            assert!(answer.ends_with("\r\n\r\n{\"pong\":true}"), "{answer}");
        }
    }

    #[test]
    fn each_place_computes_the_same_number() {
        let places = ["inline", "pool", "rayon"].map(|place| format!("/fib/20?where={place}"));
        for answer in ask(&places.each_ref().map(String::as_str)) {
            assert!(answer.contains("\"value\":6765,"), "{answer}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let bad = ["/ping-ping", "/fib/94", "/fib/x", "/fib/1?where=moon", "/good-ping?seconds=61"];
        for (path, answer) in bad.iter().zip(ask(&bad)) {
            assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
        }
    }

    #[test]
    fn stats_tell_that_nothing_is_left_in_the_pool() {
        let answers = ask(&["/good-ping?seconds=0", "/stats"]);
        assert!(
            answers[1].contains(r#""pool":{"taken":0,"tokens":512,"waiting":0}"#),
            "{}",
            answers[1]
        );
    }
}

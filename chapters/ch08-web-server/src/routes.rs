//! The routes. Each handler says by its kind where it runs.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fib_timing::{Command, fib};
use http_body_util::{BodyExt, Either, Full};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::answer::{json_text, whole};
use crate::heartbeat::Heartbeat;
use crate::{
    Answer, App, BlockingPool, Cores, Limits, Processes, Refusal, Request, Response, Stats, json,
};

/// The longest sleep that a request may ask for, in seconds.
pub const SECONDS_MAX: f64 = 60.0;
/// What the three pings sleep unless asked otherwise, in seconds.
const SECONDS_DEFAULT: f64 = 10.0;
/// The shortest period of the heartbeat, in seconds.
const PERIOD_MIN: f64 = 0.001;
/// The longest: a day, as of the hellos.
const PERIOD_MAX: f64 = 86_400.0;
/// The period of the heartbeat unless asked otherwise, in seconds.
const PERIOD_DEFAULT: f64 = 0.1;

// ANCHOR: places
/// Where work can run beside the loop.
#[derive(Debug, Clone)]
pub struct Places {
    /// Threads for what blocks.
    pub pool: BlockingPool,
    /// Threads for what computes.
    pub cores: Cores,
    /// Processes for what computes and may have to be stopped.
    pub processes: Processes,
}
// ANCHOR_END: places

/// The app with all its routes. What never ends by itself ends with `end`.
pub fn routes(
    limits: Limits,
    places: Places,
    files: Option<&Path>,
    loop_threads: usize,
    end: CancellationToken,
) -> App {
    let stats = Arc::new(Stats::default());
    let app = App::new(limits, places.pool.clone(), Arc::clone(&stats));
    let app = match files {
        Some(folder) => app.files(folder),
        None => app,
    };
    let (seen, counted) = (places.clone(), stats);
    let app = pages(app)
        .get("/ping", ping)
        .get("/terrible-ping", terrible_ping)
        .get("/good-ping", good_ping)
        .get("/perfect-ping", perfect_ping)
        .get("/fib/{n}", move |request| fib_somewhere(request, places.clone()))
        .post("/echo", echo)
        .get("/events", move |request| events(request, end.clone()))
        .get("/stats", move |_| ready(Ok(stats_of(&counted, &seen, loop_threads))));
    users(app)
}

// ANCHOR: pings
async fn ping(_: Request) -> Answer {
    Ok(pong())
}

/// Blocks the loop. It compiles without a word.
async fn terrible_ping(request: Request) -> Answer {
    thread::sleep(seconds(&request)?);
    Ok(pong())
}

/// Blocks a thread of the pool.
fn good_ping(request: Request) -> Answer {
    thread::sleep(seconds(&request)?);
    Ok(pong())
}

/// Blocks nobody: a timer wakes it.
async fn perfect_ping(request: Request) -> Answer {
    sleep(seconds(&request)?).await;
    Ok(pong())
}
// ANCHOR_END: pings

fn pong() -> Response {
    json_text(r#"{"pong":true}"#)
}

fn seconds(request: &Request) -> Result<Duration, Refusal> {
    between(request, 0.0, SECONDS_MAX, SECONDS_DEFAULT)
}

/// `?seconds=`
fn between(request: &Request, min: f64, max: f64, default: f64) -> Result<Duration, Refusal> {
    let expected = format!("a number from {min} to {max}");
    let seconds = request.query_or("seconds", default, &expected)?;
    if (min..=max).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        let reason = format!("seconds: expected {expected}, got {seconds}");
        Err(Refusal::bad_request(reason))
    }
}

#[derive(Serialize)]
struct Fib<'a> {
    n: u32,
    value: u64,
    seconds: f64,
    r#where: &'a str,
}

// ANCHOR: fib
/// The same work in one of four places.
async fn fib_somewhere(request: Request, places: Places) -> Answer {
    let n = number(request.param("n"))?;
    let place = request.query("where").unwrap_or_else(|| "rayon".to_owned());
    let start = Instant::now();
    let value = match &*place {
        "inline" => fib(n),
        "pool" => places.pool.run(move || fib(n)).await.expect("fib does not panic"),
        "rayon" => places.cores.compute(move || fib(n)).await.expect("fib does not panic"),
        "process" => places.processes.fib(n).await.map_err(lost)?,
        other => {
            let expected = "inline, pool, rayon or process";
            return Err(Refusal::bad_request(format!("where: expected {expected}, got {other:?}")));
        }
    };
    Ok(json(&Fib { n, value, seconds: start.elapsed().as_secs_f64(), r#where: &place }))
}
// ANCHOR_END: fib

/// What counts as a number is the same as in a typed line.
fn number(text: &str) -> Result<u32, Refusal> {
    match Command::parse(&fib_timing::Line::Whole(text.as_bytes().to_vec())) {
        Ok(Command::Fib(n)) => Ok(n),
        // A line of the program begins with "error: "; in JSON that is the name of the field.
        Err(error) => {
            let error = error.to_string();
            let reason = error.strip_prefix("error: ").unwrap_or(&error).to_owned();
            Err(Refusal::bad_request(reason))
        }
        Ok(_) => Err(Refusal::bad_request(format!("expected a number, got {text:?}"))),
    }
}

fn lost(error: std::io::Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no process answered: {error}"))
}

async fn echo(request: Request) -> Answer {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Ok(whole(content_type, request.body().clone()))
}

/// The heartbeat, with `?seconds=` between two beats, until the client leaves or the server ends.
///
/// # Errors
///
/// A refusal where that is no number from 0.001 to 86,400.
pub async fn events(request: Request, end: CancellationToken) -> Answer {
    let period = between(&request, PERIOD_MIN, PERIOD_MAX, PERIOD_DEFAULT)?;
    let mut response = Response::new(Either::Right(Heartbeat::new(period, end).boxed_unsync()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(Serialize)]
struct StatsJson {
    worker: u32,
    uptime_seconds: f64,
    connections: usize,
    in_flight: usize,
    served: u64,
    accept_errors: u64,
    pool: PoolJson,
    stalls: StallsJson,
    threads: Option<u64>,
    cores: usize,
    loop_threads: usize,
}

#[derive(Serialize)]
struct PoolJson {
    tokens: usize,
    taken: usize,
    waiting: usize,
}

#[derive(Serialize)]
struct StallsJson {
    count: u64,
    longest_ms: f64,
}

fn stats_of(stats: &Stats, places: &Places, loop_threads: usize) -> Response {
    let pool = &places.pool;
    let mut response = json(&StatsJson {
        worker: std::process::id(),
        uptime_seconds: (stats.uptime().as_secs_f64() * 1e3).round() / 1e3,
        connections: stats.connections(),
        in_flight: stats.in_progress(),
        served: stats.served(),
        accept_errors: stats.accept_errors(),
        pool: PoolJson { tokens: pool.size(), taken: pool.taken(), waiting: pool.waiting() },
        stalls: StallsJson {
            count: stats.stalls(),
            longest_ms: stats.longest_stall().as_secs_f64() * 1000.0,
        },
        threads: threads(),
        cores: places.cores.size(),
        loop_threads,
    });
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// How many threads this process has, where the system tells it in a file.
fn threads() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"))?;
    line.trim().parse().ok()
}

/// The page and what it is made of. It loads nothing from elsewhere, and the browser holds it to
/// that.
fn pages(app: App) -> App {
    const FILES: [(&str, &str, &str); 3] = [
        ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
        ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
        ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ];
    // A browser asks for it unasked, and tells its user where it is missing.
    let app = app.get("/favicon.ico", |_| {
        let mut response = Response::new(Either::Left(Full::default()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        ready(Ok(response))
    });
    FILES.into_iter().fold(app, |app, (path, content_type, text)| {
        app.get(path, move |_| {
            let mut response = whole(HeaderValue::from_static(content_type), text);
            let policy = HeaderValue::from_static("default-src 'self'");
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
            ready(Ok(response))
        })
    })
}

#[cfg(feature = "users")]
fn users(app: App) -> App {
    let users = Arc::new(crate::users::Users::default());
    app.get("/users/{id}", move |request| crate::users::user(request, Arc::clone(&users)))
}

#[cfg(not(feature = "users"))]
fn users(app: App) -> App {
    let reason = "this build has no database: leave out --no-default-features";
    app.get("/users/{id}", move |_| ready(Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, reason))))
}

//! Against this chapter's own server, with a pool of a few tokens, on a thread of this process.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ch08_web_server::{BlockingPool, Cores, Ended, Limits, Places, Processes, routes, serve};
use lab::inside::PATIENCE;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::measure::Watched;

const TOKENS: usize = 4;

const WAIT: Duration = Duration::from_millis(50);

/// How often what an overloaded machine can hide is looked for.
const TRIES: usize = 20;

/// A server until it is dropped. One at a time: what is measured is also the threads of this
/// process.
struct Server {
    address: Url,
    end: CancellationToken,
    thread: Option<JoinHandle<io::Result<Ended>>>,
    _alone: MutexGuard<'static, ()>,
}

impl Server {
    fn start(limits: Limits) -> Server {
        static ALONE: Mutex<()> = Mutex::new(());

        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let end = CancellationToken::new();
        let thread = std::thread::spawn({
            let end = end.clone();
            move || {
                let places = Places {
                    pool: BlockingPool::new(TOKENS),
                    cores: Cores::new(1).map_err(io::Error::other)?,
                    processes: Processes::new(PathBuf::new(), 1), // no request needs one
                };
                let app = Arc::new(routes(limits, places, None, 1, end.clone()));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(serve(listener, app, end))
            }
        });
        let address = Url::parse(&format!("http://127.0.0.1:{port}/")).expect("it is an address");
        Server { address, end, thread: Some(thread), _alone: alone }
    }

    fn measure(&self, route: Route, clients: usize) -> Seen {
        let plan = Plan {
            server: self.address.clone(),
            route,
            clients,
            wait: WAIT,
            process: Some(std::process::id()),
            until: Instant::now() + PATIENCE,
        };
        measure(&plan).expect("the server answers")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.cancel();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(Ok(_)))), "{ended:?}");
    }
}

/// A machine that is busy with other things can hide a shape, so there are several tries. A server
/// of another shape fails in all of them.
#[track_caller]
fn assert_in_some_try(mut look: impl FnMut() -> Seen, shape: impl Fn(&Seen) -> bool) {
    let wrong: Vec<Seen> = (0..TRIES).map(|_| look()).take_while(|seen| !shape(seen)).collect();
    assert!(wrong.len() < TRIES, "{:?}", wrong.last());
}

#[test]
fn terrible_pings_are_answered_one_after_the_other_and_meanwhile_nobody_else_is() {
    let server = Server::start(Limits::default());
    let look = || {
        let seen = server.measure(Route::Terrible, 8);
        assert!(seen.waits() >= 7.9, "{seen:?}");
        assert_eq!((seen.latencies.len(), seen.errors.len()), (8, 0));
        seen
    };
    assert_in_some_try(look, |seen| seen.steps() == 8 && seen.frozen() > FROZEN);
}

#[test]
fn good_pings_are_answered_a_group_a_wait_and_the_heart_goes_on() {
    let server = Server::start(Limits::default());
    let look = || {
        let seen = server.measure(Route::Good, 3 * TOKENS);
        assert!(seen.waits() >= 2.9, "{seen:?}");
        seen
    };
    assert_in_some_try(look, |seen| seen.steps() == 3 && seen.frozen() < FROZEN);
}

#[cfg(target_os = "linux")]
#[test]
fn the_threads_that_good_pings_start_are_seen() {
    let look = || {
        let seen = Server::start(Limits::default()).measure(Route::Good, 3 * TOKENS);
        assert!(seen.watched.memory.is_some_and(|kib| kib > 0), "{seen:?}");
        seen
    };
    // Meanwhile threads of other tests may end.
    assert_in_some_try(look, |seen| seen.new_threads().is_some_and(|new| new >= TOKENS));
}

#[test]
fn perfect_pings_are_answered_together() {
    let server = Server::start(Limits::default());
    let look = || server.measure(Route::Perfect, 100);
    assert_in_some_try(look, |seen| seen.steps() == 1 && seen.waits() < 10.0);
}

#[test]
fn a_server_tells_its_process_and_its_tokens() {
    let server = Server::start(Limits::default());
    let said = stats(&server.address, Instant::now() + PATIENCE).expect("it answers");
    assert_eq!(said, Stats { worker: Some(std::process::id()), tokens: Some(TOKENS) });
}

#[test]
fn a_request_that_is_refused_is_an_error_and_the_heart_goes_on() {
    let server = Server::start(Limits { concurrency: 1, ..Limits::default() });
    let look = || {
        let seen = server.measure(Route::Good, 3 * TOKENS);
        assert_eq!(seen.latencies.len() + seen.errors.len(), 3 * TOKENS);
        assert!(seen.errors.iter().all(|why| why.starts_with("status 503")), "{seen:?}");
        seen
    };
    assert_in_some_try(look, |seen| !seen.errors.is_empty());
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = free.local_addr().expect("it listens").port();
    drop(free);
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).expect("it is an address");
    let error = stats(&url, Instant::now() + PATIENCE).expect_err("nobody listens");
    assert!(error.to_string().contains("refused"), "{error}");
}

fn parse(line: &str) -> Result<Option<Options>, String> {
    Options::parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn a_load_goes_to_this_machine_and_to_no_other() {
    for good in ["http://127.0.0.1:1", "http://localhost:1/", "http://[::1]:1", "http://127.9.9.9"]
    {
        assert!(parse(good).is_ok(), "{good}");
    }
    for bad in [
        "http://example.org",
        "http://10.0.0.1:1",
        "http://localhost.example.org:1",
        "http://127.0.0.1.example.org:1",
        "http://0.0.0.0:1",
        "https://127.0.0.1:1",
        "http://127.0.0.1:1/ping",
        "127.0.0.1:1",
        "",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn options_are_numbers_in_their_range() {
    let options =
        parse("http://localhost:1 --clients 7 --seconds 0.5 --routes good,perfect --pid 9");
    let expected = Options {
        server: Url::parse("http://127.0.0.1:1").expect("it is an address"),
        clients: Some(7),
        wait: Duration::from_millis(500),
        routes: vec![Route::Good, Route::Perfect],
        process: Some(9),
    };
    assert_eq!(options, Ok(Some(expected)));
    assert_eq!(parse("--help"), Ok(None));
    for bad in [
        "--clients 0",
        "--clients 5001",
        "--seconds nan",
        "--seconds 6",
        "--routes fast",
        "--pid 0",
        "--clients 201",
        "x",
    ] {
        assert!(parse(&format!("http://localhost:1 {bad}")).is_err(), "{bad}");
    }
    assert!(parse("http://localhost:1 --clients 5000 --routes perfect").is_ok());
}

/// What 12 clients saw, in ms.
fn seen(latencies: [u64; 4], wall: u64, longest_gap: u64) -> Seen {
    let ms = Duration::from_millis;
    Seen {
        wait: ms(100),
        wall: ms(wall),
        latencies: latencies.iter().flat_map(|latency| [ms(*latency); 3]).collect(),
        errors: Vec::new(),
        longest_gap: ms(longest_gap),
        watched: Watched::default(),
    }
}

#[test]
fn the_verdict_is_the_shape() {
    let verdict = |route, seen: &Seen| {
        let server = Url::parse("http://127.0.0.1:1").expect("it is an address");
        let (clients, wait, until) = (12, seen.wait, Instant::now());
        let plan = Plan { server, route, clients, wait, process: None, until };
        verdict(&plan, seen, Some(TOKENS))
    };
    let terrible = verdict(Route::Terrible, &seen([100, 300, 600, 1200], 1200, 1080));
    assert_eq!(
        terrible,
        "frozen (the longest gap is 90 % of the wall): wall 1.20 s = 12.0 × 100ms"
    );
    let spared = verdict(Route::Terrible, &seen([100, 300, 600, 1200], 1200, 12));
    assert!(spared.starts_with("not frozen (the longest gap is 1 % of the wall)"), "{spared}");
    let good = verdict(Route::Good, &seen([101, 110, 205, 310], 310, 12));
    assert_eq!(good, "a staircase of 4, with 3 steps: wall 0.31 s = 3.1 × 100ms");
    let perfect = verdict(Route::Perfect, &seen([101, 110, 115, 120], 120, 12));
    assert_eq!(perfect, "flat: wall 0.12 s = 1.2 × 100ms");
    let slow = verdict(Route::Perfect, &seen([201, 240, 280, 320], 320, 12));
    assert_eq!(slow, "flat, but more work than waiting: wall 0.32 s = 3.2 × 100ms");
    let failed = Seen { errors: vec!["status 503".into()], ..seen([1, 1, 1, 1], 1, 1) };
    let failed = verdict(Route::Perfect, &failed);
    assert_eq!(failed, "not judged: 1 requests failed, as with \"status 503\"");
}

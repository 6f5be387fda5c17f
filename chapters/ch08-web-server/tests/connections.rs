//! Connections that do not go as in a textbook: in pieces, half closed, reset, silent, too many.
#![cfg(unix)]

mod common;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ch08_web_server::{App, Limits, Request, Response, json};
use common::{Client, End, Fate, Hold, Server, limits, post, request, wait_until};
use http_body_util::{BodyExt, Either};
use hyper::body::{Body, Bytes, Frame};
use lab::inside::{Gate, PATIENCE};

/// Long enough for a client that is in time, also on a machine that is busy.
const IN_TIME: Duration = Duration::from_secs(1);
/// For a time-out whose end nobody can miss.
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::with_routes(limits(), None);
    let mut client = server.connect();
    client.send(
        [
            request("/perfect-ping?seconds=0.05"),
            request("/fib/10?where=pool"),
            request("/nothing"),
            post("/echo", "a body"),
            request("/fib/11?where=inline"),
        ]
        .concat(),
    );
    assert_eq!(client.reply().text(), "{\"pong\":true}");
    assert_eq!(client.reply().json()["value"], 55);
    assert_eq!(client.reply().status, 404);
    assert_eq!(client.reply().text(), "a body");
    assert_eq!(client.reply().json()["value"], 89);
}

#[test]
fn a_pipelined_request_is_begun_when_the_one_before_it_is_answered() {
    let (hold, add) = Hold::new();
    let server = Server::start(limits(), 1, add);
    let mut client = server.connect();
    client.send([request("/held"), request("/ping")].concat());
    assert_eq!(hold.next(), Fate::Began);
    server.assert_lives();
    assert_eq!(server.stats.begun(), 2, "this one and that of another client");
    hold.let_go();
    assert_eq!(client.reply().json(), "let go");
    assert_eq!(client.reply().json(), "pong");
}

#[test]
fn a_request_that_comes_in_single_bytes_is_answered() {
    let server = Server::with_routes(limits(), None);
    let mut client = server.connect();
    for byte in [post("/echo", "a body"), request("/ping")].concat().bytes() {
        client.send([byte]);
    }
    assert_eq!(client.reply().text(), "a body");
    assert_eq!(client.reply().status, 200);
}

/// For the server a client that has closed its direction looks like one that has left. Without
/// `--half-close` it is taken for that.
#[test]
fn a_client_that_closes_its_direction_while_a_handler_awaits_gets_no_answer() {
    let (hold, add) = Hold::new();
    let server = Server::start(limits(), 1, add);
    let mut client = server.connect();
    client.ask("/held");
    assert_eq!(hold.next(), Fate::Began);
    client.finish_sending();
    assert_eq!(hold.next(), Fate::Dropped);
    assert_eq!(client.end(), End::Closed);
    server.wait_for_no_connections();
}

#[test]
fn with_half_close_it_gets_its_answer() {
    let (hold, add) = Hold::new();
    let server = Server::start(Limits { half_close: true, ..limits() }, 1, add);
    let mut client = server.connect();
    client.send([request("/held"), request("/ping")].concat());
    client.finish_sending();
    assert_eq!(hold.next(), Fate::Began);
    server.assert_lives();
    hold.let_go();
    assert_eq!(client.reply().json(), "let go");
    assert_eq!(client.reply().json(), "pong", "what it has sent before is answered as well");
    assert_eq!(client.end(), End::Closed);
    server.wait_for_no_connections();
}

/// The price of `--half-close`: a handler works for a client that is long gone.
#[test]
fn with_half_close_nobody_notices_when_a_client_leaves() {
    let (hold, add) = Hold::new();
    let server = Server::start(Limits { half_close: true, ..limits() }, 1, add);
    let mut client = server.connect();
    client.ask("/held");
    assert_eq!(hold.next(), Fate::Began);
    drop(client);
    for _ in 0..10 {
        server.assert_lives(); // the loop turns, and sees whatever there is to see
    }
    assert!(hold.is_silent());
    hold.let_go();
    assert_eq!(hold.next(), Fate::Returned);
    server.wait_for_no_connections();
}

/// Where the kernel tells of request and end in one event, even a handler that would be ready at
/// once is not polled: the end is seen first. (The first request of a connection is read before the
/// kernel was asked for an event, and is answered.)
#[test]
#[cfg(target_os = "linux")]
fn a_client_that_has_left_before_its_next_request_is_read_is_not_served() {
    let gate = Gate::default();
    let its_gate = gate.clone();
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let server = Server::start(limits(), 1, move |app| {
        let app = app.get("/block", move |_| {
            let gate = its_gate.clone();
            async move { Ok(json(&gate.compute(40))) } // blocks the loop
        });
        app.get("/count", move |_| {
            let count = Arc::clone(&count);
            async move { Ok(json(&count.fetch_add(1, Ordering::Relaxed))) }
        })
    });
    let (mut blocks, mut left) = (server.connect(), server.connect());
    assert_eq!(left.get("/count").json(), 0);
    blocks.ask("/block");
    gate.wait_started(40);
    left.ask("/count");
    left.finish_sending();
    gate.open_all();
    assert_eq!(left.end(), End::Closed);
    assert_eq!(blocks.reply().json(), 40);
    assert_eq!(called.load(Ordering::Relaxed), 1);
}

/// Cancellation: hyper drops the handler's future, and with it whatever it awaits.
#[test]
fn a_client_that_leaves_cancels_its_handler_on_the_loop() {
    let (hold, add) = Hold::new();
    let server = Server::start(limits(), 1, add);
    for leave in [drop, Client::reset] {
        let mut client = server.connect();
        client.ask("/held");
        assert_eq!(hold.next(), Fate::Began);
        leave(client);
        assert_eq!(hold.next(), Fate::Dropped);
        server.wait_for_no_connections();
    }
    assert_eq!(server.stats.served(), 0);
}

#[test]
fn a_client_that_leaves_does_not_stop_a_thread() {
    let gate = Gate::default();
    let its_gate = gate.clone();
    let server = Server::start(limits(), 1, move |app| {
        app.get("/gate", move |_: Request| Ok(json(&its_gate.compute(40))))
    });
    let mut client = server.connect();
    client.ask("/gate");
    gate.wait_started(40);
    client.reset();
    server.wait_for_no_connections();
    assert_eq!(server.pool.taken(), 1);
    gate.open_all();
    wait_until("the end of the thread's work", || server.pool.taken() == 0);
    assert_eq!(gate.finished(), [40]);
}

/// The pieces of a [`Flood`].
const PIECE: &[u8] = &[b'x'; 64 * 1024];
/// The pieces of a whole flood. Much more than any kernel keeps for a connection.
const PIECES: usize = 1024;

/// A body that is always ready with its next piece. It counts them, and tells when it is dropped.
struct Flood {
    polled: Arc<AtomicUsize>,
    _until_dropped: Sender<()>,
}

impl Body for Flood {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.polled.fetch_add(1, Ordering::Relaxed);
        Poll::Ready((polled < PIECES).then(|| Ok(Frame::data(Bytes::from_static(PIECE)))))
    }
}

/// Adds `/flood`, which is answered once. The channel ends with it.
fn flood() -> (Arc<AtomicUsize>, Receiver<()>, impl FnOnce(App) -> App + Send + 'static) {
    let (polled, (sender, dropped)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
    let count = Arc::clone(&polled);
    let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
    let add = move |app: App| {
        app.get("/flood", move |_| {
            let sender = sender.lock().ok().and_then(|mut sender| sender.take());
            let sender = sender.expect("it is asked for once");
            let body = Flood { polled: Arc::clone(&count), _until_dropped: sender };
            async { Ok(Response::new(Either::Right(body.boxed_unsync()))) }
        })
    };
    (polled, dropped, add)
}

#[test]
fn a_reset_in_the_middle_of_a_head_a_body_or_a_response_ends_that_connection_only() {
    let (_, dropped, add) = flood();
    let server = Server::start(limits(), 1, add);
    let mut flooded = server.connect();
    flooded.ask("/flood");
    assert_eq!(flooded.head().expect("it comes").map(|head| head.status), Some(200));
    let cut_body = &post("/ping", "a body")[..50];
    for cut in ["", "G", "GET /ping HTTP/1.1\r\nHo", cut_body] {
        let mut client = server.connect();
        client.send(cut);
        server.assert_lives(); // it has seen that
        client.reset();
        server.assert_lives();
    }
    flooded.reset();
    let ended = dropped.recv_timeout(PATIENCE);
    assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "the body was dropped");
    server.assert_lives();
    server.wait_for_no_connections();
}

/// Backpressure: what is not taken is not made either. And a client that takes nothing for too long
/// is given up, else it would hold its memory and its descriptor for ever.
#[test]
fn a_client_that_never_reads_is_given_up_and_fills_no_memory() {
    const BYTES_MAX: usize = 16 << 20; // of the kernel's two buffers, and hyper's

    let (polled, dropped, add) = flood();
    let write_timeout = Duration::from_millis(200);
    let server = Server::start(Limits { write_timeout, ..limits() }, 1, add);
    let start = Instant::now();
    let mut client = server.connect();
    client.ask("/flood");
    client.head().expect("the head comes");
    server.assert_lives();
    let ended = dropped.recv_timeout(PATIENCE);
    assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected), "the body was dropped");
    assert!(start.elapsed() >= write_timeout);
    let bytes = polled.load(Ordering::Relaxed) * PIECE.len();
    assert!(bytes <= BYTES_MAX, "{bytes} bytes were made for a client that took none");
    server.assert_lives();
    server.wait_for_no_connections();
}

#[test]
fn a_client_that_reads_gets_all_of_a_long_response() {
    let (polled, _dropped, add) = flood();
    let server = Server::start(limits(), 1, add);
    let mut client = server.connect();
    client.ask("/flood");
    let head = client.head().expect("it comes").expect("it is whole");
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    let mut bytes = 0;
    loop {
        let chunk = client.chunk().expect("it is not cut");
        if chunk.is_empty() {
            break;
        }
        bytes += chunk.len();
    }
    assert_eq!(bytes, PIECES * PIECE.len());
    assert_eq!(polled.load(Ordering::Relaxed), PIECES + 1);
    assert_eq!(client.get("/ping").status, 200);
}

#[test]
fn events_come_at_once_and_end_when_the_client_leaves() {
    let server = Server::with_routes(limits(), None);
    let mut client = server.connect();
    client.ask("/events?seconds=0.001");
    let head = client.head().expect("it comes").expect("it is whole");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    for beat in 1..10 {
        let event = String::from_utf8(client.chunk().expect("a beat")).expect("it is ASCII");
        let json = event.strip_prefix("data: ").and_then(|event| event.strip_suffix("\n\n"));
        let json: serde_json::Value =
            serde_json::from_str(json.unwrap_or_default()).expect("it is an event with JSON");
        assert_eq!((&json["beat"], &json["worker"]), (&beat.into(), &std::process::id().into()));
        assert!(json["late_ms"].as_f64().is_some_and(|late| late >= 0.0), "{json}");
    }
    assert_eq!(server.stats.in_progress(), 0, "its response is there, and goes on");
    drop(client);
    server.wait_for_no_connections();
}

#[test]
fn a_connection_that_is_idle_for_too_long_is_closed() {
    let server = Server::start(Limits { header_timeout: IN_TIME, ..limits() }, 1, |app| app);
    let mut client = server.connect();
    assert_eq!(client.get("/ping").status, 200);
    let start = Instant::now();
    assert_eq!(client.get("/ping").status, 200);
    assert_eq!(client.end(), End::Closed);
    assert!(start.elapsed() >= IN_TIME, "the second request began a new time");
    server.wait_for_no_connections();
}

#[test]
fn a_panic_is_an_answer_and_its_connection_goes_on() {
    // Not `panic!`, which would write to the output of the tests.
    fn panic() -> ! {
        std::panic::resume_unwind(Box::new("on purpose"))
    }
    let server = Server::start(limits(), 1, |app| {
        app.get("/async", |_| async { panic() })
            .get("/later", |_| async {
                tokio::task::yield_now().await;
                panic()
            })
            .get("/future", |_| -> std::future::Ready<_> { panic() })
            .get("/plain", |_: Request| -> ch08_web_server::Answer { panic() })
    });
    let mut client = server.connect();
    for path in ["/async", "/later", "/plain", "/future", "/async"] {
        let reply = client.get(path);
        assert_eq!((reply.status, &*reply.error()), (500, "the handler panicked"), "{path}");
        assert_eq!(client.get("/ping").status, 200, "{path}");
    }
    assert_eq!(server.pool.taken(), 0, "the token came back");
    assert_eq!(server.stats.begun(), server.stats.served());
}

#[test]
fn one_request_too_many_is_503_at_once_and_there_is_room_again_when_another_has_ended() {
    let (hold, add) = Hold::new();
    let server = Server::start(Limits { concurrency: 2, ..limits() }, 1, add);
    let mut held = [server.connect(), server.connect()];
    for client in &mut held {
        client.ask("/held");
        assert_eq!(hold.next(), Fate::Began);
    }
    let mut client = server.connect();
    for path in ["/ping", "/held", "/nothing"] {
        let reply = client.get(path);
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{path}");
        assert_eq!(reply.error(), "too many requests are in progress");
    }
    assert!(hold.is_silent(), "the handler was not called");
    hold.let_go();
    for client in &mut held {
        assert_eq!(client.reply().status, 200);
    }
    assert_eq!(client.get("/ping").status, 200, "on the same connection");
}

#[test]
fn a_handler_on_the_loop_that_takes_too_long_is_dropped_and_answered_with_503() {
    let (hold, add) = Hold::new();
    let server = Server::start(Limits { request_timeout: SHORT, ..limits() }, 1, add);
    let start = Instant::now();
    let mut client = server.connect();
    let reply = client.get("/held");
    assert_eq!((reply.status, &*reply.error()), (503, "the request took too long"));
    assert!(start.elapsed() >= SHORT);
    assert_eq!([hold.next(), hold.next()], [Fate::Began, Fate::Dropped]);
    assert_eq!(client.get("/ping").status, 200, "on the same connection");
}

/// The time is for the queue as well.
#[test]
fn a_plain_fn_that_takes_too_long_is_answered_with_503_and_runs_to_its_end() {
    let gate = Gate::default();
    let its_gate = gate.clone();
    let server = Server::start(Limits { request_timeout: SHORT, ..limits() }, 1, move |app| {
        app.get("/gate/{n}", move |request: Request| {
            let n = request.param("n").parse().expect("this test asks for numbers");
            Ok(json(&its_gate.compute(n)))
        })
    });
    assert_eq!(server.get("/gate/40").status, 503);
    gate.wait_started(40);
    assert_eq!(server.get("/gate/41").status, 503, "it waited for a token, and no longer does");
    assert_eq!((server.pool.taken(), server.pool.waiting()), (1, 0));
    gate.open_all();
    wait_until("the end of the thread's work", || server.pool.taken() == 0);
    assert_eq!((gate.started(), gate.finished()), (vec![40], vec![40]));
}

#[cfg(target_os = "linux")]
mod descriptors {
    use std::fs;

    use ch08_web_server::limits::ACCEPT_PAUSE;
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

    use super::*;
    use crate::common::Program;

    /// The numbers of the descriptors of a process.
    fn descriptors(pid: u32) -> Vec<u64> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("it is our child");
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).collect()
    }

    /// The processor time that a process has used.
    fn processor_time(pid: u32) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is our child");
        let (_, fields) = stat.rsplit_once(") ").expect("the name stands in brackets");
        let fields = fields.split(' ').skip(11).take(2); // in user code and in the kernel
        let ticks: u32 = fields.map(|ticks| ticks.parse::<u32>().expect("a number")).sum();
        Duration::from_millis(10) * ticks
    }

    #[test]
    fn without_descriptors_the_server_serves_those_it_has_and_does_not_spin() {
        let program = Program::start(&[]);
        let mut control = program.connect();
        let mut accept_errors = move || {
            let errors = control.get("/stats").json()["accept_errors"].as_u64();
            (errors.expect("it is a number"), control.get("/perfect-ping?seconds=0.3").status)
        };
        assert_eq!(accept_errors(), (0, 200));

        let few = descriptors(program.id()).into_iter().max().map(|max| max + 5);
        let limit = Rlimit { current: few, maximum: getrlimit(Resource::Nofile).maximum };
        let pid = i32::try_from(program.id()).ok().and_then(Pid::from_raw);
        prlimit(pid, Resource::Nofile, limit).expect("it is our child");
        let mut clients = Vec::new();
        wait_until("no descriptor to be left", || {
            clients.push(program.connect());
            program.complaints().contains("accept: ")
        });
        let mut late = program.connect(); // the kernel takes it, and the program cannot
        late.ask("/ping");

        let (start, used) = (Instant::now(), processor_time(program.id()));
        let (before, _) = accept_errors();
        let (after, _) = accept_errors(); // some tries later
        let (elapsed, used) = (start.elapsed(), processor_time(program.id()) - used);
        let tries = elapsed.as_secs_f64() / ACCEPT_PAUSE.as_secs_f64();
        assert!(after > before, "it tries again");
        assert!((after - before) as f64 <= tries + 2.0, "{} tries in {elapsed:?}", after - before);
        assert!(used < elapsed / 2, "{used:?} of the processor in {elapsed:?}");
        assert!(!late.has_news());

        drop(clients);
        assert_eq!(late.reply().status, 200, "there is room again");
        let (errors, _) = accept_errors();
        assert_eq!(accept_errors().0, errors, "and no more trouble");
    }

    #[test]
    fn a_thousand_connections_half_of_them_reset_leave_nothing_behind() {
        const ROUNDS: usize = 3;
        const CLIENTS: usize = 1000;
        const BATCH: usize = 100; // the kernel keeps only so many that were not accepted yet
        const NEEDED: u64 = 4096; // this process has the clients, the other one the connections

        let own = getrlimit(Resource::Nofile);
        if own.maximum.is_some_and(|maximum| maximum < NEEDED) {
            println!("not judged: {own:?}, and {NEEDED} descriptors are needed");
            return;
        }
        if own.current.is_some_and(|current| current < NEEDED) {
            let more = Rlimit { current: Some(NEEDED), maximum: own.maximum };
            setrlimit(Resource::Nofile, more).expect("it is below the maximum");
        }
        let program = Program::start(&[]);
        let mut control = program.connect();
        let mut stats = move || control.get("/stats").json();
        stats();
        let before = descriptors(program.id()).len();
        let cut_body = &post("/echo", "a body")[..60];
        let cuts = ["GET /ping HTTP/1.1\r\nHo", cut_body, &request("/perfect-ping?seconds=60")];
        for _ in 0..ROUNDS {
            let mut clients = Vec::new();
            for batch in 0..CLIENTS / BATCH {
                for number in 0..BATCH {
                    let mut client = program.connect();
                    match number % 2 {
                        0 => client.ask("/ping"),
                        _ => client.send(cuts[(batch + number) % cuts.len()]),
                    }
                    clients.push(client);
                }
                stats(); // so the connections before it were accepted
            }
            for (number, mut client) in clients.into_iter().enumerate() {
                if number % 2 == 0 {
                    assert_eq!(client.reply().status, 200);
                } else {
                    client.reset();
                }
            }
            wait_until("every connection to be over", || stats()["connections"] == 1);
            let after = stats();
            assert_eq!((&after["in_flight"], &after["accept_errors"]), (&1.into(), &0.into()));
            assert_eq!(descriptors(program.id()).len(), before);
        }
        assert_eq!(program.complaints(), "");
    }
}

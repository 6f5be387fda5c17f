//! How it ends: what was begun is answered, and what was not begun is not cut in the middle.
#![cfg(unix)]

mod common;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ch08_web_server::limits::LINGER_TIME;
use ch08_web_server::{Ended, Limits};
use common::{
    Client, End, Fate, Hold, PROGRAM, Program, Server, limits, output, post, request, wait_until,
};
use rustix::process::Signal;

/// What ends at once ends long before the minute for which these tests ask a handler to sleep.
const LONG_BEFORE: Duration = Duration::from_secs(30);

/// Waits until as many requests are in progress, beside the one that asks, or one of them is
/// answered already.
fn wait_for_requests(program: &Program, count: u64, clients: &[Client]) {
    wait_until("the requests to be begun", || {
        let is_begun = program.get("/stats").json()["in_flight"] == count + 1;
        is_begun || clients.iter().any(Client::has_news)
    });
}

#[test]
fn a_signal_ends_an_idle_server_although_connections_are_open() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = Program::start(&[]);
        let mut used = program.connect();
        assert_eq!(used.get("/ping").status, 200);
        let mut events = program.connect();
        events.ask("/events?seconds=0.001");
        events.head().expect("it comes").expect("it is whole");
        let fresh = program.connect();
        assert_eq!(program.get("/ping").status, 200, "so the others were accepted before");

        program.signal(signal);
        assert_eq!(used.end(), End::Closed);
        assert_eq!(fresh.end(), End::Closed);
        while !events.chunk().expect("the stream is not cut").is_empty() {}
        assert_eq!(events.end(), End::Closed);
        program.assert_ends_well();
    }
}

/// It has said that nothing more will come. It waits a little for them to say so too.
#[test]
fn clients_that_never_close_keep_it_for_the_time_that_it_lingers_and_no_longer() {
    let program = Program::start(&["--grace", "60"]);
    let mut clients = [program.connect(), program.connect()];
    for client in &mut clients {
        assert_eq!(client.get("/ping").status, 200);
    }
    let start = Instant::now();
    program.signal(Signal::TERM);
    program.assert_ends_well();
    assert!(start.elapsed() < LINGER_TIME + LONG_BEFORE);
    drop(clients);
}

#[test]
fn a_signal_that_comes_as_soon_as_the_address_is_told_is_heard() {
    for _ in 0..3 {
        let program = Program::start(&[]);
        program.signal(Signal::TERM);
        program.assert_ends_well();
    }
}

#[test]
fn what_was_begun_is_answered_and_nothing_new_is_accepted() {
    let program = Program::start(&[]);
    let paths = ["/perfect-ping", "/good-ping"];
    let mut clients: Vec<Client> = Vec::new();
    for path in paths {
        let mut client = program.connect();
        client.ask(&format!("{path}?seconds=0.3"));
        clients.push(client);
    }
    let (mut sends, whole) = (program.connect(), post("/echo", "a body in two halves"));
    let (half, rest) = whole.split_at(whole.len() - 5);
    sends.send(half);
    wait_for_requests(&program, 3, &clients);
    let mut begins = program.connect();
    begins.send("GET /ping HTTP/1.1\r\nHo");
    assert_eq!(program.get("/ping").status, 200, "so that was read before");

    program.signal(Signal::TERM);
    program.wait_for_refusal();
    sends.send(rest);
    assert_eq!(sends.reply().text(), "a body in two halves");
    assert_eq!(sends.end(), End::Closed);
    begins.send("st: localhost\r\n\r\n");
    assert_eq!(begins.reply().status, 200, "also the first request, of which a part had come");
    assert_eq!(begins.end(), End::Closed);
    for mut client in clients {
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
        assert_eq!(client.end(), End::Closed);
    }
    program.assert_ends_well();
}

#[test]
fn a_handler_that_blocks_the_loop_is_finished_before_the_server_ends() {
    let program = Program::start(&[]);
    let mut client = program.connect();
    client.ask("/terrible-ping?seconds=0.3");
    program.signal(Signal::TERM);
    // The loop was stalled already, or was told first. What it has not read it may drop.
    if let Ok(Some(reply)) = client.try_reply() {
        assert_eq!(reply.status, 200);
    }
    drop(client);
    program.assert_ends_well();
}

/// A client that sends one request after the other on one connection, until it is closed. Returns
/// how many answers it got. No answer may be cut in the middle.
fn hammer(address: SocketAddr, requests: String, answered: Arc<AtomicU64>) -> JoinHandle<()> {
    let mut client = Client::connect(address);
    thread::spawn(move || {
        loop {
            if client.try_send(&requests).is_err() {
                return; // answers that were under way were read before
            }
            for _ in 0..requests.matches("HTTP/1.1").count() {
                match client.try_reply() {
                    Ok(Some(reply)) => {
                        assert_eq!(reply.status, 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(None) => return,
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return,
                    Err(error) => panic!("an answer was cut: {error}"),
                }
            }
        }
    })
}

/// What the clients of a load send: for the loop, for the pool, with a body, several at once.
fn load(address: SocketAddr, answered: &Arc<AtomicU64>) -> Vec<JoinHandle<()>> {
    let kinds = [
        request("/ping"),
        request("/perfect-ping?seconds=0.002"),
        request("/good-ping?seconds=0.002"),
        post("/echo", &"x".repeat(100_000)),
        request("/ping").repeat(5),
        [request("/ping"), post("/echo", "a body"), request("/perfect-ping?seconds=0.001")]
            .concat(),
    ];
    kinds.map(|requests| hammer(address, requests, Arc::clone(answered))).into()
}

/// Enough for each client to be in the middle of something.
const ANSWERS: u64 = 1000;

#[test]
fn under_load_each_request_that_was_begun_is_answered_whole() {
    let server = Server::with_routes(limits(), None);
    let (stats, answered) = (Arc::clone(&server.stats), Arc::default());
    let clients = load(server.background.address(), &answered);
    wait_until("some answers", || answered.load(Ordering::Relaxed) >= ANSWERS);
    assert_eq!(server.end(), Ended { abandoned: 0 });
    for client in clients {
        client.join().expect("no answer is cut");
    }
    let answered = answered.load(Ordering::Relaxed);
    assert_eq!((stats.begun(), stats.served()), (answered, answered));
    assert_eq!((stats.connections(), stats.in_progress()), (0, 0));
}

#[test]
fn under_load_the_program_ends_well_and_cuts_no_answer() {
    for arguments in [&[][..], &["--threads", "2"]] {
        let program = Program::start(arguments);
        let answered = Arc::default();
        let clients = load(program.address, &answered);
        wait_until("some answers", || answered.load(Ordering::Relaxed) >= ANSWERS);
        program.signal(Signal::TERM);
        program.assert_ends_well();
        for client in clients {
            client.join().expect("no answer is cut");
        }
    }
}

#[test]
fn what_takes_longer_than_the_grace_is_abandoned_and_counted() {
    for path in ["/perfect-ping", "/good-ping"] {
        let mut program = Program::start(&["--grace", "0.1"]);
        let mut clients = [program.connect(), program.connect()];
        for client in &mut clients {
            client.ask(&format!("{path}?seconds=60"));
        }
        wait_for_requests(&program, 2, &clients);
        let start = Instant::now();
        program.signal(Signal::TERM);
        let (status, complaints) = program.wait();
        let expected = (Some(0), "end: abandoned 2 connections\n");
        assert_eq!((status.code(), &*complaints), expected, "{path}");
        assert!(start.elapsed() < LONG_BEFORE, "nobody waits for a thread that sleeps");
        for mut client in clients {
            assert!(!matches!(client.try_reply(), Ok(Some(_))), "{path}: it was not answered");
        }
    }
}

#[test]
fn a_server_of_this_process_tells_how_many_it_abandoned() {
    let (hold, add) = Hold::new();
    let grace = Duration::from_millis(50);
    let server = Server::start(Limits { grace, ..limits() }, 1, add);
    let mut client = server.connect();
    client.ask("/held");
    assert_eq!(hold.next(), Fate::Began);
    assert_eq!(server.end(), Ended { abandoned: 1 });
    assert_eq!(hold.next(), Fate::Dropped);
}

#[test]
fn a_second_signal_does_not_ask() {
    for signals in [[Signal::TERM, Signal::TERM], [Signal::INT, Signal::TERM]] {
        let mut program = Program::start(&["--grace", "60"]);
        let mut clients = [program.connect()];
        clients[0].ask("/perfect-ping?seconds=60");
        wait_for_requests(&program, 1, &clients);
        let start = Instant::now();
        program.signal(signals[0]);
        program.wait_for_refusal();
        assert!(!clients[0].has_news(), "the first one asks");
        program.signal(signals[1]);
        let (status, complaints) = program.wait();
        assert_eq!((status.code(), &*complaints), (Some(1), ""));
        assert!(start.elapsed() < LONG_BEFORE);
    }
}

/// Those who listen for the second signal must not be on the loop.
#[test]
fn a_second_signal_does_not_ask_a_handler_that_blocks_the_loop() {
    let mut program = Program::start(&["--grace", "60"]);
    let mut clients = [program.connect()];
    clients[0].ask("/perfect-ping?seconds=60"); // so that the first one does not end it
    wait_for_requests(&program, 1, &clients);
    let mut blocking = program.connect();
    assert_eq!(blocking.get("/ping").status, 200);
    blocking.ask("/terrible-ping?seconds=60");
    let start = Instant::now();
    wait_until("the end of the program", || {
        program.signal(Signal::TERM);
        program.is_over()
    });
    let (status, complaints) = program.wait();
    assert_eq!((status.code(), &*complaints), (Some(1), ""));
    assert!(start.elapsed() < LONG_BEFORE);
}

/// A request that stands in the kernel, unread, would make a reset of the end, and the answer
/// before it would be cut.
#[test]
fn the_last_answer_is_whole_although_the_client_has_sent_more() {
    let program = Program::start(&["--grace", "60"]);
    let mut client = program.connect();
    client.ask("/events?seconds=0.001");
    client.head().expect("it comes").expect("it is whole");
    client.send(request("/ping").repeat(2000)); // more than hyper reads ahead
    program.signal(Signal::TERM);
    program.wait_for_refusal();
    while !client.chunk().expect("the stream is not cut").is_empty() {}
    // If the stream ends a moment before the connection is told, some of the others are begun.
    while let Some(reply) = client.try_reply().expect("no answer is cut, and no reset comes") {
        assert_eq!(reply.status, 200);
    }
    program.assert_ends_well();
}

/// A port that is ours: nobody is given it, and the program may listen on it all the same.
#[cfg(target_os = "linux")]
fn reserve() -> (rustix::fd::OwnedFd, SocketAddr) {
    use rustix::net::{
        AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
    };

    let kind = (AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC);
    let socket = socket_with(kind.0, kind.1, kind.2, None).expect("a descriptor is free");
    sockopt::set_socket_reuseaddr(&socket, true).expect("it is a socket");
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
    let address = getsockname(&socket).expect("it is bound");
    (socket, address.try_into().expect("it is an address of the internet"))
}

#[test]
#[cfg(target_os = "linux")]
fn it_serves_although_nobody_reads_its_address() {
    for arguments in [&[][..], &["--workers", "2"]] {
        let (_reserved, address) = reserve();
        let (reader, writer) = io::pipe().expect("two descriptors are free");
        drop(reader);
        let program = Program::start_on(address, arguments, writer.into());
        wait_until("it to listen", || std::net::TcpStream::connect(address).is_ok());
        assert_eq!(program.get("/ping").status, 200);
        program.signal(Signal::TERM);
        program.assert_ends_well();
    }
}

#[test]
fn a_port_that_is_in_use_is_status_1_and_one_line() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    for workers in ["1", "2"] {
        let output = output(&["--port", &port, "--workers", workers]);
        let complaint = String::from_utf8(output.stderr).expect("it is UTF-8");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{complaint}");
        let expected = format!("ch08-web-server: port {port} on 127.0.0.1: ");
        assert!(complaint.starts_with(&expected), "{complaint:?}");
        assert_eq!(complaint.lines().count(), 1, "{complaint:?}");
    }
}

#[test]
fn options_that_are_wrong_are_status_2_and_one_line() {
    for arguments in [
        &["--nonsense"][..],
        &["stray"],
        &["-x"],
        &["--port"],
        &["--port", "65536"],
        &["--port", "-1"],
        &["--port", "http"],
        &["--workers", "0"],
        &["--workers", "4097"],
        &["--workers", "two"],
        &["--threads", "0"],
        &["--pool", "0"],
        &["--pool", ""],
        &["--limit-concurrency", "0"],
        &["--static", "/there/is/no/such/folder"],
        &["--static", PROGRAM],
        &["--static"],
        &["--header-timeout", "0"],
        &["--header-timeout", "nan"],
        &["--body-timeout", "inf"],
        &["--body-timeout", "-1"],
        &["--request-timeout", "86401"],
        &["--request-timeout", "soon"],
        &["--write-timeout", "0.0009"],
        &["--grace", "1e300"],
        &["--grace", "0"],
        &["--body-max", "1073741825"],
        &["--body-max", "-1"],
        &["--body-max", "1.5"],
        &["--half-close=yes"],
        &["--fib-worker", "stray"],
        &["--port", "0", "--nonsense"],
    ] {
        let output = output(arguments);
        let complaint = String::from_utf8(output.stderr).expect("it is UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert_eq!(output.stdout.len(), 0, "{arguments:?}");
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        assert!(complaint.starts_with("ch08-web-server: "), "{arguments:?}: {complaint}");
        assert!(complaint.ends_with("(--help lists the options)\n"), "{arguments:?}: {complaint}");
    }
}

#[test]
fn help_is_status_0_and_names_each_option() {
    for arguments in [&["--help"][..], &["-h"], &["--port", "1", "--help"]] {
        let output = output(arguments);
        let text = String::from_utf8(output.stdout).expect("it is UTF-8");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
        for option in [
            "--port",
            "--workers",
            "--threads",
            "--pool",
            "--limit-concurrency",
            "--static",
            "--header-timeout",
            "--body-timeout",
            "--request-timeout",
            "--write-timeout",
            "--body-max",
            "--grace",
            "--half-close",
            "--help",
        ] {
            assert!(text.contains(&format!("\n  {option} ")), "{option}: {text}");
        }
        assert!(!text.contains("--worker "), "only the program itself uses that");
    }
}

/// Its standard input is no listener, so nobody has started it as a worker.
#[test]
fn a_worker_that_nobody_has_started_is_status_1_and_one_line() {
    let output = output(&["--worker"]);
    let complaint = String::from_utf8(output.stderr).expect("it is UTF-8");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{complaint}");
    assert!(complaint.contains("--worker is for the program itself"), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

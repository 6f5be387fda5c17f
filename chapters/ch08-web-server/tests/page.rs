//! What the page claims and no other test holds.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ch08_web_server::{
    Answer, App, Background, BlockingPool, Cores, Limits, Places, Processes, Request, Stats, json,
    routes,
};
use lab::inside::PATIENCE;

fn places() -> Places {
    Places {
        pool: BlockingPool::new(2),
        cores: Cores::new(1).expect("a thread can be started"),
        processes: Processes::new("no process is asked here", 1),
    }
}

/// The server with all its routes, on a thread of its own.
fn server(limits: Limits) -> Background {
    Background::start(|end| routes(limits, places(), None, 1, end)).expect("a port is free")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    stream
}

fn send(mut stream: &TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers, and closes");
    answer
}

/// An app with one handler that tells that it runs, and then waits until it is let go.
fn gated(blocks_the_loop: bool) -> (Background, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (tell, runs) = mpsc::channel();
    let (let_go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let wait = move || {
        tell.send(()).expect("the test listens");
        let _ = gate.lock().expect("nobody panics with it").recv();
    };
    let app = move |_| {
        let app = App::new(Limits::default(), BlockingPool::new(1), Arc::new(Stats::default()));
        let app = app.get("/ping", async |_: Request| -> Answer { Ok(json(&"pong")) });
        if blocks_the_loop {
            app.get("/gate", move |_| {
                let wait = wait.clone();
                async move {
                    wait();
                    Ok(json(&"through"))
                }
            })
        } else {
            app.get("/gate", move |_: Request| -> Answer {
                wait();
                Ok(json(&"through"))
            })
        }
    };
    (Background::start(app).expect("a port is free"), runs, let_go)
}

// ANCHOR: frozen
/// While an `async` handler blocks, the next client is connected, and its request is in the
/// kernel's buffer. Nobody reads it.
#[test]
fn a_handler_that_blocks_the_loop_freezes_every_other_client() {
    let (server, runs, let_go) = gated(true);
    let first = connect(server.address());
    send(&first, "/gate");
    runs.recv_timeout(PATIENCE).expect("the handler runs");
    let second = connect(server.address());
    send(&second, "/ping");
    second.set_read_timeout(Some(Duration::from_millis(200))).expect("it is not zero");
    let unheard = (&second).read(&mut [0; 1]);
    assert!(unheard.is_err(), "nobody answers while the handler runs: {unheard:?}");
    let_go.send(()).expect("the handler waits");
    second.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    assert!(answer(second).ends_with("\"pong\""), "and now it is answered");
    assert!(answer(first).ends_with("\"through\""));
}
// ANCHOR_END: frozen

#[test]
fn a_handler_that_blocks_a_thread_of_the_pool_freezes_nobody() {
    let (server, runs, let_go) = gated(false);
    let first = connect(server.address());
    send(&first, "/gate");
    runs.recv_timeout(PATIENCE).expect("the handler runs");
    let second = connect(server.address());
    send(&second, "/ping");
    assert!(answer(second).ends_with("\"pong\""), "it is answered while the handler runs");
    let_go.send(()).expect("the handler waits");
    assert!(answer(first).ends_with("\"through\""));
}

/// A time-out is a timer, and the loop serves it. Who keeps the loop is not interrupted by it.
#[test]
fn a_time_out_ends_a_handler_that_awaits_and_not_one_that_blocks() {
    let limits = Limits { request_timeout: Duration::from_millis(20), ..Limits::default() };
    let server = server(limits);
    let status = |path: &str| {
        let stream = connect(server.address());
        send(&stream, path);
        answer(stream).lines().next().map(str::to_owned)
    };
    let seen = [
        status("/perfect-ping?seconds=50"),
        status("/good-ping?seconds=0.5"),
        status("/terrible-ping?seconds=0.5"),
    ];
    let seen: Vec<&str> = seen.iter().flatten().map(String::as_str).collect();
    let (late, whole) = ("HTTP/1.1 503 Service Unavailable", "HTTP/1.1 200 OK");
    assert_eq!(seen, [late, late, whole]);
}

/// The promises of the running program: a heartbeat comes at once, and a number is answered.
#[test]
fn a_heartbeat_is_there_at_once_and_a_number_is_answered() {
    let server = server(Limits::default());
    let events = connect(server.address());
    send(&events, "/events?seconds=60");
    let mut events = std::io::BufReader::new(events);
    let beat = std::io::BufRead::lines(&mut events)
        .map(|line| line.expect("the server sends UTF-8"))
        .find(|line| line.starts_with("data: "));
    assert!(beat.is_some_and(|beat| beat.contains("\"beat\":1")));
    let stream = connect(server.address());
    send(&stream, "/fib/30");
    assert!(answer(stream).contains("\"value\":832040"));
}

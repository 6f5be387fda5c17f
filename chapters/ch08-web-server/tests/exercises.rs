//! The exercises of this chapter's page. Each test fails until you have solved its exercise.
//!
//! `cargo test -p ch08-web-server --test exercises -- --ignored NAME_OF_TEST`

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use ch08_web_server::{Answer, App, Background, BlockingPool, Limits, Request, Stats, json};
use lab::inside::PATIENCE;

/// Sends a request, and does not wait for the answer.
fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers, and closes");
    answer
}

#[test]
#[ignore = "exercise: a pool whose queue is full refuses at once"]
fn a_pool_whose_queue_is_full_refuses_at_once() {
    let (tell, runs) = mpsc::channel();
    let (let_go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let pool = BlockingPool::new(2);
    let its_pool = pool.clone();
    let app = move |_| {
        let app = App::new(Limits::default(), its_pool, Arc::new(Stats::default()));
        app.get("/gate", move |_: Request| -> Answer {
            tell.send(()).expect("the test listens");
            let _ = gate.lock().expect("nobody panics with it").recv_timeout(PATIENCE);
            Ok(json(&"through"))
        })
    };
    let server = Background::start(app).expect("a port is free");
    let mut clients: Vec<TcpStream> = Vec::new();
    for expected in 1..=4 {
        clients.push(ask(server.address(), "/gate"));
        while pool.taken() + pool.waiting() < expected {
            std::thread::yield_now();
        }
    }
    let fifth = ask(server.address(), "/gate");
    fifth.set_read_timeout(Some(PATIENCE / 10)).expect("it is not zero");
    let mut refused = String::new();
    let heard = (&fifth).read_to_string(&mut refused);
    for _ in 0..5 {
        let _ = let_go.send(()); // else nothing would end, whatever was answered
    }
    assert!(heard.is_ok(), "2 tokens, 2 that wait: the fifth is answered before a token is free");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: "), "{refused}");
    for client in clients {
        assert!(answer(client).starts_with("HTTP/1.1 200"), "the others are answered");
    }
    assert_eq!(runs.iter().take(4).count(), 4);
}

#[test]
#[ignore = "exercise: a handler that keeps the loop is named"]
fn a_handler_that_keeps_the_loop_is_named() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_ch08-web-server"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo built it");
    let mut line = String::new();
    let stdout = server.stdout.take().expect("it was asked for as a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
        .expect("it tells its address");
    let address = line.trim().trim_start_matches("http://").trim_end_matches('/');
    let address: SocketAddr = address.parse().expect("it is an address");
    for path in
        ["/perfect-ping?seconds=0.3", "/good-ping?seconds=0.3", "/terrible-ping?seconds=0.3"]
    {
        assert!(answer(ask(address, path)).starts_with("HTTP/1.1 200"), "{path}");
    }
    server.kill().expect("it runs");
    let output = server.wait_with_output().expect("it was killed");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.contains("/terrible-ping"), "{complaints:?}");
    assert!(!complaints.contains("/perfect-ping"), "its polls are short: {complaints:?}");
    assert!(!complaints.contains("/good-ping"), "it keeps a thread: {complaints:?}");
}

//! The parts, on plain figures and on processes that only tell an address. The servers themselves
//! are tested by `peers/run --check`, since it takes builds of all of them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use reqwest::Url;

use crate::load::Client;
use crate::measure::{Route, Seen, Watched};
use crate::options::{Options, Part};
use crate::process::{CpuTime, Process, cpu_time, resident};
use crate::servers::{self, Server};
use crate::shapes::{self, Verdict};
use crate::table::{head, line, median, ratios, spread};

/// Answers so many requests of each connection, and then ends. Returns its address.
fn answers(connections: usize, requests: usize, answer: &'static str) -> Url {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it listens").port();
    thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            thread::spawn(move || {
                let mut stream = stream.expect("a client connects");
                for _ in 0..requests {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).expect("a request comes");
                        request.push(byte[0]);
                    }
                    assert!(request.starts_with(b"GET /ping HTTP/1.1\r\n"));
                    stream.write_all(answer.as_bytes()).expect("the client reads");
                }
            });
        }
    });
    Url::parse(&format!("http://127.0.0.1:{port}/")).expect("it is an address")
}

#[test]
fn each_connection_carries_a_request_of_each_wave() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"pong\":true}";
    let mut client = Client::new(&answers(3, 5, answer)).expect("the address is an address");
    client.connect(3).expect("it answers three connections");
    client.waves(4).expect("it answers four more requests on each");
    client.waves(1).expect_err("and then it closes them");
}

#[test]
fn an_answer_that_is_no_pong_is_an_error() {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 13\r\n\r\n{\"pong\":true}";
    let mut client = Client::new(&answers(1, 1, answer)).expect("the address is an address");
    let error = client.connect(1).expect_err("it is refused").to_string();
    assert!(error.contains("503"), "{error}");
}

fn shell(script: &str) -> std::io::Result<Process> {
    Process::start(Command::new("sh").args(["-c", script]))
}

#[test]
fn a_server_that_is_dropped_has_ended() {
    let server = shell("echo http://127.0.0.1:7/ && exec sleep 60").expect("it tells an address");
    assert_eq!(server.url.as_str(), "http://127.0.0.1:7/");
    let folder = format!("/proc/{}", server.id());
    assert!(Path::new(&folder).exists());
    drop(server);
    assert!(!Path::new(&folder).exists());
}

#[test]
fn a_server_that_tells_no_address_is_an_error() {
    for script in ["echo hello", "exit 1"] {
        let error = shell(script).expect_err("it tells none").to_string();
        assert!(error.contains("address"), "{error}");
    }
}

/// A process of one thread that has done what `script` does: so no thread ends while it is
/// measured, as those of other tests would in this process. Its CPU time and its memory.
fn measured(script: &str) -> (CpuTime, f64) {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{script}; echo done; read line")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell is there");
    let mut output = BufReader::new(child.stdout.take().expect("it was asked for as a pipe"));
    output.read_line(&mut String::new()).expect("it says when it has done it");
    let seen = (cpu_time(child.id()), resident(child.id()));
    drop(child.stdin.take()); // ends it
    child.wait().expect("it is our child");
    (seen.0.expect("Linux tells"), seen.1.expect("Linux tells"))
}

#[test]
fn what_a_process_computes_and_touches_is_seen() {
    const TOUCHED: usize = 16 << 20;

    let (cpu, memory) = measured("true");
    let (more_cpu, more_memory) =
        measured(&format!("text=$(head -c {TOUCHED} /dev/zero | tr '\\0' x)"));
    assert!(more_memory - memory > 0.9 * TOUCHED as f64, "{memory} {more_memory}");
    assert!(more_cpu.used > cpu.used, "{cpu:?} {more_cpu:?}");
}

#[test]
fn a_cell_has_the_median_and_the_lowest_and_the_highest() {
    assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median([]), None);
    assert_eq!(ratios(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
    assert_eq!(spread(&[1.0, 1.204, 1.1]), "1.10 (1.00–1.20)");
    assert_eq!(spread(&[12.04]), "12.0");
    assert_eq!(head(&["a"], &["b", "c"]), "| a | b | c |\n|---|--:|--:|\n");
    assert_eq!(line(["x".to_owned(), "1".to_owned()]), "| x | 1 |\n");
}

fn parse(arguments: &str) -> Option<Options> {
    Options::parse(arguments.split_whitespace().map(OsString::from)).ok().flatten()
}

#[test]
fn without_a_python_no_fastapi_is_started() {
    let options = parse("--check pings").expect("it is well formed");
    assert!(options.does(Part::Pings) && !options.does(Part::Costs));
    assert_eq!(servers::all(&options), [Server::Hyper, Server::Ours, Server::Axum]);
    let options = parse("--python python3").expect("it is well formed");
    assert!(options.does(Part::Pings) && options.does(Part::Costs));
    assert_eq!(servers::with_pings(&options).len(), 4);
    assert_eq!(parse("--fast"), None);
    assert_eq!(parse("memory"), None);
}

/// What 100 clients saw: 40 of them after each of these times, in ms, and 20 after the last.
fn good(stairs: [u64; 3], new_threads: usize, late: u64) -> Seen {
    let latencies = stairs.iter().flat_map(|ms| [Duration::from_millis(*ms); 40]).take(100);
    Seen {
        wait: Duration::from_millis(100),
        wall: Duration::from_millis(stairs[2]),
        latencies: latencies.collect(),
        errors: Vec::new(),
        longest_gap: Duration::from_millis(12),
        watched: Watched {
            threads: Some((1, 1 + new_threads)),
            memory: Some(1),
            late: Duration::from_millis(late),
            ..Watched::default()
        },
    }
}

fn wrong(server: Server, rounds: &[Seen]) -> Vec<Verdict> {
    let shapes = shapes::of(Route::Good).iter();
    let judged = shapes.map(|shape| shape.judge(server, Route::Good, rounds));
    judged.filter(|verdict| *verdict != Verdict::Holds).collect()
}

#[test]
fn a_staircase_of_40_has_its_shape_in_fastapi_and_not_in_axum() {
    let rounds = [good([101, 202, 303], 40, 1)];
    assert_eq!(wrong(Server::FastApiUvloop, &rounds), []);
    assert_eq!(wrong(Server::Ours, &rounds), []);
    let wrong = wrong(Server::Axum, &rounds);
    assert!(
        wrong.iter().all(|one| matches!(one, Verdict::Wrong(_))) && wrong.len() == 2,
        "{wrong:?}"
    );
}

#[test]
fn what_load_can_hide_is_judged_by_the_best_round_and_a_limit_by_the_worst() {
    let (calm, hidden) = (good([101, 202, 303], 40, 1), good([101, 202, 303], 31, 1));
    assert_eq!(wrong(Server::FastApiUvloop, &[hidden.clone(), calm.clone()]), []);
    assert!(matches!(wrong(Server::FastApiUvloop, &[hidden])[..], [Verdict::Wrong(_)]));
    let too_many = good([101, 202, 303], 41, 1);
    assert!(matches!(wrong(Server::FastApiUvloop, &[calm, too_many])[..], [Verdict::Wrong(_)]));
}

#[test]
fn on_a_busy_machine_what_load_can_hide_is_not_judged() {
    let hidden = good([101, 202, 303], 31, 200);
    assert!(matches!(wrong(Server::FastApiUvloop, &[hidden])[..], [Verdict::NotJudged(_)]));
    let too_many = good([101, 202, 303], 41, 200);
    assert!(matches!(wrong(Server::FastApiUvloop, &[too_many])[..], [Verdict::Wrong(_)]));
}

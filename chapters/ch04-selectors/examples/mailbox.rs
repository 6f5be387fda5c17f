//! HTTP/1.1 by hand, over a socket: a request is some lines of text, and so is the answer.
//!
//! "A socket is a mailbox." Two requests are sent in one write. Predict how many reads it takes to
//! get the two answers, with a buffer of one byte, of 64, and of 4096. And predict what tells where
//! one answer ends.
//!
//! `cargo run -q -p ch04-selectors --example mailbox`

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Report};
use lab::late_server::LateServer;

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "mailbox");

const BODY: &str = "A page.\n\r\nThis is no new head.";

// ANCHOR: request
/// Two letters in one envelope: nothing but the empty line says where the first one ends.
const REQUESTS: &[u8] =
    b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n";
// ANCHOR_END: request

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: String,
    body: String,
}

// ANCHOR: answer
/// The bytes that have come and belong to no answer yet.
#[derive(Default)]
struct Pocket(Vec<u8>);

impl Pocket {
    /// The first answer, if all of it has come. What comes behind it stays.
    fn answer(&mut self) -> Option<Answer> {
        let end_of_head = self.0.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.0[..end_of_head]).into_owned();
        let mut lines = head.lines();
        let status = lines.next()?.to_owned();
        let length: usize = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())?;
        let body = self.0.get(end_of_head..end_of_head + length)?; // or it has not come yet
        let body = String::from_utf8_lossy(body).into_owned();
        self.0.drain(..end_of_head + length);
        Some(Answer { status, body })
    }
}
// ANCHOR_END: answer

/// What was read.
struct Received {
    reads: usize,
    answers: Vec<Answer>,
    /// In one read there was the end of an answer and the beginning of the next one.
    shared: bool,
    bytes: usize,
}

/// Asks for two pages, and reads with a buffer of a size.
fn two_pages(server: &LateServer, size: usize) -> io::Result<Received> {
    let mut socket = TcpStream::connect(server.address())?;
    socket.write_all(REQUESTS)?;
    wait_for_all(&socket, PATIENCE)?;
    let mut received = Received { reads: 0, answers: Vec::new(), shared: false, bytes: 0 };
    let (mut pocket, mut buffer) = (Pocket::default(), vec![0; size]);
    while received.answers.len() < 2 {
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received.reads += 1;
        received.bytes += length;
        pocket.0.extend_from_slice(&buffer[..length]);
        let before = received.answers.len();
        received.answers.extend(std::iter::from_fn(|| pocket.answer()));
        let is_first_complete = before == 0 && !received.answers.is_empty();
        received.shared |=
            is_first_complete && (received.answers.len() > 1 || !pocket.0.is_empty());
    }
    Ok(received)
}

/// A server that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until both answers lie in the socket, so that the number of reads depends on the buffer alone.
fn wait_for_all(socket: &TcpStream, patience: Duration) -> io::Result<()> {
    let (start, mut seen) = (Instant::now(), [0; 4096]);
    socket.set_read_timeout(Some(PATIENCE))?;
    loop {
        let length = socket.peek(&mut seen)?;
        let mut pocket = Pocket(seen[..length].to_vec());
        if length == 0 || std::iter::from_fn(|| pocket.answer()).count() == 2 {
            return Ok(());
        }
        if start.elapsed() >= patience {
            return Err(io::ErrorKind::TimedOut.into()); // a part has come, and nothing else comes
        }
        thread::yield_now();
    }
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("as many reads as the buffer asks for; the same two answers each time")?;
    let server = LateServer::start(Duration::from_millis(20), BODY)?;
    for line in String::from_utf8_lossy(REQUESTS).split_inclusive('\n') {
        report.say(format_args!("{line:?}"))?; // with its line end
    }
    report.say(format_args!(
        "\n{:>8}{:>8}{:>8}{:>9}{:>8}",
        "buffer", "bytes", "reads", "answers", "shared"
    ))?;
    let mut answers = Vec::new();
    for size in [1, 64, 4096] {
        let received = two_pages(&server, size)?;
        let (bytes, reads, count) = (received.bytes, received.reads, received.answers.len());
        let shared = if received.shared { "yes" } else { "no" };
        report.say(format_args!("{size:>8}{bytes:>8}{reads:>8}{count:>9}{shared:>8}"))?;
        answers = received.answers;
    }
    let Answer { status, body } = &answers[0];
    report.say(format_args!("\nthe first answer: {status:?}, {body:?}"))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn received(size: usize) -> Received {
        let server = LateServer::start(Duration::ZERO, BODY).expect("a port is free");
        two_pages(&server, size).expect("it answers")
    }

    #[test]
    fn the_answers_are_the_same_however_the_bytes_are_cut() {
        let page = Answer { status: "HTTP/1.1 200 OK".into(), body: BODY.into() };
        for size in [1, 7, 64, 4096] {
            assert_eq!(received(size).answers, [page.clone(), page.clone()], "{size}");
        }
    }

    #[test]
    fn one_read_may_hold_two_letters_or_a_part_of_one() {
        let small = received(64);
        assert_eq!(small.reads, small.bytes.div_ceil(64));
        let large = received(4096);
        assert_eq!(large.reads, 1);
        assert!(large.shared);
    }

    /// The server is gone, and what it has said stays to be seen.
    #[test]
    fn a_part_of_an_answer_is_not_waited_for_without_end() {
        let server = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = server.local_addr().expect("it is bound");
        let client = TcpStream::connect(address).expect("it listens");
        let (mut peer, _) = server.accept().expect("one has connected");
        peer.write_all(b"HTTP/1.1 200 OK\r\n").expect("there is room");
        drop(peer);
        let waited = wait_for_all(&client, Duration::ZERO).map_err(|error| error.kind());
        assert_eq!(waited, Err(io::ErrorKind::TimedOut));
    }

    #[test]
    fn an_empty_line_in_a_body_ends_nothing() {
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len());
        let mut pocket = Pocket::default();
        for byte in text.bytes() {
            assert_eq!(pocket.answer(), None);
            pocket.0.push(byte);
        }
        assert_eq!(pocket.answer().map(|answer| answer.body), Some(BODY.to_owned()));
        assert!(pocket.0.is_empty());
    }
}

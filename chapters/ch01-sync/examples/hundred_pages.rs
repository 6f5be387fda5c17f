//! A hundred pages, one after the other.
//!
//! A server takes a while for each page, however many it has to give. Predict how many of these
//! delays 100 pages take in a program with one thread; and whether it helps to keep the
//! connection. "One second instead of 100", promises a text to who overlaps them: chapter 7 does.
//!
//! `cargo run -p ch01-sync --example hundred_pages`

#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Judgement, Report};
use lab::late_server::LateServer;

const EXPERIMENT: Experiment = Experiment::new("ch01-sync", "hundred_pages");

/// Asks for a page, and blocks until all of it is there.
fn get(stream: &mut BufReader<TcpStream>, number: usize) -> io::Result<String> {
    let request = format!("GET /{number} HTTP/1.1\r\nHost: late\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().map_err(io::Error::other)?,
            None if line == "\r\n" => break,
            None if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {} // the status, and other headers
        }
    }
    let mut page = vec![0; length];
    stream.read_exact(&mut page)?;
    String::from_utf8(page).map_err(io::Error::other)
}

fn connect(server: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

// ANCHOR: pages
fn a_connection_each(server: SocketAddr, pages: usize) -> io::Result<Vec<String>> {
    (0..pages).map(|number| get(&mut connect(server)?, number)).collect()
}

fn one_connection(server: SocketAddr, pages: usize) -> io::Result<Vec<String>> {
    let mut stream = connect(server)?;
    (0..pages).map(|number| get(&mut stream, number)).collect()
}
// ANCHOR_END: pages

type Fetch = fn(SocketAddr, usize) -> io::Result<Vec<String>>;

struct Run {
    pages: usize,
    /// How long it took, in delays.
    delays: f64,
    /// The most requests that the server had at once.
    at_once: usize,
}

fn run(fetch: Fetch, pages: usize, delay: Duration) -> io::Result<Run> {
    let server = LateServer::start(delay, "a page")?;
    let start = Instant::now();
    let pages = fetch(server.address(), pages)?.len();
    let delays = start.elapsed().as_secs_f64() / delay.as_secs_f64();
    Ok(Run { pages, delays, at_once: server.most_in_flight() })
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    const PAGES: usize = 100;
    const DELAY: Duration = Duration::from_millis(20);

    report.expects("100 delays and a little more, with any number of connections")?;
    let (mut least, mut most_at_once) = (f64::INFINITY, 0);
    for (name, fetch) in
        [("a connection each", a_connection_each as Fetch), ("one", one_connection)]
    {
        let Run { pages, delays, at_once } = run(fetch, PAGES, DELAY)?;
        report
            .say(format_args!("{name:18} {pages} pages, {delays:.1} delays, at once: {at_once}"))?;
        (least, most_at_once) = (least.min(delays), most_at_once.max(at_once));
    }
    report.say("")?;
    let is_in_turn = least >= PAGES as f64 && most_at_once == 1;
    let judged = Judgement::of(is_in_turn, || format!("{most_at_once} pages at once"));
    report.claim("C90", least, "delays, one page after the other", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_the_other_each_page_takes_its_delay() {
        for fetch in [a_connection_each as Fetch, one_connection] {
            let run = run(fetch, 10, Duration::from_millis(10)).expect("loopback works");
            assert_eq!((run.pages, run.at_once), (10, 1));
            assert!(run.delays >= 10.0, "{}", run.delays);
        }
    }
}

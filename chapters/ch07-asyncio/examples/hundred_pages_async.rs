//! A hundred pages from a server that takes its time: all at once, and ten at a time.
//!
//! The server answers each request after a delay d, however many it has. Predict how many d it
//! takes to get 100 pages with one task for each page, and with 10 tasks that share the work. And
//! how many threads all of this has.
//!
//! `cargo run -p ch07-asyncio --example hundred_pages_async`

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{JoinHandle, Runtime, TcpListener, TcpStream, sleep, spawn};

const PAGES: usize = 100;

/// How long the server takes for one page.
const DELAY: Duration = Duration::from_millis(200);

/// The longest request or page, in bytes.
const MESSAGE_MAX: usize = 64;

// ANCHOR: server
/// Requests that were read and not yet answered: now, and at most.
#[derive(Default)]
struct InFlight {
    now: Cell<usize>,
    most: Cell<usize>,
}

/// Answers each connection in a task of its own.
async fn serve(listener: TcpListener, delay: Duration, in_flight: Rc<InFlight>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        spawn(answer(stream, delay, Rc::clone(&in_flight)));
    }
}

async fn answer(stream: TcpStream, delay: Duration, in_flight: Rc<InFlight>) -> io::Result<()> {
    let number = read_to_end(&stream).await?;
    in_flight.now.set(in_flight.now.get() + 1);
    in_flight.most.set(in_flight.most.get().max(in_flight.now.get()));
    sleep(delay).await;
    in_flight.now.set(in_flight.now.get() - 1);
    stream.write_all(format!("page {number}").as_bytes()).await
}
// ANCHOR_END: server

// ANCHOR: client
/// One page. Each side ends its message by closing its direction.
async fn get(address: SocketAddr, number: usize) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    stream.write_all(number.to_string().as_bytes()).await?;
    stream.shutdown(Shutdown::Write)?;
    read_to_end(&stream).await
}

async fn read_to_end(stream: &TcpStream) -> io::Result<String> {
    let (mut message, mut length) = ([0; MESSAGE_MAX], 0);
    loop {
        match stream.read(&mut message[length..]).await? {
            0 if length == MESSAGE_MAX => return Err(io::ErrorKind::FileTooLarge.into()),
            0 => return Ok(String::from_utf8_lossy(&message[..length]).into_owned()),
            more => length += more,
        }
    }
}
// ANCHOR_END: client

// ANCHOR: workers
type Pages = Rc<RefCell<Vec<String>>>;

/// Gets pages until no number is left.
async fn work(
    address: SocketAddr,
    numbers: Rc<RefCell<impl Iterator<Item = usize>>>,
    pages: Pages,
) -> io::Result<()> {
    loop {
        let Some(number) = numbers.borrow_mut().next() else { return Ok(()) };
        let page = get(address, number).await?;
        pages.borrow_mut().push(page);
    }
}

/// Gets all pages with this many tasks. So many requests are in flight at most: a worker that waits
/// for its page asks for no other one.
async fn get_all(address: SocketAddr, workers: usize) -> io::Result<Vec<String>> {
    let (numbers, pages) = (Rc::new(RefCell::new(0..PAGES)), Pages::default());
    let spawn_one = |_| spawn(work(address, Rc::clone(&numbers), Rc::clone(&pages)));
    let tasks: Vec<JoinHandle<_>> = (0..workers).map(spawn_one).collect();
    for task in tasks {
        task.await.expect("nobody aborts it, and it does not panic")?;
    }
    Ok(pages.take())
}
// ANCHOR_END: workers

// ANCHOR: measure
struct Run {
    pages: Vec<String>,
    /// How long it took, in delays.
    delays: f64,
    /// The most requests that the server had at once.
    in_flight: usize,
}

fn measure(workers: usize, delay: Duration) -> io::Result<Run> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let (address, in_flight) = (listener.local_addr()?, Rc::new(InFlight::default()));
        spawn(serve(listener, delay, Rc::clone(&in_flight)));
        let start = Instant::now();
        let pages = get_all(address, workers).await?;
        let delays = start.elapsed().as_secs_f64() / delay.as_secs_f64();
        Ok(Run { pages, delays, in_flight: in_flight.most.get() })
    })
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{PAGES} pages, each after d = {DELAY:?}; client and server on one thread")?;
    writeln!(out, "{:>7}{:>12}{:>21}", "tasks", "took", "in flight at most")?;
    for workers in [PAGES, 10] {
        let Run { pages, delays, in_flight } = measure(workers, DELAY)?;
        assert_eq!(pages.len(), PAGES);
        writeln!(out, "{workers:>7}{delays:>10.1} d{in_flight:>21}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("hundred_pages_async", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(workers: usize, delay: Duration) -> Run {
        measure(workers, delay).expect("loopback can be used")
    }

    #[test]
    fn every_page_comes_once() {
        let mut pages = run(10, Duration::from_millis(1)).pages;
        pages.sort();
        let mut expected: Vec<String> = (0..PAGES).map(|n| format!("page {n}")).collect();
        expected.sort();
        assert_eq!(pages, expected);
    }

    #[test]
    fn with_a_task_for_each_page_all_are_in_flight_at_once() {
        // Long enough for a hundred connections to be made meanwhile, on a machine that is busy.
        let run = run(PAGES, Duration::from_secs(1));
        assert_eq!(run.in_flight, PAGES);
        assert!((1.0..5.0).contains(&run.delays), "{} d", run.delays);
    }

    #[test]
    fn with_ten_tasks_there_are_never_more_than_ten() {
        let run = run(10, Duration::from_millis(100));
        assert_eq!(run.in_flight, 10);
        assert!(run.delays >= 10.0, "{} d", run.delays);
    }
}

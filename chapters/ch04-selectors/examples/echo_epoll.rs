//! 8,000 connections, and one thread that answers them all.
//!
//! The server is this process: an epoll(7) loop that sends back what it reads. The clients are in a
//! process of their own. Predict how many calls into the kernel one echo costs the server, and how
//! much memory of its own a connection takes.
//!
//! `cargo run -q -p ch04-selectors --example echo_epoll`

#![forbid(unsafe_code)]

mod epoll;
mod limit;

use std::collections::HashMap;
use std::env;
#[cfg(test)]
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use epoll::{Epoll, Trigger};
use lab::cpu_time;
use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::Memory;
#[cfg(not(test))]
use lab::proc::threads;

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "echo_epoll");

const CONNECTIONS: usize = 8_000;

/// Descriptors of a process that are no connections.
const OTHERS: usize = 100;

/// So many connect before one of them makes sure that all are accepted: fewer than a backlog.
const BATCH: usize = 100;

const MESSAGE: [u8; 16] = *b"sixteen letters.";

/// How often each connection sends its message, when all are open.
const ROUNDS: usize = 3;

// ANCHOR: connection
struct Connection {
    stream: TcpStream,
    /// What was read and could not be written yet.
    pending: Vec<u8>,
}

/// How often the kernel was called.
#[derive(Debug, Default, Clone, Copy)]
struct Calls {
    waits: usize,
    reads: usize,
    writes: usize,
}

impl Connection {
    /// Echoes until there is nothing to read, or no room to write. False at its end.
    fn advance(&mut self, calls: &mut Calls) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        loop {
            while !self.pending.is_empty() {
                calls.writes += 1;
                match self.stream.write(&self.pending) {
                    Ok(written) => drop(self.pending.drain(..written)),
                    // It is reported again when there is room. Until then nothing is read.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                    Err(error) => return Err(error),
                }
            }
            calls.reads += 1;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(length) => self.pending.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }
}
// ANCHOR_END: connection

/// What was seen of a run.
#[derive(Debug, Default)]
struct Seen {
    most_open: usize,
    echoed: usize,
    calls: Calls,
    threads: usize,
    /// Of the server's own memory, in bytes, for all connections.
    grown: u64,
    on_cpu: Duration,
    took: Duration,
    /// Why the clients could not connect, if so: then nothing can be said.
    refused: Option<String>,
}

const LISTENER: u64 = 0;
const CLIENTS: u64 = 1;

/// Serves until the process of the clients has ended.
fn serve(listener: &TcpListener, clients: &mut ChildStdout) -> io::Result<Seen> {
    let (mut seen, mut told) = (Seen::default(), String::new());
    let mut open = HashMap::new();
    let mut keys = CLIENTS + 1..;
    let mut epoll = Epoll::new()?;
    epoll.add(listener, LISTENER, Trigger::Level)?;
    epoll.add(&*clients, CLIENTS, Trigger::Level)?;
    let before = Memory::now()?.resident;
    let mut calls = Calls::default();
    loop {
        calls.waits += 1;
        for key in epoll.wait(None)? {
            match key {
                LISTENER => {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    let key = keys.next().expect("there are more keys than connections");
                    epoll.add(&stream, key, Trigger::EdgeBoth)?;
                    open.insert(key, Connection { stream, pending: Vec::new() });
                }
                CLIENTS => {
                    let mut chunk = [0; 256];
                    let length = clients.read(&mut chunk)?;
                    if length == 0 {
                        seen.refused = said(&told, REFUSED).map(str::to_owned);
                        return Ok(seen);
                    }
                    told += &String::from_utf8_lossy(&chunk[..length]);
                    if told.contains(OPEN) && seen.most_open == 0 {
                        seen.most_open = open.len();
                        seen.threads = threads()?;
                        calls = Calls::default(); // those of the rounds are counted
                    }
                    if told.contains(ECHOED) && seen.echoed == 0 {
                        let echoed = said(&told, ECHOED).and_then(|number| number.parse().ok());
                        seen.echoed = echoed.unwrap_or(0);
                        seen.calls = calls; // without those that find the connections closed
                        seen.grown = Memory::now()?.resident.saturating_sub(before);
                    }
                }
                key => {
                    let advanced = open.get_mut(&key).map(|one| one.advance(&mut calls));
                    if !matches!(advanced, Some(Ok(true))) {
                        open.remove(&key); // closes it; what is wrong with one harms no other
                    }
                }
            }
        }
    }
}

/// The process of the clients. Dropped, it is ended.
struct Clients(Child);

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Set for the process of the clients: where to connect, and how often.
const ADDRESS: &str = "ECHO_EPOLL_ADDRESS";
const COUNT: &str = "ECHO_EPOLL_COUNT";

/// What they write when all connections are open, at their end, and where there can be no more.
const OPEN: &str = "= open ";
const ECHOED: &str = "= echoed ";
const REFUSED: &str = "= refused ";

fn said<'a>(told: &'a str, name: &str) -> Option<&'a str> {
    told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn run(count: usize) -> io::Result<Seen> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut command = Command::new(env::current_exe()?);
    command.args(ARGUMENTS).stdin(Stdio::null()).stdout(Stdio::piped());
    command.env(ADDRESS, listener.local_addr()?.to_string()).env(COUNT, count.to_string());
    let (start, before) = (Instant::now(), cpu_time::of_thread()?);
    let mut clients = Clients(command.spawn()?);
    let mut output = clients.0.stdout.take().expect("it is piped");
    let seen = serve(&listener, &mut output)?;
    let on_cpu = cpu_time::of_thread()?.saturating_sub(before);
    let took = start.elapsed();
    clients.0.wait()?;
    Ok(Seen { on_cpu, took, ..seen })
}

/// Opens all connections, then sends on all of them, then reads from all of them.
fn be_the_clients(address: &str) -> io::Result<()> {
    const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let count = env::var(COUNT).ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut streams = Vec::new();
    for number in 1..=count {
        let refused = |error: &io::Error| println!("\n{REFUSED}{error}");
        let mut stream = TcpStream::connect(address).inspect_err(refused)?;
        stream.set_read_timeout(PATIENCE)?;
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?; // leaves nothing
        if number % BATCH == 0 || number == count {
            stream.write_all(&MESSAGE)?;
            stream.read_exact(&mut [0; MESSAGE.len()])?; // those before it are accepted as well
        }
        streams.push(stream);
    }
    println!("\n{OPEN}{count}");
    let mut echoed = 0;
    for _ in 0..ROUNDS {
        for stream in &mut streams {
            stream.write_all(&MESSAGE)?;
        }
        for stream in &mut streams {
            let mut echo = [0; MESSAGE.len()];
            stream.read_exact(&mut echo)?;
            echoed += usize::from(echo == MESSAGE);
        }
    }
    println!("\n{ECHOED}{echoed}");
    Ok(())
}

/// How many calls an echo took, and whether they are as expected. The waits are not judged: how
/// many echoes one of them reports depends on who is quicker, the clients or the server.
fn calls_an_echo(seen: &Seen) -> (f64, Judgement) {
    let Calls { waits, reads, writes } = seen.calls;
    let an_echo = |calls: usize| calls as f64 / seen.echoed.max(1) as f64;
    let judged = Judgement::of((2.9..3.1).contains(&an_echo(reads + writes)), || {
        format!("{reads} reads and {writes} writes for {} echoes", seen.echoed)
    });
    (an_echo(waits + reads + writes), judged)
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("all are answered by one thread, with three calls an echo")?;
    let count = CONNECTIONS.min(limit::raise().saturating_sub(OTHERS));
    let seen = run(count)?;
    report.say(format_args!("connections open at once   {}", seen.most_open))?;
    report.say(format_args!("threads of the server      {}", seen.threads))?;
    report.say(format_args!("echoes                     {}", seen.echoed))?;
    if let Some(bytes) = seen.grown.checked_div(seen.most_open as u64) {
        report.say(format_args!("its memory, a connection   {bytes} bytes"))?;
    }
    let Calls { waits, reads, writes } = seen.calls;
    report.say(format_args!(
        "its calls in the rounds    {waits} waits, {reads} reads, {writes} writes"
    ))?;
    report.say(format_args!("it took {:.1?}, and {:.1?} of a CPU\n", seen.took, seen.on_cpu))?;
    let all_answered = seen.most_open == count && seen.echoed == count * ROUNDS;
    let judged = Judgement::of(all_answered && seen.threads == 1, || format!("{seen:?}"));
    let too_few = (count < CONNECTIONS).then(|| "the limit on descriptors".to_owned());
    let (reason, open) = (seen.refused.clone().or(too_few), seen.most_open as f64);
    report.claim("C12", open, "connections, one thread", judged.unless(reason.clone()))?;
    let (calls, judged) = calls_an_echo(&seen);
    report.claim("C16", calls, "calls into the kernel for each echo", judged.unless(reason))
}

/// What the clients are started with: the program itself needs nothing.
#[cfg(not(test))]
const ARGUMENTS: &[&str] = &[];

fn main() -> ExitCode {
    if let Ok(address) = env::var(ADDRESS) {
        return match be_the_clients(&address) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the clients: {error}");
                ExitCode::FAILURE
            }
        };
    }
    EXPERIMENT.main(measure)
}

/// A test program is told which test is the one that plays the clients.
#[cfg(test)]
const ARGUMENTS: &[&str] = &["--exact", "tests::the_clients", "--nocapture"];

/// The process of a test has threads for other tests. But a thread that is started without a name
/// gets that of its starter: so those with the name of this one are counted, it included.
#[cfg(test)]
fn threads() -> io::Result<usize> {
    let own = lab::proc::read("/proc/thread-self/comm")?;
    let name =
        |task: io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("comm")).ok();
    Ok(fs::read_dir("/proc/self/task")?.filter_map(name).filter(|name| *name == own).count())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const FEW: usize = 300;

    /// The process of the clients is started from this test program.
    #[test]
    fn the_clients() {
        if let Ok(address) = env::var(ADDRESS) {
            be_the_clients(&address).expect("whoever started them serves");
        }
    }

    #[test]
    fn one_thread_answers_all_that_are_open_and_each_echo_passes_the_kernel() {
        if limit::raise() < FEW + OTHERS {
            return Judgement::NotJudged("the limit on descriptors".into()).assert();
        }
        let seen = run(FEW).expect("a port and a process are free");
        assert_eq!(seen.refused, None);
        assert_eq!((seen.most_open, seen.echoed), (FEW, FEW * ROUNDS));
        assert_eq!(seen.threads, 1);
        calls_an_echo(&seen).1.assert();
    }

    #[test]
    fn what_does_not_fit_waits_in_the_connection() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let mut client = TcpStream::connect(address).expect("it listens");
        let (stream, _) = listener.accept().expect("one has connected");
        stream.set_nonblocking(true).expect("a socket can be");
        let mut one = Connection { stream, pending: vec![b'x'; 32 << 20] };
        assert!(one.advance(&mut Calls::default()).is_ok_and(|is_open| is_open));
        assert!(!one.pending.is_empty(), "nobody reads, so there is no room for all of it");
        client.write_all(b"unread").expect("there is room");
        let mut calls = Calls::default();
        assert!(one.advance(&mut calls).is_ok_and(|is_open| is_open));
        assert_eq!(calls.reads, 0, "nothing is read while something is to be written");
    }
}

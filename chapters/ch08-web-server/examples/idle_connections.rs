//! What a connection costs that nobody uses.
//!
//! 10,000 clients connect and keep silent. Then each of them makes one request, and keeps silent
//! again, as a browser does. The server is a process of its own. Predict how many threads it has
//! then, and how many bytes a connection takes: in the server's own memory before its first
//! request, there after its first request, and inside of the kernel.
//!
//! `cargo run -p ch08-web-server --example idle_connections`
//!
//! "80 MB for 10,000 connections" is often said of tasks. The size is about right. But it is not
//! the tasks that take it.

#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::time::Duration;

use ch08_web_server::{Background, BlockingPool, Cores, Limits, Places, Processes, routes};

const CONNECTIONS: usize = 10_000;

/// As many connect before the server has to have accepted them: fewer than a backlog.
const BATCH: usize = 100;

/// As many are asked once more at the end.
const SAMPLE: usize = 100;

/// The descriptors of a process that are no connections.
const OTHER_DESCRIPTORS: usize = 100;

/// Longer than the experiment takes.
const HOUR: Duration = Duration::from_secs(3600);

/// Set for the process of the server.
const SERVER: &str = "IDLE_CONNECTIONS_SERVER";

/// What the server's process writes before its address.
const ADDRESS: &str = "= ";

// ANCHOR: serve
/// The chapter's server with one loop, for as long as its parent is there. An idle connection is
/// not closed.
fn serve() -> io::Result<()> {
    let limits = Limits { header_timeout: HOUR, ..Limits::default() };
    let cores = Cores::new(1).map_err(io::Error::other)?;
    let (pool, processes) = (BlockingPool::new(1), Processes::new("", 1));
    let places = Places { pool, cores, processes };
    let server = Background::start(move |end| routes(limits, places, None, 1, end))?;
    writeln!(io::stdout(), "\n{ADDRESS}{}", server.address())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    process::exit(0)
}
// ANCHOR_END: serve

/// The server's process. Dropped, it is ended.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> io::Result<Server> {
        let mut command = Command::new(env::current_exe()?);
        command.args(ARGUMENTS).env(SERVER, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let output = process.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix(ADDRESS)?.parse().ok());
        match address {
            Some(address) => Ok(Server { process, address }),
            None => {
                process.kill()?;
                process.wait()?;
                Err(io::Error::other("the server's process says no address"))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// ANCHOR: memory
/// What is taken at one moment, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// By the server's process: resident pages, and the tables that say where they lie.
    server: u64,
    /// By the kernel's own objects, those of the whole machine. Both ends of a connection are here.
    kernel: u64,
    /// By bytes that are on their way, on the whole machine, in pages.
    buffers: u64,
}

impl Memory {
    /// `None` where the system does not say.
    fn now(server: u32) -> Option<Memory> {
        let read = |file: &str, name| field(&fs::read_to_string(file).ok()?, name);
        let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
        let tcp = sockets.lines().find(|line| line.starts_with("TCP:"))?;
        Some(Memory {
            server: read(&format!("/proc/{server}/smaps_rollup"), "Rss:")?
                + read(&format!("/proc/{server}/status"), "VmPTE:")?,
            kernel: read("/proc/meminfo", "Slab:")?,
            buffers: tcp.rsplit_once("mem ")?.1.trim().parse().ok()?,
        })
    }

    fn since(self, before: Memory) -> Memory {
        Memory {
            server: self.server.saturating_sub(before.server),
            kernel: self.kernel.saturating_sub(before.kernel),
            buffers: self.buffers.saturating_sub(before.buffers),
        }
    }
}

/// The number after a name, in bytes; /proc gives it in KiB.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
// ANCHOR_END: memory

/// Asks over a connection that stays open.
fn ask(client: &mut TcpStream, path: &str) -> io::Result<String> {
    send(client, path)?;
    receive(client)
}

fn send(client: &mut TcpStream, path: &str) -> io::Result<()> {
    client.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
}

/// The body of an answer: an object in JSON.
fn receive(client: &mut TcpStream) -> io::Result<String> {
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"}") {
        match client.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend_from_slice(&chunk[..length]),
        }
    }
    let answer = String::from_utf8(answer).map_err(io::Error::other)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| io::Error::other("an answer without a body"))
}

/// What the server says of itself.
struct Stats {
    connections: usize,
    threads: Option<u64>,
}

impl Stats {
    fn ask(client: &mut TcpStream) -> io::Result<Stats> {
        let stats: serde_json::Value = serde_json::from_str(&ask(client, "/stats")?)?;
        let connections = stats["connections"].as_u64().and_then(|n| n.try_into().ok());
        let connections = connections.ok_or_else(|| io::Error::other("/stats counts nothing"))?;
        Ok(Stats { connections, threads: stats["threads"].as_u64() })
    }
}

// ANCHOR: measure
/// What so many connections take, all together.
struct Idle {
    connections: usize,
    silent: Option<Memory>,
    after_a_request: Option<Memory>,
    /// The server's threads, without and with the connections.
    threads: [Option<u64>; 2],
    /// How many of the sample were answered at the end.
    answered: usize,
}

fn measure(wanted: usize) -> io::Result<Idle> {
    let connections = wanted.min(descriptors_max().saturating_sub(OTHER_DESCRIPTORS));
    let server = Server::start()?;
    let mut watch = TcpStream::connect(server.address)?;
    // What the first of them need once is there before the others come.
    let mut first = connect(&server, &mut watch, BATCH)?;
    ask_all(&mut first)?;
    drop(first);
    while Stats::ask(&mut watch)?.connections > 1 {}
    let before = Memory::now(server.process.id());
    let taken = || Some(Memory::now(server.process.id())?.since(before?));
    let few_threads = Stats::ask(&mut watch)?.threads;

    let mut clients = connect(&server, &mut watch, connections)?;
    let silent = taken();
    clients.chunks_mut(BATCH).try_for_each(ask_all)?;
    let after_a_request = taken();
    let threads = [few_threads, Stats::ask(&mut watch)?.threads];
    let sample = clients.iter_mut().step_by(connections.div_ceil(SAMPLE).max(1));
    let answered = sample.filter_map(|client| ask(client, "/ping").ok()).count();
    Ok(Idle { connections, silent, after_a_request, threads, answered })
}

/// So many connections, which the server has accepted.
fn connect(server: &Server, watch: &mut TcpStream, number: usize) -> io::Result<Vec<TcpStream>> {
    let mut clients = Vec::new();
    while clients.len() < number {
        for _ in 0..BATCH.min(number - clients.len()) {
            let client = TcpStream::connect(server.address)?;
            leave_nothing(&client)?;
            clients.push(client);
        }
        while Stats::ask(watch)?.connections <= clients.len() {}
    }
    Ok(clients)
}

fn ask_all(clients: &mut [TcpStream]) -> io::Result<()> {
    clients.iter_mut().try_for_each(|client| send(client, "/ping"))?;
    clients.iter_mut().try_for_each(|client| receive(client).map(drop))
}
// ANCHOR_END: measure

/// A connection that is closed is reset: it does not wait in the kernel for stragglers.
#[cfg(unix)]
fn leave_nothing(client: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO))?)
}

#[cfg(not(unix))]
fn leave_nothing(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// Allows this process, and those that it starts, as many descriptors as may be had without asking
/// anybody, and says how many.
#[cfg(unix)]
fn descriptors_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, ..limit };
    let allowed = if setrlimit(Resource::Nofile, most).is_ok() { most } else { limit };
    allowed.current.and_then(|number| number.try_into().ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn descriptors_max() -> usize {
    usize::MAX
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{CONNECTIONS} connections that nobody uses, to a server in a process of its own.\n\
         Expected: no thread more. About 10 KiB each in the server: hyper sets two buffers of \
         8 KiB aside,\nand what is touched of them takes memory. And some KiB in the kernel."
    )?;
    let idle = measure(CONNECTIONS)?;
    if idle.connections < CONNECTIONS {
        writeln!(out, "The limit of descriptors allows {} of them only.", idle.connections)?;
    }
    let (Some(silent), Some(used)) = (idle.silent, idle.after_a_request) else {
        return writeln!(out, "memory: not judged: this system has no /proc/self/smaps_rollup");
    };
    writeln!(out, "\n{:40}{:>11}{:>18}", "bytes for each connection", "silent", "after a request")?;
    let mut row = |name, of: fn(Memory) -> u64| {
        let [silent, used] = [silent, used].map(|memory| of(memory) / idle.connections as u64);
        writeln!(out, "{name:40}{silent:>11}{used:>18}")
    };
    row("memory of the server", |memory| memory.server)?;
    row("objects in the kernel, for both ends", |memory| memory.kernel)?;
    writeln!(
        out,
        "{:40}{:>11}{:>18}\n\nAll of them together: {:.0} MB in the server, and {:.0} MB in the \
         kernel for the two ends.\nThreads of the server: {} before, {} with all connections. Of \
         {SAMPLE} that were asked once more,\n{} were answered.",
        "pages of bytes on their way, in all",
        silent.buffers,
        used.buffers,
        mb(used.server),
        mb(used.kernel),
        number(idle.threads[0]),
        number(idle.threads[1]),
        idle.answered,
    )
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn number(number: Option<u64>) -> String {
    number.map_or("unknown".into(), |number| number.to_string())
}

/// What the server's process is started with: the program itself needs nothing.
#[cfg(not(test))]
const ARGUMENTS: &[&str] = &[];

fn main() -> ExitCode {
    command_line::experiment("idle_connections", |out| match env::var_os(SERVER) {
        Some(_) => serve(),
        None => print(out),
    })
}

/// A test program is told which test is the one that serves.
#[cfg(test)]
const ARGUMENTS: &[&str] = &["--exact", "tests::a_server", "--nocapture"];

#[cfg(test)]
mod tests {
    use super::*;

    /// The server is started from this test program.
    #[test]
    fn a_server() {
        if env::var_os(SERVER).is_some() {
            serve().expect("whoever started it reads its address");
        }
    }

    #[test]
    fn an_idle_connection_costs_some_kilobytes_and_no_thread_and_is_answered() {
        const FEW: usize = 500;

        let idle = measure(FEW).expect("the system gives a port");
        assert_eq!((idle.connections, idle.answered), (FEW, SAMPLE));
        let (Some(silent), Some(used)) = (idle.silent, idle.after_a_request) else {
            return println!("not judged: this system has no /proc/self/smaps_rollup");
        };
        assert!(idle.threads[0].is_some() && idle.threads[0] == idle.threads[1]);
        for taken in [silent, used] {
            let each = taken.server / FEW as u64;
            assert!((4_000..40_000).contains(&each), "{each} bytes each");
        }
    }
}

//! What ends when a client leaves before its answer, and what goes on.
//!
//! A client sends a request and closes its connection. hyper notices that while it waits for the
//! handler, and drops the handler's future. Predict for each place in which the work can be whether
//! it ends then: an await, the queue for a thread or for a core, a thread, a core, a task that the
//! handler has spawned, a process. And predict two cases in which hyper notices nothing.
//!
//! `cargo run -p ch08-web-server --example disconnect`
//!
//! In Starlette nothing of this ends by itself: a handler has to ask `request.is_disconnected()`.

#![forbid(unsafe_code)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{self, ExitCode};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ch08_web_server::{
    Answer, App, Background, BlockingPool, Cores, FIB_WORKER, Limits, Processes, Refusal, Request,
    Stats, json, serve_fib,
};
use hyper::StatusCode;
use tokio::sync::Notify;

/// Nothing here takes so long, unless it does not come at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many others are answered before we say that nobody has noticed.
const OTHERS: usize = 200;

/// A process computes this for longer than anybody waits.
const ENDLESS: u32 = 90;

// ANCHOR: trace
/// What work leaves behind, wherever it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Began,
    Ended,
    Dropped,
}

/// Work that has begun. Dropped before its end, it says so.
struct Work<'a> {
    events: &'a Sender<Event>,
    last: Event,
}

impl Work<'_> {
    fn begin(events: &Sender<Event>) -> Work<'_> {
        let _ = events.send(Event::Began); // nobody listens where the experiment has failed
        Work { events, last: Event::Dropped }
    }

    fn end(mut self) {
        self.last = Event::Ended;
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let _ = self.events.send(self.last);
    }
}
// ANCHOR_END: trace

// ANCHOR: work
/// Work that lasts until it is released: for a task, and for a thread.
struct Held {
    events: Sender<Event>,
    task: Notify,
    thread: Mutex<Receiver<()>>,
}

impl Held {
    async fn awaits(&self) {
        let work = Work::begin(&self.events);
        self.task.notified().await;
        work.end();
    }

    fn blocks(&self) {
        let work = Work::begin(&self.events);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.recv().is_ok() {
            work.end();
        }
    }
}

/// The handlers, by the place in which they do it.
fn handlers(app: App, held: &Arc<Held>, cores: Cores, processes: Processes) -> App {
    let held = || Arc::clone(held);
    let [awaits, blocks, computes, spawns] = [held(), held(), held(), held()];
    app.get("/awaits", move |_| {
        let held = Arc::clone(&awaits);
        async move {
            held.awaits().await;
            done()
        }
    })
    .get("/blocks", move |_: Request| -> Answer {
        blocks.blocks();
        done()
    })
    .get("/computes", move |_| {
        let (held, cores) = (Arc::clone(&computes), cores.clone());
        async move {
            cores.compute(move || held.blocks()).await.expect("it does not panic");
            done()
        }
    })
    .get("/spawns", move |_| {
        let held = Arc::clone(&spawns);
        async move {
            let task = tokio::spawn(async move { held.awaits().await });
            task.await.expect("it does not panic, and nobody aborts it");
            done()
        }
    })
    .get("/process/{n}", move |request: Request| {
        let processes = processes.clone();
        async move {
            let bad = |_| Refusal::bad_request("expected a number");
            let n = request.param("n").parse().map_err(bad)?;
            let lost = |error: io::Error| {
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            };
            processes.fib(n).await.map_err(lost)?;
            done()
        }
    })
    .get("/ping", ping)
}
// ANCHOR_END: work

async fn ping(_: Request) -> Answer {
    done()
}

fn done() -> Answer {
    Ok(json(&"done"))
}

/// A server with one thread for what blocks, and one for what computes.
struct Server {
    release: Sender<()>,
    held: Arc<Held>,
    events: Receiver<Event>,
    pool: BlockingPool,
    stats: Arc<Stats>,
    background: Background,
}

impl Server {
    /// `program` is what the process is started from.
    fn start(half_close: bool, program: &OsStr) -> io::Result<Server> {
        let ((events, seen), (release, thread)) = (mpsc::channel(), mpsc::channel());
        let held = Held { events, task: Notify::new(), thread: Mutex::new(thread) };
        let (held, pool, stats) = (Arc::new(held), BlockingPool::new(1), Arc::default());
        let limits = Limits { half_close, ..Limits::default() };
        let processes = Processes::new(program, 1);
        let cores = Cores::new(1).map_err(io::Error::other)?;
        let app = App::new(limits, pool.clone(), Arc::clone(&stats));
        let app = handlers(app, &held, cores, processes);
        let background = Background::start(move |_| app)?;
        Ok(Server { release, held, events: seen, pool, stats, background })
    }

    /// Sends a request, and whatever follows it.
    fn send(&self, path: &str, more: &str) -> io::Result<TcpStream> {
        let mut client = TcpStream::connect(self.background.address())?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.write_all(format!("{}{more}", request(path, "keep-alive")).as_bytes())?;
        Ok(client)
    }

    /// Sends a request, and waits for its answer.
    fn ask(&self, path: &str) -> io::Result<()> {
        let (mut client, mut answer) =
            (TcpStream::connect(self.background.address())?, String::new());
        client.set_read_timeout(Some(PATIENCE))?;
        client.write_all(request(path, "close").as_bytes())?;
        client.read_to_string(&mut answer)?;
        let is_right = answer.starts_with("HTTP/1.1 200 ");
        if is_right { Ok(()) } else { Err(io::Error::other(answer)) }
    }

    /// Waits for the next thing that work says.
    fn expect(&self, event: Event) -> io::Result<()> {
        match self.events.recv_timeout(PATIENCE) {
            Ok(seen) if seen == event => Ok(()),
            other => Err(io::Error::other(format!("expected {event:?}, got {other:?}"))),
        }
    }

    /// Lets one piece of work end.
    fn release(&self) {
        self.held.task.notify_one();
        let _ = self.release.send(());
    }

    // ANCHOR: leave
    /// Closes a connection, and says whether its request ends with that. The loop answers many
    /// others meanwhile: it has time enough to hear of it.
    fn leave(&self, client: TcpStream) -> io::Result<bool> {
        let before = self.stats.in_progress();
        // Dropping it is not enough: a process that is being started has a copy for a moment.
        client.shutdown(Shutdown::Both)?;
        for _ in 0..OTHERS {
            self.ask("/ping")?;
            if self.stats.in_progress() < before {
                return Ok(true);
            }
        }
        Ok(false)
    }
    // ANCHOR_END: leave
}

fn request(path: &str, connection: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: {connection}\r\n\r\n")
}

fn wait_until(mut holds: impl FnMut() -> bool) -> io::Result<()> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::yield_now();
    }
    Ok(())
}

// ANCHOR: outcome
/// What became of a request whose client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    noticed: bool,
    fate: Fate,
    /// How many tokens it still held, or places in their queue.
    tokens: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    DroppedAtItsAwait,
    NeverBegun,
    RanToItsEnd,
    Killed,
}

/// The client leaves when the work has begun.
fn begun(server: &Server, path: &str, more: &str) -> io::Result<Outcome> {
    let client = server.send(path, more)?;
    server.expect(Event::Began)?;
    let (noticed, tokens) = (server.leave(client)?, server.pool.taken());
    let fate = match server.events.try_recv() {
        Ok(_dropped) => Fate::DroppedAtItsAwait,
        Err(_) => {
            server.release();
            server.expect(Event::Ended)?;
            Fate::RanToItsEnd
        }
    };
    wait_until(|| server.pool.taken() == 0)?;
    Ok(Outcome { noticed, fate, tokens })
}

/// The client leaves while another one's work is done where its own would be done next.
fn queued(server: &Server, path: &str) -> io::Result<Outcome> {
    let _first = server.send(path, "")?;
    server.expect(Event::Began)?;
    let client = server.send(path, "")?;
    wait_until(|| server.stats.in_progress() == 2)?;
    server.ask("/ping")?; // the second one has its place in the queue now
    let (noticed, tokens) = (server.leave(client)?, server.pool.waiting());
    server.release();
    server.expect(Event::Ended)?;
    // One that comes later is done, and this one would have been done before that.
    server.release();
    server.release();
    server.ask(path)?;
    let began = server.events.try_iter().filter(|event| *event == Event::Began).count();
    let fate = if began == 1 { Fate::NeverBegun } else { Fate::RanToItsEnd };
    Ok(Outcome { noticed, fate, tokens })
}
// ANCHOR_END: outcome

/// The client leaves while a process computes.
#[cfg(target_os = "linux")]
fn computing(server: &Server) -> io::Result<Outcome> {
    let client = server.send(&format!("/process/{ENDLESS}"), "")?;
    let mut workers = Vec::new();
    wait_until(|| {
        workers = lab::by_id::children_with(process::id(), WORKERS_LAST_ARGUMENT);
        !workers.is_empty()
    })?;
    let (noticed, tokens) = (server.leave(client)?, server.pool.taken());
    wait_until(|| workers.iter().all(|pid| lab::by_id::is_gone(*pid)))?;
    server.ask("/process/1")?; // there is one process at a time, so the turn was given back
    Ok(Outcome { noticed, fate: Fate::Killed, tokens })
}

#[cfg(not(target_os = "linux"))]
fn computing(_: &Server) -> io::Result<Outcome> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not say who is alive"))
}

/// Where the work is when the client leaves, and what it holds on to if it goes on.
struct Row {
    place: &'static str,
    half_close: bool,
    leave: fn(&Server) -> io::Result<Outcome>,
    holds: &'static str,
}

const ROWS: [Row; 9] = [
    Row::new("at an await", |server| begun(server, "/awaits", "")),
    Row::new("in the queue for a token", |server| queued(server, "/blocks")),
    Row::new("on a thread of the pool", |server| begun(server, "/blocks", ""))
        .holds("its thread and its token"),
    Row::new("in the queue for a core", |server| queued(server, "/computes")),
    Row::new("on a core", |server| begun(server, "/computes", "")).holds("its core"),
    Row::new("in a task that it spawned", |server| begun(server, "/spawns", ""))
        .holds("what the task owns"),
    Row::new("in a process", computing),
    Row::new("at an await, its next request sent", |server| {
        begun(server, "/awaits", &request("/ping", "close"))
    })
    .holds("everything"),
    Row {
        half_close: true,
        ..Row::new("at an await, with --half-close", |server| begun(server, "/awaits", ""))
    }
    .holds("everything"),
];

impl Row {
    const fn new(place: &'static str, leave: fn(&Server) -> io::Result<Outcome>) -> Row {
        Row { place, half_close: false, leave, holds: "" }
    }

    const fn holds(self, holds: &'static str) -> Row {
        Row { holds, ..self }
    }

    fn measure(&self, program: &OsStr) -> io::Result<Outcome> {
        (self.leave)(&Server::start(self.half_close, program)?)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fate::DroppedAtItsAwait => "dropped at its await",
            Fate::NeverBegun => "never begun",
            Fate::RanToItsEnd => "ran to its end",
            Fate::Killed => "killed",
        })
    }
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "A client leaves before its answer.\nExpected: what waits ends, and what has a thread goes \
         on.\n\n{:36}{:9}{:22}it still held",
        "where the work was", "noticed", "what became of it"
    )?;
    let program = env::current_exe()?;
    for row in &ROWS {
        match row.measure(program.as_os_str()) {
            Ok(Outcome { noticed, fate, .. }) => {
                let noticed = if noticed { "yes" } else { "no" };
                let held = if fate == Fate::RanToItsEnd { row.holds } else { "nothing" };
                writeln!(out, "{:36}{noticed:9}{fate:22}{held}", row.place)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                writeln!(out, "{:36}not judged: {error}", row.place)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    // The program itself is what its process is started from.
    if env::args_os().skip(1).eq([OsString::from(FIB_WORKER)]) {
        let served = serve_fib(BufReader::new(io::stdin()), io::stdout(), fib_timing::fib);
        return if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    command_line::experiment("disconnect", print)
}

/// By this a process that computes is known.
#[cfg(all(not(test), target_os = "linux"))]
const WORKERS_LAST_ARGUMENT: &str = FIB_WORKER;
#[cfg(all(test, target_os = "linux"))]
const WORKERS_LAST_ARGUMENT: &str = "--nocapture";

#[cfg(test)]
mod tests {
    use super::*;

    /// Set for a process that is to compute. Its test is this one:
    #[cfg(target_os = "linux")]
    const WORKER: &str = "DISCONNECT_WORKER";

    /// The process is started from this test program. That writes about its tests to standard
    /// output, so the answers take the other way out.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_worker() {
        if env::var_os(WORKER).is_some() {
            let questions = BufReader::new(io::stdin());
            serve_fib(questions, io::stderr(), fib_timing::fib).expect("the answers are read");
        }
    }

    #[track_caller]
    fn outcome(place: &str, program: &OsStr) -> Outcome {
        let row = ROWS.iter().find(|row| row.place == place).expect("it is a place");
        row.measure(program).expect("the system gives a port, and the server answers")
    }

    #[track_caller]
    fn assert_becomes(place: &str, noticed: bool, fate: Fate, tokens: usize) {
        assert_eq!(outcome(place, OsStr::new("")), Outcome { noticed, fate, tokens }, "{place}");
    }

    #[test]
    fn a_future_is_dropped_at_its_await() {
        assert_becomes("at an await", true, Fate::DroppedAtItsAwait, 0);
    }

    #[test]
    fn what_stands_in_a_queue_is_never_begun() {
        assert_becomes("in the queue for a token", true, Fate::NeverBegun, 0);
        assert_becomes("in the queue for a core", true, Fate::NeverBegun, 0);
    }

    #[test]
    fn what_has_a_thread_or_a_task_of_its_own_goes_on_and_keeps_its_token() {
        assert_becomes("on a thread of the pool", true, Fate::RanToItsEnd, 1);
        assert_becomes("on a core", true, Fate::RanToItsEnd, 0);
        assert_becomes("in a task that it spawned", true, Fate::RanToItsEnd, 0);
    }

    #[test]
    fn with_half_close_or_a_next_request_nobody_notices() {
        assert_becomes("at an await, with --half-close", false, Fate::RanToItsEnd, 0);
        assert_becomes("at an await, its next request sent", false, Fate::RanToItsEnd, 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_killed_and_the_next_question_has_another_one() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("there is room for a folder");
        let program = folder.path().join("worker");
        let this = env::current_exe().expect("the system knows what it runs");
        let this = this.to_str().expect("cargo gives it a name in ASCII").replace('\'', "'\\''");
        let script = format!(
            "#!/bin/sh\nexec env {WORKER}=1 '{this}' --exact tests::a_worker --nocapture \
             2>&1 >/dev/null\n"
        );
        std::fs::write(&program, script).expect("it is a new file");
        let executable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&program, executable).expect("it is ours");
        let expected = Outcome { noticed: true, fate: Fate::Killed, tokens: 0 };
        assert_eq!(outcome("in a process", program.as_os_str()), expected);
    }
}

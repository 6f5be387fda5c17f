//! What becomes of the 41st request that blocks a thread.
//!
//! N requests come at once. The handler of each sleeps on a thread for 200 ms, and there are 40
//! tokens for such handlers, as in FastAPI. Predict when the last one of 40 is answered, of 41, and
//! of 160. Predict how many threads sleep, how busy the processor is, and how late the heart beats
//! meanwhile. Then the same with 512 tokens: tokio itself has no more threads for what blocks.
//!
//! `cargo run -p ch08-web-server --example pool_limit`

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use ch08_web_server::limits::POOL_TOKENS;
use ch08_web_server::{
    Answer, Background, BlockingPool, Cores, Limits, Places, Processes, Request, json, routes,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

/// How long a handler sleeps: D.
const SLEEP: Duration = Duration::from_millis(200);

/// As many as tokio has threads for what blocks, unless it is told otherwise.
const TOKIOS_OWN: usize = 512;

/// How many requests come at once: N.
const REQUESTS: [usize; 5] = [20, 40, 41, 80, 160];

/// How often the heart beats, in seconds.
const PERIOD: f64 = 0.01;

// ANCHOR: server
/// A server whose handler of `/blocks` is a plain function, and what was seen of that.
struct Server {
    background: Background,
    seen: Arc<Seen>,
}

fn serve(pool: BlockingPool, block: impl Fn() + Send + Sync + 'static) -> io::Result<Server> {
    // Nobody computes here.
    let cores = Cores::new(1).map_err(io::Error::other)?;
    let places = Places { pool, cores, processes: Processes::new("", 1) };
    let seen = Arc::new(Seen::default());
    let sees = Arc::clone(&seen);
    let handler = move |_: Request| -> Answer {
        sees.during(&block);
        Ok(json(&"awake"))
    };
    let background = Background::start(move |end| {
        routes(Limits::default(), places, None, 1, end).get("/blocks", handler)
    })?;
    Ok(Server { background, seen })
}
// ANCHOR_END: server

/// How many handlers were in their sleep at once, and on which threads.
#[derive(Default)]
struct Seen(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    now: usize,
    most: usize,
    threads: HashSet<ThreadId>,
}

impl Seen {
    fn during(&self, block: impl Fn()) {
        let mut counts = self.lock();
        counts.now += 1;
        counts.most = counts.most.max(counts.now);
        counts.threads.insert(thread::current().id());
        drop(counts);
        block();
        self.lock().now -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who listens to the heart. Each beat says how late it was.
struct Heart {
    stream: TcpStream,
    late: Receiver<Duration>,
}

impl Heart {
    fn listen(address: SocketAddr) -> io::Result<Heart> {
        let mut stream = TcpStream::connect(address)?;
        let request = format!("GET /events?seconds={PERIOD} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let lines = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
        let (sender, late) = mpsc::channel();
        thread::spawn(move || {
            let beats = lines.filter_map(|line| lateness(line.strip_prefix("data: ")?));
            beats.take_while(|late| sender.send(*late).is_ok()).for_each(drop);
        });
        let heart = Heart { stream, late };
        heart.beat()?;
        Ok(heart)
    }

    /// The next beat.
    fn beat(&self) -> io::Result<Duration> {
        self.late.recv().map_err(|_| io::Error::other("the heart has stopped"))
    }

    /// How late the latest beat was, up to the next one.
    fn latest(&self) -> io::Result<Duration> {
        let before = self.late.try_iter().max().unwrap_or_default();
        Ok(before.max(self.beat()?))
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both); // its thread reads the end
    }
}

fn lateness(beat: &str) -> Option<Duration> {
    let beat: serde_json::Value = serde_json::from_str(beat).ok()?;
    Some(Duration::from_secs_f64(beat["late_ms"].as_f64()? / 1e3))
}

// ANCHOR: ask
/// Sends so many requests at once. Returns when each was answered, in the order of these times.
fn ask(address: SocketAddr, path: &str, requests: usize) -> io::Result<Vec<Duration>> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..requests {
            streams.push(tokio::net::TcpStream::connect(address).await?);
        }
        let start = Instant::now();
        let clients = streams.into_iter().map(|mut stream| {
            let head = head.clone();
            tokio::spawn(async move {
                stream.write_all(head.as_bytes()).await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await?;
                let is_right = answer.starts_with("HTTP/1.1 200 ");
                is_right.then(|| start.elapsed()).ok_or_else(|| io::Error::other(answer))
            })
        });
        let mut answered = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            answered.push(client.await??);
        }
        answered.sort();
        Ok(answered)
    })
}
// ANCHOR_END: ask

// ANCHOR: measure
struct Run {
    /// When each request was answered.
    answered: Vec<Duration>,
    /// The most handlers that slept at once, and how many different threads they slept on. These
    /// can be a few more: a token is given back a moment before its thread is free.
    most: usize,
    threads: usize,
    /// How late the latest beat of the heart was.
    late: Duration,
    /// The part of one core that server and client have used.
    busy: Option<f64>,
}

fn measure(tokens: usize, requests: usize) -> io::Result<Run> {
    let server = serve(BlockingPool::new(tokens), || thread::sleep(SLEEP))?;
    run(&server, "/blocks", requests)
}

fn run(server: &Server, path: &str, requests: usize) -> io::Result<Run> {
    let address = server.background.address();
    let heart = Heart::listen(address)?;
    let (start, before) = (Instant::now(), cpu_time());
    let answered = ask(address, path, requests)?;
    let busy = before
        .zip(cpu_time())
        .map(|(before, after)| (after - before).as_secs_f64() / start.elapsed().as_secs_f64());
    let late = heart.latest()?;
    let counts = server.seen.lock();
    Ok(Run { answered, most: counts.most, threads: counts.threads.len(), late, busy })
}

impl Run {
    /// When the last one was answered, in times of D.
    fn wall(&self) -> f64 {
        in_sleeps(self.answered.last().copied().unwrap_or_default())
    }
}
// ANCHOR_END: measure

/// What all threads of this process have used, also those that have ended.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

fn in_sleeps(time: Duration) -> f64 {
    time.as_secs_f64() / SLEEP.as_secs_f64()
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "N requests at once, each of which sleeps for D = {SLEEP:?} on a thread.\n\
         Expected: the last one is answered after ⌈N / tokens⌉ · D, and the heart notices nothing.\
         \n\n{:>6}{:>6}{:>14}{:>14}{:>16}{:>12}{:>13}{:>8}",
        "tokens",
        "N",
        "expected, D",
        "measured, D",
        "asleep at once",
        "on threads",
        "latest beat",
        "CPU"
    )?;
    let mut last = None;
    for (tokens, requests) in
        [POOL_TOKENS, TOKIOS_OWN].into_iter().flat_map(|tokens| REQUESTS.map(|n| (tokens, n)))
    {
        let run = measure(tokens, requests)?;
        writeln!(
            out,
            "{tokens:>6}{requests:>6}{:>14}{:>14.2}{:>16}{:>12}{:>10.1} ms{:>8}",
            requests.div_ceil(tokens),
            run.wall(),
            run.most,
            run.threads,
            run.late.as_secs_f64() * 1e3,
            run.busy.map_or("-".into(), |busy| format!("{:.0} %", busy * 100.0)),
        )?;
        if tokens == POOL_TOKENS {
            last = Some(run);
        }
    }
    let last = last.expect("there are rows");
    print_staircase(out, &last)?;
    print_terrible(out, &last)
}

/// How many were answered around each multiple of D.
fn print_staircase(out: &mut dyn Write, run: &Run) -> io::Result<()> {
    writeln!(out, "\nWith {POOL_TOKENS} tokens, {} requests are answered", run.answered.len())?;
    for step in 1..=run.wall().round() as usize {
        let at_step = |time: &&Duration| in_sleeps(**time).round() as usize == step;
        let number = run.answered.iter().filter(at_step).count();
        writeln!(out, "  after {step} D {number:>4} {}", "#".repeat(number))?;
    }
    Ok(())
}

/// The same time, spent on the loop.
fn print_terrible(out: &mut dyn Write, good: &Run) -> io::Result<()> {
    let server = serve(BlockingPool::new(POOL_TOKENS), || ())?;
    let rounds = good.answered.len().div_ceil(POOL_TOKENS);
    let path = format!("/terrible-ping?seconds={}", SLEEP.as_secs_f64());
    let terrible = run(&server, &path, rounds)?;
    writeln!(
        out,
        "\n{rounds} requests that sleep on the loop take {:.2} D. The latest beat is late by {:.0} \
         ms then,\nand it was by {:.1} ms while {} requests slept on threads.",
        terrible.wall(),
        terrible.late.as_secs_f64() * 1e3,
        good.late.as_secs_f64() * 1e3,
        good.answered.len(),
    )
}

fn main() -> ExitCode {
    command_line::experiment("pool_limit", print)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use lab::inside::PATIENCE;

    use super::*;

    fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
            thread::yield_now();
        }
    }

    const MANY: usize = 160;

    /// 160 requests whose handlers are held until `held` has returned. Returns how many were
    /// answered, and the most handlers that were in at once.
    fn hold(tokens: usize, held: impl FnOnce(&Server, &BlockingPool)) -> (usize, usize) {
        let (pool, gate) = (BlockingPool::new(tokens), Arc::new(Mutex::new(())));
        let its_gate = Arc::clone(&gate);
        let server = serve(pool.clone(), move || drop(its_gate.lock()));
        let server = server.expect("the system gives a port and a thread");
        thread::scope(|scope| {
            let closed = gate.lock().expect("nobody panics while holding it");
            let address = server.background.address();
            let clients = scope.spawn(move || ask(address, "/blocks", MANY));
            wait_until("every request has come", || {
                server.seen.lock().now == tokens.min(MANY)
                    && pool.waiting() == MANY.saturating_sub(tokens)
            });
            held(&server, &pool);
            drop(closed);
            let answered = clients.join().expect("no panic").expect("each is answered with 200");
            (answered.len(), server.seen.lock().most)
        })
    }

    #[test]
    fn while_each_token_is_taken_the_others_wait_without_a_thread_and_the_heart_beats() {
        let (answered, most) = hold(POOL_TOKENS, |server, pool| {
            assert_eq!((pool.taken(), pool.waiting()), (POOL_TOKENS, MANY - POOL_TOKENS));
            assert_eq!(server.seen.lock().threads.len(), POOL_TOKENS);
            let address = server.background.address();
            let heart = Heart::listen(address).expect("the loop is free");
            for _ in 0..10 {
                heart.beat().expect("the loop is free");
            }
            ask(address, "/ping", 1).expect("the loop is free");
            assert_eq!(server.seen.lock().now, POOL_TOKENS);
        });
        assert_eq!((answered, most), (MANY, POOL_TOKENS));
    }

    #[test]
    fn with_as_many_tokens_as_tokio_has_threads_each_request_has_a_thread() {
        let (answered, most) = hold(TOKIOS_OWN, |server, _| {
            assert_eq!(server.seen.lock().threads.len(), MANY);
        });
        assert_eq!((answered, most), (MANY, MANY));
    }

    /// Measured once, one after the other: what runs beside a measurement is measured with it.
    static RUNS: LazyLock<Vec<(usize, usize, Run)>> = LazyLock::new(|| {
        let cases = [(POOL_TOKENS, 40), (POOL_TOKENS, 41), (POOL_TOKENS, 160), (TOKIOS_OWN, 160)];
        let run = |(tokens, requests)| measure(tokens, requests).expect("the system gives a port");
        cases.map(|case| (case.0, case.1, run(case))).into()
    });

    /// How late this machine wakes up forty threads that sleep at once, at worst.
    fn lateness() -> Duration {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..POOL_TOKENS {
                scope.spawn(|| thread::park_timeout(SLEEP));
            }
        });
        start.elapsed().saturating_sub(SLEEP)
    }

    #[test]
    fn no_request_is_answered_before_its_turn() {
        for (tokens, requests, run) in RUNS.iter() {
            for (number, answered) in run.answered.iter().enumerate() {
                let turn = u32::try_from(number / tokens + 1).expect("it is a small number");
                assert!(*answered >= SLEEP * turn, "{number} of {requests}: {answered:?}");
            }
            assert!(run.most <= *tokens, "{} slept at once", run.most);
        }
    }

    #[test]
    fn n_requests_take_as_many_rounds_as_the_tokens_give() {
        const TRIES: usize = 5;

        for (tokens, requests, run) in RUNS.iter() {
            let latest = requests.div_ceil(*tokens) as f64 + 0.5;
            let (mut wall, mut late) = (run.wall(), Duration::ZERO);
            for _ in 0..TRIES {
                if wall >= latest {
                    late = late.max(lateness());
                    wall = measure(*tokens, *requests).expect("it went well before").wall();
                }
            }
            if wall >= latest && late > SLEEP / 20 {
                println!("not judged: {requests} requests: threads wake up late by {late:?}");
                continue;
            }
            assert!(wall < latest, "{requests}: {wall}, and threads wake up in time: {late:?}");
        }
    }

    #[test]
    fn a_request_that_sleeps_on_the_loop_stops_the_heart() {
        let server = serve(BlockingPool::new(1), || ()).expect("the system gives a port");
        let address = server.background.address();
        let heart = Heart::listen(address).expect("the loop is free");
        let path = format!("/terrible-ping?seconds={}", SLEEP.as_secs_f64());
        ask(address, &path, 1).expect("it is answered");
        let late = SLEEP - Duration::from_secs_f64(PERIOD);
        wait_until("a beat is late", || heart.beat().expect("it goes on") >= late);
    }
}

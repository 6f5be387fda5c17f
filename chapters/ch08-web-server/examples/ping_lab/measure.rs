//! The measuring: clients that all ask one route at once, a heart that asks for nothing beside
//! them, and the server's threads and memory meanwhile.
//!
//! The heart has a thread, a runtime and a connection of its own. So what delays it is the server,
//! and not the other clients.

use std::error::Error;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn;
use tokio::time::sleep;

/// How long the heart waits after an answer.
pub(crate) const BEAT: Duration = Duration::from_millis(10);

/// How often the server's threads and memory are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// So many clients connect at once. A listener keeps a limited number waiting.
const CONNECTING_MAX: usize = 64;

/// A machine is busy with other things that wakes a sleeping thread so late,
const LATE: Duration = Duration::from_millis(30);

/// or that has no core for the server for such a part of the time.
const WITHOUT_A_CORE: f64 = 0.2;

/// A request that is not answered for so long has failed.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Its handler sleeps on the loop's thread.
    Terrible,
    /// Its handler sleeps on another thread.
    Good,
    /// Its handler awaits a sleep.
    Perfect,
}

impl Route {
    pub(crate) const ALL: [Route; 3] = [Route::Terrible, Route::Good, Route::Perfect];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Route::Terrible => "terrible",
            Route::Good => "good",
            Route::Perfect => "perfect",
        }
    }

    /// As many as show the route's shape in about a second.
    pub(crate) fn clients(self) -> usize {
        match self {
            Route::Terrible => 10,
            Route::Good => 100,
            Route::Perfect => 1000,
        }
    }
}

/// What is to be measured.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) server: Url,
    pub(crate) route: Route,
    pub(crate) clients: usize,
    /// How long the handler of one request waits.
    pub(crate) wait: Duration,
    /// Whose threads and memory are looked at.
    pub(crate) process: Option<u32>,
    /// Requests that are not answered by then have failed.
    pub(crate) until: Instant,
}

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) wait: Duration,
    /// From the first request that was sent to the last answer.
    pub(crate) wall: Duration,
    /// Of each client that was answered, from its request to its answer: the shortest first.
    pub(crate) latencies: Vec<Duration>,
    /// Why the others were not.
    pub(crate) errors: Vec<String>,
    /// The longest time between two answers to the heart.
    pub(crate) longest_gap: Duration,
    pub(crate) watched: Watched,
}

/// What a thread saw that looks now and then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// The server's threads before the first request, and the most that there were.
    pub(crate) threads: Option<(usize, usize)>,
    /// The most resident memory that the server had, in KiB.
    pub(crate) memory: Option<u64>,
    /// How late this thread was woken, at worst. It only sleeps, so this is the machine's doing.
    pub(crate) late: Duration,
    /// How long the loop's thread was ready to run and had no core, where the system tells.
    pub(crate) without_a_core: Duration,
}

impl Seen {
    /// How many times a wait the whole took.
    pub(crate) fn waits(&self) -> f64 {
        self.wall.as_secs_f64() / self.wait.as_secs_f64()
    }

    /// The part of the whole that the longest gap is.
    pub(crate) fn frozen(&self) -> f64 {
        self.longest_gap.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// The threads that were added.
    pub(crate) fn new_threads(&self) -> Option<usize> {
        self.watched.threads.map(|(before, peak)| peak - before)
    }

    /// Was the machine busy with other things? What takes long may then be their doing.
    pub(crate) fn is_busy(&self) -> bool {
        let Watched { late, without_a_core, .. } = self.watched;
        late > LATE || without_a_core > self.wall.mul_f64(WITHOUT_A_CORE)
    }

    /// Into how many groups the latencies fall. Where clients wait for others, one group is
    /// answered a wait after another.
    pub(crate) fn steps(&self) -> usize {
        let rises = self.latencies.windows(2).filter(|pair| pair[1] - pair[0] > self.wait / 2);
        rises.count() + usize::from(!self.latencies.is_empty())
    }
}

// ANCHOR: measure
/// Connects all clients first: what is measured is how they are answered.
pub(crate) fn measure(plan: &Plan) -> io::Result<Seen> {
    let runtime = runtime()?;
    let clients = runtime.block_on(connect(plan))?;
    let end = AtomicBool::new(false);
    let (started, is_started) = mpsc::channel();
    let before = Look::at(plan.process);
    thread::scope(|scope| {
        let heart = scope.spawn(|| beat(plan, started, &end));
        let watch = scope.spawn(|| watch(plan.process, before, &end));
        // It has beaten once. Or it has failed, and tells why when it is joined.
        let _ = is_started.recv();
        let asked = runtime.block_on(ask_all(plan, clients));
        end.store(true, Ordering::Release);
        let beats = heart.join().expect("the heart does not panic")?;
        let watched = watch.join().expect("who only looks does not panic");
        Ok(seen(plan, asked, &beats, watched))
    })
}

/// How a request was answered. Or why it was not.
type Asked = Result<Answered, String>;

struct Answered {
    sent: Instant,
    received: Instant,
    status: StatusCode,
}

async fn ask_all(plan: &Plan, clients: Vec<Client>) -> Vec<Asked> {
    let url = url(plan, &format!("{}-ping?seconds={}", plan.route.name(), plan.wait.as_secs_f64()));
    let ask_one = |client| spawn(ask(client, url.clone(), time_left(plan)));
    let tasks: Vec<_> = clients.into_iter().map(ask_one).collect();
    let mut asked = Vec::new();
    for task in tasks {
        asked.push(task.await.expect("nobody aborts it, and it does not panic"));
    }
    asked
}

/// Beats until it was answered once more after the end.
fn beat(plan: &Plan, started: Sender<()>, end: &AtomicBool) -> io::Result<Vec<Instant>> {
    let (client, url) = (client()?, url(plan, "ping"));
    runtime()?.block_on(async {
        let mut beats = Vec::new();
        loop {
            let is_last = end.load(Ordering::Acquire);
            let asked = ask(client.clone(), url.clone(), time_left(plan)).await;
            // Also a refusal is a sign of life.
            beats.push(asked.map_err(|why| failed("the heart", why))?.received);
            let _ = started.send(());
            if is_last {
                return Ok(beats);
            }
            sleep(BEAT).await;
        }
    })
}
// ANCHOR_END: measure

/// What the system tells of a process now. Only Linux tells.
#[derive(Clone, Copy)]
struct Look {
    threads: Option<usize>,
    /// In KiB.
    memory: Option<u64>,
    without_a_core: Duration,
}

impl Look {
    fn at(process: Option<u32>) -> Look {
        let read = |file| fs::read_to_string(format!("/proc/{}/{file}", process?)).ok();
        let status = read("status").unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        // The second figure of a process is that of its first thread, and that runs the loop.
        let schedule = read("schedstat").unwrap_or_default();
        let nanos = schedule.split(' ').nth(1).and_then(|nanos| nanos.parse().ok());
        Look {
            threads: value("Threads:").and_then(|threads| threads.try_into().ok()),
            memory: value("VmRSS:"),
            without_a_core: Duration::from_nanos(nanos.unwrap_or_default()),
        }
    }
}

/// Looks until the end, and once more then.
fn watch(process: Option<u32>, before: Look, end: &AtomicBool) -> Watched {
    let mut watched = Watched::default();
    let mut peak = before;
    loop {
        let (is_last, due) = (end.load(Ordering::Acquire), Instant::now() + LOOK);
        thread::sleep(LOOK);
        watched.late = watched.late.max(due.elapsed());
        let now = Look::at(process);
        peak.threads = peak.threads.max(now.threads);
        peak.memory = peak.memory.max(now.memory);
        if is_last {
            watched.threads = before.threads.zip(peak.threads);
            watched.memory = peak.memory;
            watched.without_a_core = now.without_a_core.saturating_sub(before.without_a_core);
            return watched;
        }
    }
}

fn seen(plan: &Plan, asked: Vec<Asked>, beats: &[Instant], watched: Watched) -> Seen {
    let (mut answered, mut errors) = (Vec::new(), Vec::new());
    for one in asked {
        match one {
            Ok(one) if one.status == StatusCode::OK => answered.push(one),
            Ok(one) => errors.push(format!("status {}", one.status)),
            Err(why) => errors.push(why),
        }
    }
    let first = answered.iter().map(|one| one.sent).min();
    let last = answered.iter().map(|one| one.received).max();
    let mut latencies: Vec<Duration> = answered.iter().map(|one| one.received - one.sent).collect();
    latencies.sort();
    let longest_gap = beats.windows(2).map(|pair| pair[1] - pair[0]).max();
    Seen {
        wait: plan.wait,
        wall: first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first),
        latencies,
        errors,
        longest_gap: longest_gap.unwrap_or_default(),
        watched,
    }
}

/// Each client has a connection, on which it was answered once.
async fn connect(plan: &Plan) -> io::Result<Vec<Client>> {
    let url = url(plan, "ping");
    let mut clients = Vec::new();
    while clients.len() < plan.clients {
        let mut connecting = Vec::new();
        for _ in 0..CONNECTING_MAX.min(plan.clients - clients.len()) {
            let client = client()?;
            connecting.push(spawn(ask(client.clone(), url.clone(), time_left(plan))));
            clients.push(client);
        }
        for one in connecting {
            let asked = one.await.expect("nobody aborts it, and it does not panic");
            asked.map_err(|why| failed("a client", why))?;
        }
    }
    Ok(clients)
}

fn failed(who: &str, why: String) -> io::Error {
    io::Error::other(format!("{who} asked for /ping: {why}"))
}

/// A client with one connection. It goes where it is told to, and nowhere else.
fn client() -> io::Result<Client> {
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(1);
    client.build().map_err(io::Error::other)
}

async fn ask(client: Client, url: Url, limit: Duration) -> Asked {
    let sent = Instant::now();
    let asked = client.get(url).timeout(limit).send().await;
    let response = asked.map_err(|error| reason(&error))?;
    let status = response.status();
    read(response).await.map(|_| Answered { sent, received: Instant::now(), status })
}

async fn read(response: Response) -> Result<impl AsRef<[u8]>, String> {
    response.bytes().await.map_err(|error| reason(&error))
}

/// What lies at the bottom of an error: what is above it only says that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut reason: &dyn Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// What a server says of itself at `/stats`. A server without such a route says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// The process that answers.
    pub(crate) worker: Option<u32>,
    /// How many good pings it lets sleep at once.
    pub(crate) tokens: Option<usize>,
}

/// Fails where nobody answers at all.
pub(crate) fn stats(server: &Url, until: Instant) -> io::Result<Stats> {
    let limit = REQUEST_TIME_MAX.min(until.saturating_duration_since(Instant::now()));
    let (client, url) = (client()?, server.join("stats").map_err(io::Error::other)?);
    runtime()?.block_on(async {
        let asked = client.get(url).timeout(limit).send().await;
        let response = asked.map_err(|error| io::Error::other(reason(&error)))?;
        let body = read(response).await.map_err(io::Error::other)?;
        let said: Value = serde_json::from_slice(body.as_ref()).unwrap_or_default();
        Ok(Stats {
            worker: said["worker"].as_u64().and_then(|id| id.try_into().ok()),
            tokens: said["pool"]["tokens"].as_u64().and_then(|number| number.try_into().ok()),
        })
    })
}

fn url(plan: &Plan, path: &str) -> Url {
    plan.server.join(path).expect("what is joined is a path of ours")
}

fn time_left(plan: &Plan) -> Duration {
    REQUEST_TIME_MAX.min(plan.until.saturating_duration_since(Instant::now()))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

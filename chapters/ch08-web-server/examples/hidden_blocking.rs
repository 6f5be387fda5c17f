//! Innocent lines that stop the loop.
//!
//! None of these lines says "block": a name is resolved, a file read, another one saved, a JSON
//! parsed, a lock taken, a line logged, a variable dropped. Each is done on a loop that has one
//! thread, beside a heart that beats every 5 ms; and again where it belongs. Predict which of them
//! the heart does not notice, and which of them a CPU monitor would show.
//!
//! What is short is done again and again, for 200 ms: one handler that does it often, or many
//! handlers that do it once. What is one line in a program is one here: the JSON and the structure
//! that is dropped are as large as it takes.
//!
//! `cargo run -p ch08-web-server --example hidden_blocking`

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, PipeReader, Write};
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

const BEAT: Duration = Duration::from_millis(5);

/// How long each takes, about.
const WORK: Duration = Duration::from_millis(200);

/// A name that every machine knows. It stands in a file, and to look there is work for a CPU. Any
/// other one is asked for from a server: that is a wait, as long as the server takes.
const NAME: (&str, u16) = ("localhost", 80);

/// A file that is read, and one that is written, in bytes.
const LARGE: usize = 16 << 20;
const SMALL: usize = 4 << 10;

/// tokio's own limit of the pool, in threads.
const POOL_MAX: usize = 512;

/// More lines of this length than any pipe holds.
const LINES: usize = 1024;
const LINE: usize = 1024;

/// The largest JSON, in bytes, and the largest structure, in strings. Both hold some 200 MB.
const JSON_MAX: usize = 24 << 20;
const STRINGS_MAX: usize = 1_000_000;

/// What is repeated ends after this time.
fn is_over(start: Instant) -> bool {
    start.elapsed() >= WORK
}

// ANCHOR: io
async fn resolves_a_name() -> io::Result<()> {
    let start = Instant::now();
    while !is_over(start) {
        black_box(NAME.to_socket_addrs()?.next());
    }
    Ok(())
}

async fn resolves_in_the_pool() -> io::Result<()> {
    let start = Instant::now();
    while !is_over(start) {
        black_box(tokio::net::lookup_host(NAME).await?.next());
    }
    Ok(())
}

async fn reads_a_file(path: PathBuf) -> io::Result<()> {
    let start = Instant::now();
    while !is_over(start) {
        black_box(fs::read(&path)?);
    }
    Ok(())
}

async fn reads_in_the_pool(path: PathBuf) -> io::Result<()> {
    let start = Instant::now();
    while !is_over(start) {
        black_box(tokio::fs::read(&path).await?);
    }
    Ok(())
}

/// Returns when the disk has it.
async fn saves_a_file(path: PathBuf) -> io::Result<()> {
    let start = Instant::now();
    while !is_over(start) {
        let mut file = File::create(&path)?;
        file.write_all(&[0; SMALL])?;
        file.sync_all()?;
    }
    Ok(())
}

async fn saves_in_the_pool(path: PathBuf) -> io::Result<()> {
    let start = Instant::now();
    while !is_over(start) {
        let mut file = tokio::fs::File::create(&path).await?;
        file.write_all(&[0; SMALL]).await?;
        file.sync_all().await?;
    }
    Ok(())
}
// ANCHOR_END: io

// ANCHOR: cpu
#[derive(Deserialize)]
struct User {
    id: u64,
    name: String,
    tags: Vec<String>,
}

/// The users are dropped here as well: to return them to the loop would move that line there.
fn parse(json: &str) -> io::Result<u64> {
    let users: Vec<User> = serde_json::from_str(json)?;
    let size = |user: &User| user.id + (user.name.len() + user.tags.len()) as u64;
    Ok(users.iter().map(size).sum())
}

async fn parses_a_json(json: Arc<str>) -> io::Result<()> {
    black_box(parse(&json)?);
    Ok(())
}

async fn parses_on_rayon(json: Arc<str>) -> io::Result<()> {
    black_box(on_rayon(move || parse(&json)).await?);
    Ok(())
}

type Strings = Vec<Box<String>>;

async fn drops_a_structure(strings: Strings) -> io::Result<()> {
    drop(strings);
    Ok(())
}

async fn drops_on_rayon(strings: Strings) -> io::Result<()> {
    on_rayon(move || drop(strings)).await;
    Ok(())
}

/// Computes on rayon's threads, of which there are as many as cores.
async fn on_rayon<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = oneshot::channel();
    rayon::spawn(move || drop(done.send(compute())));
    is_done.await.expect("it does not panic")
}
// ANCHOR_END: cpu

// ANCHOR: waits
/// Waits for a lock that another thread holds.
async fn takes_a_lock() -> io::Result<()> {
    let lock = Arc::new(Mutex::new(()));
    let (held, is_held) = oneshot::channel();
    thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            let _guard = lock.lock();
            let _ = held.send(());
            thread::sleep(WORK);
        }
    });
    is_held.await.map_err(io::Error::other)?;
    drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// The same, with a lock that can be awaited.
async fn awaits_a_lock() -> io::Result<()> {
    let lock = Arc::new(tokio::sync::Mutex::new(()));
    let (held, is_held) = oneshot::channel();
    thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            let _guard = lock.blocking_lock();
            let _ = held.send(());
            thread::sleep(WORK);
        }
    });
    is_held.await.map_err(io::Error::other)?;
    drop(lock.lock().await);
    Ok(())
}

/// Writes to a pipe that nobody reads for a while: a pager, a terminal that is stopped, a collector
/// of logs that hangs.
async fn logs_a_line() -> io::Result<()> {
    let (reading, mut log) = io::pipe()?;
    let is_read = read_late(reading);
    for _ in 0..LINES {
        log.write_all(&[b'x'; LINE])?;
    }
    drop(log);
    is_read.await.map_err(io::Error::other)?
}

/// Gives the lines to a thread that writes. What it is behind is limited: further lines would be
/// refused.
async fn logs_by_a_thread() -> io::Result<()> {
    let (reading, mut log) = io::pipe()?;
    let is_read = read_late(reading);
    let (lines, queue) = mpsc::sync_channel::<Vec<u8>>(LINES);
    thread::spawn(move || queue.iter().try_for_each(|line| log.write_all(&line)));
    for _ in 0..LINES {
        lines.try_send(vec![b'x'; LINE]).map_err(io::Error::other)?;
    }
    drop(lines);
    is_read.await.map_err(io::Error::other)?
}

/// Reads to the end, but not yet.
fn read_late(mut pipe: PipeReader) -> oneshot::Receiver<io::Result<()>> {
    let (done, is_done) = oneshot::channel();
    thread::spawn(move || {
        thread::sleep(WORK);
        let _ = done.send(io::copy(&mut pipe, &mut io::sink()).map(drop));
    });
    is_done
}
// ANCHOR_END: waits

// ANCHOR: measure
/// What is known of the heart.
#[derive(Default)]
struct Heart {
    beat: Notify,
    longest_gap: AtomicU64,
}

async fn beat(heart: Arc<Heart>) {
    let (mut interval, mut last) = (interval(BEAT), Instant::now());
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let now = Instant::now();
        let gap = u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX);
        heart.longest_gap.fetch_max(gap, Ordering::Relaxed);
        heart.beat.notify_waiters();
        last = now;
    }
}

struct Gap {
    longest: Duration,
    /// How long the loop's thread was on a CPU. `None` where the system does not say.
    cpu: Option<Duration>,
}

/// The longest time between two beats, while this is done on the same loop.
fn measure(chore: impl Future<Output = io::Result<()>>) -> io::Result<Gap> {
    loop_with(POOL_MAX, &Arc::default())?.block_on(async {
        let heart = Arc::new(Heart::default());
        tokio::spawn(beat(Arc::clone(&heart)));
        heart.beat.notified().await;
        heart.longest_gap.store(0, Ordering::Relaxed);
        let before = cpu_time();
        chore.await?;
        let cpu = cpu_time().zip(before).map(|(after, before)| after - before);
        heart.beat.notified().await; // the one that ends the last gap
        let longest = Duration::from_nanos(heart.longest_gap.load(Ordering::Relaxed));
        Ok(Gap { longest, cpu })
    })
}

/// A loop with one thread. Its pool has so many at most, and counts those that it starts.
fn loop_with(pool_max: usize, started: &Arc<AtomicUsize>) -> io::Result<Runtime> {
    let started = Arc::clone(started);
    let mut builder = Builder::new_current_thread();
    builder.on_thread_start(move || {
        started.fetch_add(1, Ordering::Relaxed);
    });
    builder.max_blocking_threads(pool_max).enable_all().build()
}
// ANCHOR_END: measure

#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

// ANCHOR: cases
type Chore = Pin<Box<dyn Future<Output = io::Result<()>>>>;

struct Case {
    name: &'static str,
    on_the_loop: fn(&Things) -> Chore,
    elsewhere: fn(&Things) -> Chore,
    place: &'static str,
}

const CASES: [Case; 7] = [
    Case {
        name: "resolves a name",
        on_the_loop: |_| Box::pin(resolves_a_name()),
        elsewhere: |_| Box::pin(resolves_in_the_pool()),
        place: "tokio::net::lookup_host: the pool",
    },
    Case {
        name: "reads a file",
        on_the_loop: |things| Box::pin(reads_a_file(things.large.clone())),
        elsewhere: |things| Box::pin(reads_in_the_pool(things.large.clone())),
        place: "tokio::fs: the pool",
    },
    Case {
        name: "saves a file",
        on_the_loop: |things| Box::pin(saves_a_file(things.small.clone())),
        elsewhere: |things| Box::pin(saves_in_the_pool(things.small.clone())),
        place: "tokio::fs: the pool",
    },
    Case {
        name: "takes a lock",
        on_the_loop: |_| Box::pin(takes_a_lock()),
        elsewhere: |_| Box::pin(awaits_a_lock()),
        place: "a lock that can be awaited",
    },
    Case {
        name: "logs a line",
        on_the_loop: |_| Box::pin(logs_a_line()),
        elsewhere: |_| Box::pin(logs_by_a_thread()),
        place: "a thread that writes",
    },
    Case {
        name: "parses a JSON",
        on_the_loop: |things| Box::pin(parses_a_json(Arc::clone(&things.json))),
        elsewhere: |things| Box::pin(parses_on_rayon(Arc::clone(&things.json))),
        place: "rayon",
    },
    Case {
        name: "drops a variable",
        on_the_loop: |things| Box::pin(drops_a_structure(strings(things.strings))),
        elsewhere: |things| Box::pin(drops_on_rayon(strings(things.strings))),
        place: "rayon",
    },
];
// ANCHOR_END: cases

/// What the lines work on. Its folder is gone when it is dropped.
struct Things {
    _folder: TempDir,
    large: PathBuf,
    small: PathBuf,
    json: Arc<str>,
    /// How many a structure has.
    strings: usize,
}

impl Things {
    fn new() -> io::Result<Things> {
        let folder = tempfile::tempdir()?;
        let (large, small) = (folder.path().join("large"), folder.path().join("small"));
        fs::write(&large, vec![0; LARGE])?;
        let few = 20_000;
        let for_work = |time: Duration| (WORK.div_duration_f64(time) * few as f64) as usize;
        let json = users(few);
        let to_parse = for_work(least(|| &*json, |json| parse(json).map(drop))?);
        let to_drop = for_work(least(
            || strings(few),
            |strings| {
                drop(strings);
                Ok(())
            },
        )?);
        Ok(Things {
            _folder: folder,
            large,
            small,
            json: users(to_parse.min(few * JSON_MAX / json.len())).into(),
            strings: to_drop.min(STRINGS_MAX),
        })
    }
}

/// The least time of three, on a CPU where the system says that: what else runs does not count.
fn least<T>(prepare: impl Fn() -> T, work: impl Fn(T) -> io::Result<()>) -> io::Result<Duration> {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let with = prepare();
        let (start, cpu) = (Instant::now(), cpu_time());
        work(with)?;
        let cpu = cpu_time().zip(cpu).map(|(after, before)| after - before);
        least = least.min(cpu.unwrap_or_else(|| start.elapsed()));
    }
    Ok(least)
}

/// A JSON with so many users.
fn users(number: usize) -> String {
    let mut json = "[".to_owned();
    for id in 0..number {
        let comma = if id == 0 { "" } else { "," };
        json += &format!(r#"{comma}{{"id":{id},"name":"user {id}","tags":["new","tag {id}"]}}"#);
    }
    json + "]"
}

/// So many strings, in another order than that of their memory: as after a while of use.
fn strings(number: usize) -> Strings {
    const STRIDE: usize = 618_033_989;

    let mut strings: Strings = (0..number).map(|n| Box::new(format!("string {n}"))).collect();
    for n in 0..number {
        strings.swap(n, n.wrapping_mul(STRIDE) % number);
    }
    strings
}

const AT_ONCE: usize = 20;

// ANCHOR: pool
/// Starts this many at once, on a loop, and returns how many threads its pool has started.
fn pool_threads<F>(one: impl Fn() -> F) -> io::Result<usize>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let started = Arc::default();
    loop_with(POOL_MAX, &started)?.block_on(async {
        let tasks: Vec<JoinHandle<_>> = (0..AT_ONCE).map(|_| tokio::spawn(one())).collect();
        for task in tasks {
            task.await??;
        }
        Ok(started.load(Ordering::Relaxed))
    })
}

/// How long it takes to resolve a name, while the only thread of the pool waits for something else.
fn name_behind_a_handler() -> io::Result<Duration> {
    loop_with(1, &Arc::default())?.block_on(async {
        let start = Instant::now();
        let handler = spawn_blocking(|| thread::sleep(WORK));
        black_box(tokio::net::lookup_host(NAME).await?.next());
        let took = start.elapsed();
        handler.await?;
        Ok(took)
    })
}
// ANCHOR_END: pool

/// So many times as long a gap is another thing.
const SEVERAL: u32 = 3;

/// How often each is measured. The least gap counts: one that is the machine's own comes and goes.
const TRIES: usize = 2;

fn least_gap(things: &Things, chore: fn(&Things) -> Chore) -> io::Result<Gap> {
    let mut least = measure(chore(things))?;
    for _ in 1..TRIES {
        let gap = measure(chore(things))?;
        if gap.longest < least.longest {
            least = gap;
        }
    }
    Ok(least)
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "A heart beats every {BEAT:?}. The longest time between two beats, in ms, the least of \
         {TRIES} tries.\nExpected: about {} on the loop, less than a third of it elsewhere.\n\n\
         {:<18}{:>12}{:>16}{:>12}  where",
        WORK.as_millis(),
        "a handler that",
        "on the loop",
        "of it on a CPU",
        "elsewhere"
    )?;
    let things = Things::new()?;
    let own = least_gap(&things, |_| Box::pin(sleeps()))?.longest;
    for Case { name, on_the_loop, elsewhere, place } in &CASES {
        let gap = least_gap(&things, *on_the_loop)?;
        let moved = least_gap(&things, *elsewhere)?.longest;
        let cpu = gap.cpu.map_or("-".to_owned(), |time| format!("{:.1}", ms(time)));
        let judged = if gap.longest >= SEVERAL * moved {
            ""
        } else if gap.longest < SEVERAL * own {
            "; not judged: too short for this heart, or the machine is too busy"
        } else {
            "; not as expected"
        };
        let (gap, moved) = (ms(gap.longest), ms(moved));
        writeln!(out, "{name:<18}{gap:>12.1}{cpu:>16}{moved:>12.1}  {place}{judged}")?;
    }
    writeln!(out, "{:<46}{:>12.1}  sleep", "waits, as it should", ms(own))?;
    let names = pool_threads(async || tokio::net::lookup_host(NAME).await.map(drop))?;
    let small = things.small.clone();
    let files = pool_threads(move || {
        let small = small.clone();
        async move { tokio::fs::read(small).await.map(drop) }
    })?;
    writeln!(
        out,
        "\n{AT_ONCE} names at once start {names} threads of the pool, {AT_ONCE} files {files}. It \
         is one pool for all: while its\nonly thread is in a handler of {WORK:?}, a name takes \
         {:.1} ms.",
        ms(name_behind_a_handler()?)
    )
}

async fn sleeps() -> io::Result<()> {
    tokio::time::sleep(WORK).await;
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn main() -> ExitCode {
    command_line::experiment("hidden_blocking", print)
}

#[cfg(test)]
mod tests {
    use std::sync::MutexGuard;

    use tokio::task::yield_now;

    use super::*;

    /// One test at a time: what runs beside a measurement is measured with it.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());

        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gap(chore: Chore) -> Gap {
        measure(chore).expect("the system gives threads, a pipe and a file")
    }

    /// The gap on the loop is several times the one elsewhere. Returns the former.
    fn assert_stops_the_loop(name: &str) -> Gap {
        const TRIES: usize = 10;

        let case = CASES.iter().find(|case| case.name == name).expect("it is one of them");
        let things = Things::new().expect("the system has room for files");
        let on_the_loop = gap((case.on_the_loop)(&things));
        assert!(on_the_loop.longest >= WORK / 4, "{name}: {:?}", on_the_loop.longest);
        let limit = on_the_loop.longest / SEVERAL;
        let is_longer = |gap: &Duration| *gap > limit;
        let elsewhere = (0..TRIES).map(|_| gap((case.elsewhere)(&things)).longest);
        let elsewhere: Vec<Duration> = elsewhere.take_while(is_longer).collect();
        let own = gap(Box::pin(sleeps())).longest;
        if elsewhere.len() == TRIES && is_longer(&own) {
            println!("not judged: {name}: the machine's own gap is {own:?}");
        } else {
            assert!(
                elsewhere.len() < TRIES,
                "{name}: {on:?} {elsewhere:?}",
                on = on_the_loop.longest
            );
        }
        on_the_loop
    }

    #[test]
    fn to_resolve_a_name_stops_the_loop() {
        let _alone = alone();
        assert_stops_the_loop("resolves a name");
    }

    #[test]
    fn to_read_a_file_stops_the_loop() {
        let _alone = alone();
        assert_stops_the_loop("reads a file");
    }

    #[test]
    fn to_save_a_file_stops_the_loop() {
        let _alone = alone();
        assert_stops_the_loop("saves a file");
    }

    #[test]
    fn to_wait_for_a_lock_stops_the_loop_and_no_cpu_monitor_shows_it() {
        let _alone = alone();
        let Gap { longest, cpu } = assert_stops_the_loop("takes a lock");
        assert!(longest >= WORK / 2, "{longest:?}");
        assert!(cpu.is_none_or(|cpu| cpu < WORK / 4), "{cpu:?}");
    }

    #[test]
    fn to_log_a_line_stops_the_loop_and_no_cpu_monitor_shows_it() {
        let _alone = alone();
        let Gap { longest, cpu } = assert_stops_the_loop("logs a line");
        assert!(longest >= WORK / 2, "{longest:?}");
        assert!(cpu.is_none_or(|cpu| cpu < WORK / 4), "{cpu:?}");
    }

    #[test]
    fn to_parse_a_json_stops_the_loop_by_computing() {
        let _alone = alone();
        let Gap { cpu, .. } = assert_stops_the_loop("parses a JSON");
        assert!(cpu.is_none_or(|cpu| cpu >= WORK / 4), "{cpu:?}");
    }

    #[test]
    fn to_drop_a_variable_stops_the_loop_by_computing() {
        let _alone = alone();
        let Gap { cpu, .. } = assert_stops_the_loop("drops a variable");
        assert!(cpu.is_none_or(|cpu| cpu >= WORK / 4), "{cpu:?}");
    }

    #[test]
    fn names_and_files_take_threads_of_the_pool() {
        let _alone = alone();
        let folder = tempfile::tempdir().expect("the system has room for files");
        let file = folder.path().join("small");
        fs::write(&file, [0; SMALL]).expect("the folder is ours");
        let names = pool_threads(async || tokio::net::lookup_host(NAME).await.map(drop));
        let names = names.expect("the name is known");
        assert!((1..=AT_ONCE).contains(&names), "{names}");
        let files = pool_threads(move || {
            let file = file.clone();
            async move { tokio::fs::read(file).await.map(drop) }
        });
        let files = files.expect("the file is there");
        assert!((1..=AT_ONCE).contains(&files), "{files}");
        let none = pool_threads(async || NAME.to_socket_addrs().map(drop)).expect("it is known");
        assert_eq!(none, 0);
    }

    #[test]
    fn while_the_pool_is_taken_no_name_is_resolved_and_no_file_read() {
        let _alone = alone();
        let file = tempfile::NamedTempFile::new().expect("the system has room for files");
        let path = file.path().to_owned();
        let started = Arc::default();
        let runtime = loop_with(1, &started).expect("descriptors are free");
        runtime.block_on(async {
            let (open, gate) = mpsc::channel();
            let handler = spawn_blocking(move || gate.recv());
            let name = tokio::spawn(async { tokio::net::lookup_host(NAME).await.map(drop) });
            let file = tokio::spawn(tokio::fs::read(path));
            for _ in 0..1000 {
                yield_now().await;
            }
            assert!(!name.is_finished() && !file.is_finished());
            open.send(()).expect("the handler waits for it");
            handler.await.expect("no panic").expect("it was sent");
            name.await.expect("no panic").expect("the name is known");
            file.await.expect("no panic").expect("the file is there");
        });
        assert_eq!(started.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_name_waits_behind_a_handler_when_the_pool_is_taken() {
        let _alone = alone();
        let took = name_behind_a_handler().expect("the name is known");
        assert!(took >= WORK, "{took:?}");
    }
}

//! Threads or tasks, when a database is what both wait for.
//!
//! 1000 requests arrive at once. Each makes two queries of 10 ms, one after the other. An often
//! quoted sum gives them 50 threads and has 400 ms, and 1000 tasks and has 20 ms: "20 times as
//! fast". The sum is right. Predict what it compares, by three columns: 50 threads, 1000 threads,
//! and 1000 tasks on one thread. In each row the database has fewer connections than in the one
//! before.
//!
//! The database is simulated: a query is a wait of 10 ms that holds one of k connections. Who waits
//! longest for a connection has the next one, with threads and with tasks alike.
//!
//! `cargo run -p ch08-web-server --example little`

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};

const REQUESTS: usize = 1000;
const QUERIES: usize = 2;
const QUERY: Duration = Duration::from_millis(10);

/// How many connections the database has: k.
const CONNECTIONS: [usize; 5] = [1000, 100, 50, 20, 10];

/// A small stack is enough for a thread that only waits.
const STACK: usize = 64 << 10;

/// The least time in which k connections can do it.
fn ideal(connections: usize) -> Duration {
    let rounds = REQUESTS.div_ceil(connections);
    QUERY * u32::try_from(QUERIES * rounds).expect("it is a small number")
}

// ANCHOR: pool
/// The connections, for threads. tokio's `Semaphore` is the same for tasks: whoever waits longest
/// is given what another one gives back.
#[derive(Default)]
struct Pool(Mutex<State>);

#[derive(Default)]
struct State {
    free: usize,
    waiting: VecDeque<SyncSender<()>>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return;
        }
        let (given, mine) = mpsc::sync_channel(1);
        state.waiting.push_back(given);
        drop(state);
        mine.recv().expect("the queue keeps the other end until it sends");
    }

    fn give(&self, connections: usize) {
        let mut state = self.lock();
        for _ in 0..connections {
            match state.waiting.pop_front() {
                Some(next) => next.send(()).expect("it waits"),
                None => state.free += 1,
            }
        }
    }
}
// ANCHOR_END: pool

/// A request that has ended: when, and for how long it held connections.
#[derive(Clone, Copy)]
struct Ended {
    at: Instant,
    held: Duration,
}

/// What is known of a run.
struct Run {
    /// From the moment at which the database has its connections to the end of the last request.
    wall: Duration,
    /// Of a request, on average.
    latency: Duration,
    /// For how long a query held its connection, on average.
    held: Duration,
    /// What the threads or tasks take while all of them wait.
    memory: Option<Memory>,
}

impl Run {
    fn new(start: Instant, ended: &[Ended], memory: Option<Memory>) -> Run {
        let number = u32::try_from(ended.len()).expect("it is a small number");
        let queries = number * u32::try_from(QUERIES).expect("it is a small number");
        Run {
            wall: ended.iter().map(|ended| ended.at - start).max().unwrap_or_default(),
            latency: ended.iter().map(|ended| ended.at - start).sum::<Duration>() / number,
            held: ended.iter().map(|ended| ended.held).sum::<Duration>() / queries,
            memory,
        }
    }
}

// ANCHOR: threads
/// A request, for a thread.
fn request(pool: &Pool) -> Ended {
    let mut held = Duration::ZERO;
    for _ in 0..QUERIES {
        pool.take();
        let start = Instant::now();
        thread::sleep(QUERY);
        held += start.elapsed();
        pool.give(1);
    }
    Ended { at: Instant::now(), held }
}

/// The requests, by so many threads. The database gets its connections once all of them wait.
fn by_threads(threads: usize, connections: usize) -> io::Result<Run> {
    let (pool, taken) = (Pool::default(), AtomicUsize::new(0));
    let work = || {
        let mut ended = Vec::new();
        while taken.fetch_add(1, Ordering::Relaxed) < REQUESTS {
            ended.push(request(&pool));
        }
        ended
    };
    thread::scope(|scope| {
        let before = Memory::now();
        let spawn = |_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let spawned: io::Result<Vec<_>> = (0..threads).map(spawn).collect();
        while spawned.is_ok() && pool.lock().waiting.len() < threads {
            thread::yield_now();
        }
        let memory = Memory::added(before);
        let start = Instant::now();
        pool.give(connections); // also when a thread was refused: the others wait for it
        let ended = spawned?.into_iter().flat_map(|thread| thread.join().expect("no panic"));
        Ok(Run::new(start, &ended.collect::<Vec<_>>(), memory))
    })
}
// ANCHOR_END: threads

// ANCHOR: tasks
/// A request, for a task.
async fn request_async(pool: Arc<Semaphore>, waiting: Arc<AtomicUsize>) -> Ended {
    let mut held = Duration::ZERO;
    waiting.fetch_add(1, Ordering::Relaxed);
    for _ in 0..QUERIES {
        let connection = pool.acquire().await.expect("nobody closes it");
        let start = Instant::now();
        tokio::time::sleep(QUERY).await;
        held += start.elapsed();
        drop(connection);
    }
    Ended { at: Instant::now(), held }
}

/// The requests, by a task for each, on this thread.
fn by_tasks(connections: usize) -> io::Result<Run> {
    Builder::new_current_thread().enable_time().build()?.block_on(async {
        let (pool, waiting) = (Arc::new(Semaphore::new(0)), Arc::default());
        let before = Memory::now();
        let spawn = |_| tokio::spawn(request_async(Arc::clone(&pool), Arc::clone(&waiting)));
        let tasks: Vec<JoinHandle<Ended>> = (0..REQUESTS).map(spawn).collect();
        while waiting.load(Ordering::Relaxed) < REQUESTS {
            yield_now().await;
        }
        let memory = Memory::added(before);
        let start = Instant::now();
        pool.add_permits(connections);
        let mut ended = Vec::new();
        for task in tasks {
            ended.push(task.await?);
        }
        Ok(Run::new(start, &ended, memory))
    })
}
// ANCHOR_END: tasks

/// What the kernel holds, in bytes.
#[derive(Clone, Copy)]
struct Memory {
    /// For this process: resident pages, and the tables that say where they lie.
    process: u64,
    /// For the stacks that threads have inside of the kernel, those of the whole machine.
    kernel_stacks: u64,
}

impl Memory {
    /// `None` where the system does not say.
    fn now() -> Option<Memory> {
        let read = |file, name: &str| field(&fs::read_to_string(file).ok()?, name);
        Some(Memory {
            process: read("/proc/self/smaps_rollup", "Rss:")?
                + read("/proc/self/status", "VmPTE:")?,
            kernel_stacks: read("/proc/meminfo", "KernelStack:")?,
        })
    }

    fn added(before: Option<Memory>) -> Option<Memory> {
        let (before, now) = (before?, Memory::now()?);
        Some(Memory {
            process: now.process.saturating_sub(before.process),
            kernel_stacks: now.kernel_stacks.saturating_sub(before.kernel_stacks),
        })
    }
}

/// The number after a name, in bytes; /proc gives it in KiB.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

// ANCHOR: measure
/// The threads of the often quoted sum.
const FEW: usize = 50;

/// Two walls that differ by more than this are two.
const FAR: f64 = 1.3;

/// Unless they differ by no more than what the kernel may need to wake up all threads: 50 µs each.
const WAKING: Duration = Duration::from_micros(50 * REQUESTS as u64);

/// The same requests, by three models, with so many connections.
struct Row {
    connections: usize,
    few_threads: Run,
    threads: Run,
    tasks: Run,
}

fn measure(connections: usize) -> io::Result<Row> {
    let mut row = Row {
        connections,
        tasks: by_tasks(connections)?, // before there were threads, whose memory it could use again
        threads: by_threads(REQUESTS, connections)?,
        few_threads: by_threads(FEW, connections)?,
    };
    for _ in 1..tries(connections) {
        row.again()?;
    }
    Ok(row)
}

/// A short run is repeated, and the shortest one counts: 1000 threads take a while to wake up.
fn tries(connections: usize) -> usize {
    const ENOUGH: Duration = Duration::from_millis(400);
    const MOST: u128 = 5;

    let tries = ENOUGH.as_millis() / ideal(connections).as_millis();
    usize::try_from(tries.clamp(1, MOST)).expect("it is a small number")
}

impl Row {
    fn again(&mut self) -> io::Result<()> {
        self.tasks.keep_shorter(by_tasks(self.connections)?);
        self.threads.keep_shorter(by_threads(REQUESTS, self.connections)?);
        Ok(())
    }

    /// Do the two models take the same time?
    fn coincide(&self) -> bool {
        (1.0 / FAR..FAR).contains(&self.ratio())
            || self.tasks.wall.abs_diff(self.threads.wall) < WAKING
    }

    /// How long the tasks took, in times of the threads.
    fn ratio(&self) -> f64 {
        self.tasks.wall.as_secs_f64() / self.threads.wall.as_secs_f64()
    }
}

impl Run {
    /// The memory stays what it was at first. A second run uses again what the first one gave back.
    fn keep_shorter(&mut self, other: Run) {
        if other.wall < self.wall {
            *self = Run { memory: self.memory, ..other };
        }
    }
}
// ANCHOR_END: measure

/// How late this machine wakes up who sleeps for a query, at worst, with nothing beside it.
fn lateness() -> io::Result<Duration> {
    Builder::new_current_thread().enable_time().build()?.block_on(async {
        let mut worst = Duration::ZERO;
        for _ in 0..20 {
            let start = Instant::now();
            tokio::time::sleep(QUERY).await;
            worst = worst.max(start.elapsed() - QUERY);
        }
        Ok(worst)
    })
}

/// Who wakes up later than this cannot be judged: a fifth of a query.
const LATE: Duration = Duration::from_millis(2);

// ANCHOR: law
/// L = λ·W. Of L connections, each is held for W: so the database does λ = L / W queries a second.
fn queries_a_second(connections: usize, run: &Run) -> f64 {
    connections as f64 / run.held.as_secs_f64()
}

/// So long all queries take then.
fn predicted(connections: usize, run: &Run) -> Duration {
    Duration::from_secs_f64((REQUESTS * QUERIES) as f64 / queries_a_second(connections, run))
}
// ANCHOR_END: law

/// The row that the law is shown with: 50 connections.
const SHOWN: usize = 2;

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{REQUESTS} requests at once, each with {QUERIES} queries of {QUERY:?}, one after the \
         other.\nExpected: with as few connections, {REQUESTS} threads are as late as {REQUESTS} \
         tasks.\n\nms until the last request has ended\n{:>11}{:>9}{:>12}{:>14}{:>12}{:>17}",
        "connections", "at best", "50 threads", "1000 threads", "1000 tasks", "tasks : threads"
    )?;
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        let row = match measure(connections) {
            Ok(row) => row,
            Err(error) => return writeln!(out, "not judged: {error}"),
        };
        writeln!(
            out,
            "{connections:>11}{:>9.0}{:>12.1}{:>14.1}{:>12.1}{:>17.2}",
            ms(ideal(connections)),
            ms(row.few_threads.wall),
            ms(row.threads.wall),
            ms(row.tasks.wall),
            row.ratio()
        )?;
        rows.push(row);
    }
    let same = rows.iter().filter(|row| row.coincide()).count();
    writeln!(out, "\nThreads and tasks take the same time in {same} of {} rows.", rows.len())?;
    let late = lateness()?;
    if same < rows.len() && late > LATE {
        writeln!(out, "not judged: this machine wakes up who sleeps {late:?} too late")?;
    }
    print_memory(out, &rows[0])?;
    print_law(out, &rows[SHOWN])?;
    writeln!(
        out,
        "\n\"50 threads take 400 ms, tasks take 20 ms\" is the first row, and true. Its two sides \
         differ in how\nmany requests may wait at once, {FEW} or {REQUESTS}, and its database \
         answers {REQUESTS} queries at once."
    )
}

fn print_memory(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    let (Some(threads), Some(tasks)) = (row.threads.memory, row.tasks.memory) else {
        return writeln!(out, "\nmemory: not judged: this system has no /proc/self/smaps_rollup");
    };
    writeln!(
        out,
        "\nWhile all of them wait, {REQUESTS} threads hold {:.1} MiB, and {:.1} MiB of stacks \
         inside of the kernel.\n{REQUESTS} tasks hold {:.1} MiB.",
        mib(threads.process),
        mib(threads.kernel_stacks),
        mib(tasks.process)
    )
}

fn print_law(out: &mut dyn Write, Row { connections, tasks, .. }: &Row) -> io::Result<()> {
    writeln!(
        out,
        "\nLittle's law, L = λ·W, for the connections: {connections} are held (L), each for {:.1} \
         ms (W).\nSo the database does λ = {:.0} queries a second, and {} of them take {:.1} ms.\n\
         Measured: {:.1} ms by tasks. A request took {:.1} ms on average. (tokio's timers count \
         whole\nmilliseconds and round up: by tasks, a query of {QUERY:?} takes longer.)",
        ms(tasks.held),
        queries_a_second(*connections, tasks),
        REQUESTS * QUERIES,
        ms(predicted(*connections, tasks)),
        ms(tasks.wall),
        ms(tasks.latency)
    )
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn main() -> ExitCode {
    command_line::experiment("little", print)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// Measured once, one after the other: what runs beside a measurement is measured with it.
    static ROWS: LazyLock<Mutex<io::Result<Vec<Row>>>> =
        LazyLock::new(|| Mutex::new([1000, 100, 50].into_iter().map(measure).collect()));

    /// How often something is measured again that a busy machine may have spoiled.
    const TRIES: usize = 8;

    /// Looks at the rows, if there are some.
    fn with_rows(look: impl FnOnce(&mut [Row])) {
        match &mut *ROWS.lock().unwrap_or_else(PoisonError::into_inner) {
            Ok(rows) => look(rows),
            Err(error) => println!("not judged: {error}"),
        }
    }

    #[test]
    fn with_the_same_connections_threads_and_tasks_take_the_same_time() {
        with_rows(|rows| {
            for row in rows {
                for _ in 0..TRIES {
                    if !row.coincide() {
                        row.again().expect("it went well before");
                    }
                }
                let late = lateness().expect("it went well before");
                if !row.coincide() && late > LATE {
                    println!("not judged: {} connections: late by {late:?}", row.connections);
                    continue;
                }
                assert!(row.coincide(), "{} connections: {}", row.connections, row.ratio());
            }
        });
    }

    #[test]
    fn nobody_is_faster_than_the_connections_allow() {
        with_rows(|rows| {
            for Row { connections, few_threads, threads, tasks } in rows {
                for run in [&few_threads, &threads, &tasks] {
                    assert!(run.wall >= ideal(*connections), "{connections}: {:?}", run.wall);
                }
                assert!(few_threads.wall >= ideal(FEW), "{connections}: {:?}", few_threads.wall);
            }
        });
    }

    #[test]
    fn a_thousand_threads_are_not_fifty() {
        with_rows(|rows| {
            let (few, threads) = (rows[0].few_threads.wall, rows[0].threads.wall);
            if threads > 10 * ideal(REQUESTS) {
                return println!("not judged: this machine takes {threads:?} to wake them up");
            }
            assert!(few >= 2 * threads, "{few:?}, {threads:?}");
        });
    }

    /// The connections cannot be held for longer than the run takes. They are not held between two
    /// queries: on a busy machine the thread may be off its CPU just then, so there are several
    /// tries.
    #[test]
    fn little_s_law_predicts_the_time() {
        let wrong_by = |connections, tasks: &Run| {
            let ratio = tasks.wall.div_duration_f64(predicted(connections, tasks));
            assert!(ratio > 0.999, "{connections} connections: {ratio}");
            ratio - 1.0
        };
        with_rows(|rows| {
            for Row { connections, tasks, .. } in &rows[1..] {
                let mut wrong = wrong_by(*connections, tasks);
                for _ in 0..TRIES {
                    if wrong > 0.1 {
                        let again = by_tasks(*connections).expect("it went well before");
                        wrong = wrong_by(*connections, &again);
                    }
                }
                let late = lateness().expect("it went well before");
                if wrong > 0.1 && late > LATE {
                    println!("not judged: {connections} connections: late by {late:?}");
                    continue;
                }
                assert!(wrong <= 0.1, "{connections} connections: {wrong}");
            }
        });
    }

    #[test]
    fn memory_is_what_differs() {
        with_rows(|rows| {
            let (Some(threads), Some(tasks)) = (rows[0].threads.memory, rows[0].tasks.memory)
            else {
                return println!("not judged: this system has no /proc/self/smaps_rollup");
            };
            assert!(threads.process > 5 * tasks.process, "{} {}", threads.process, tasks.process);
        });
    }

    #[test]
    fn the_pool_of_the_threads_is_first_come_first_served() {
        let (pool, order) = (Pool::default(), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for number in 0..3 {
                let (pool, order) = (&pool, &order);
                scope.spawn(move || {
                    pool.take();
                    order.lock().expect("nobody panics while holding it").push(number);
                    pool.give(1);
                });
                while pool.lock().waiting.len() <= number {
                    thread::yield_now();
                }
            }
            pool.give(1);
        });
        assert_eq!(order.into_inner().expect("nobody panicked"), [0, 1, 2]);
        assert_eq!(pool.lock().free, 1);
    }
}

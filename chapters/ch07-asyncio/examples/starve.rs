//! What a neighbour does to a heartbeat, when both are tasks of one thread.
//!
//! A task beats every 10 ms. For 300 ms, a second task does one of seven things: each takes the
//! same time. Predict for which of the seven the heart goes on beating.
//!
//! `cargo run -p ch07-asyncio --example starve`

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{Notify, Runtime, interval, sleep, spawn, spawn_blocking, yield_now};
use fib_timing::fib;

const PERIOD: Duration = Duration::from_millis(10);

/// How long the neighbour takes.
const WORK: Duration = Duration::from_millis(300);

/// A part of the computation, far shorter than a period: fib of this.
const CHUNK: u32 = 20;

/// More than any pipe holds, in bytes.
const MUCH: usize = 4 << 20;

// ANCHOR: polite
/// Waits, and its thread is free.
async fn awaits_a_sleep() -> io::Result<()> {
    sleep(WORK).await;
    Ok(())
}

/// Computes, and lets the others have their turn after each part.
async fn computes_and_yields() -> io::Result<()> {
    let end = Instant::now() + WORK;
    while Instant::now() < end {
        black_box(fib(CHUNK));
        yield_now().await;
    }
    Ok(())
}

/// Computes on another thread, and awaits that.
async fn computes_in_the_pool() -> io::Result<()> {
    spawn_blocking(compute).await.expect("nobody aborts it, and it does not panic");
    Ok(())
}
// ANCHOR_END: polite

fn compute() {
    let end = Instant::now() + WORK;
    while Instant::now() < end {
        black_box(fib(CHUNK));
    }
}

// ANCHOR: rude
/// Waits, and so does its thread, with all that is on it.
async fn sleeps_its_thread() -> io::Result<()> {
    thread::sleep(WORK);
    Ok(())
}

async fn computes() -> io::Result<()> {
    compute();
    Ok(())
}

/// Waits for a lock that another thread holds.
async fn locks_a_mutex() -> io::Result<()> {
    let mutex = Arc::new(Mutex::new(()));
    let (locked, is_locked) = mpsc::channel();
    let holder = thread::spawn({
        let mutex = Arc::clone(&mutex);
        move || {
            let _guard = mutex.lock();
            let _ = locked.send(());
            thread::sleep(WORK);
        }
    });
    is_locked.recv().map_err(io::Error::other)?;
    drop(mutex.lock());
    holder.join().map_err(|_| io::Error::other("the thread that held the lock panicked"))
}

/// Writes more to a pipe than fits, and nobody reads for a while.
async fn writes_to_a_full_pipe() -> io::Result<()> {
    let (mut reading, mut writing) = io::pipe()?;
    let reader = thread::spawn(move || {
        thread::sleep(WORK);
        reading.read_exact(&mut vec![0; MUCH])
    });
    writing.write_all(&vec![0; MUCH])?;
    reader.join().map_err(|_| io::Error::other("the thread that reads panicked"))?
}
// ANCHOR_END: rude

// ANCHOR: heart
/// What is known of the heart.
#[derive(Default)]
struct Heart {
    beat: Notify,
    beats: Cell<usize>,
    longest_gap: Cell<Duration>,
}

async fn beat(heart: Rc<Heart>) {
    let (mut interval, mut last) = (interval(PERIOD), Instant::now());
    loop {
        interval.tick().await;
        let now = Instant::now();
        heart.longest_gap.set(heart.longest_gap.get().max(now - last));
        heart.beats.set(heart.beats.get() + 1);
        heart.beat.notify_waiters();
        last = now;
    }
}
// ANCHOR_END: heart

// ANCHOR: measure
struct Gaps {
    /// Beats between the neighbour's first line and its last, and how many more were due.
    beats: usize,
    missed: usize,
    /// The longest time between two beats, in periods.
    longest: f64,
}

fn measure(neighbour: impl Future<Output = io::Result<()>> + 'static) -> io::Result<Gaps> {
    Runtime::new()?.block_on(async {
        let heart = Rc::new(Heart::default());
        spawn(beat(Rc::clone(&heart)));
        heart.beat.notified().await;
        let (start, before) = (Instant::now(), heart.beats.get());
        let worked = spawn({
            let heart = Rc::clone(&heart);
            async move { neighbour.await.map(|()| heart.beats.get() - before) }
        });
        let beats = worked.await.expect("nobody aborts it, and it does not panic")?;
        let due = start.elapsed().as_millis() / PERIOD.as_millis();
        heart.beat.notified().await; // the one that ends the last gap
        let longest = heart.longest_gap.get().as_secs_f64() / PERIOD.as_secs_f64();
        Ok(Gaps { beats, missed: (due as usize).saturating_sub(beats), longest })
    })
}
// ANCHOR_END: measure

type Neighbour = Pin<Box<dyn Future<Output = io::Result<()>>>>;

fn neighbours() -> [(&'static str, Neighbour); 7] {
    [
        ("awaits sleep", Box::pin(awaits_a_sleep())),
        ("calls thread::sleep", Box::pin(sleeps_its_thread())),
        ("computes", Box::pin(computes())),
        ("computes, and yields now and then", Box::pin(computes_and_yields())),
        ("computes in spawn_blocking", Box::pin(computes_in_the_pool())),
        ("locks what another thread holds", Box::pin(locks_a_mutex())),
        ("writes to a full pipe", Box::pin(writes_to_a_full_pipe())),
    ]
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "a heart that beats every {PERIOD:?}, and a neighbour that takes {WORK:?}")?;
    writeln!(
        out,
        "{:<36}{:>5}{:>8}{:>26}",
        "the neighbour", "beats", "missed", "longest gap, in periods"
    )?;
    for (name, neighbour) in neighbours() {
        let Gaps { beats, missed, longest } = measure(neighbour)?;
        writeln!(out, "{name:<36}{beats:>5}{missed:>8}{longest:>26.1}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("starve", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(neighbour: impl Future<Output = io::Result<()>> + 'static) -> Gaps {
        measure(neighbour).expect("the system gives a selector, a thread and a pipe")
    }

    /// Not one beat, for the whole of that time.
    fn assert_starves(neighbour: impl Future<Output = io::Result<()>> + 'static) {
        let periods = WORK.as_millis() as usize / PERIOD.as_millis() as usize;
        let Gaps { beats, missed, longest } = gaps(neighbour);
        assert_eq!(beats, 0);
        assert!(missed >= periods, "{missed}");
        assert!(longest >= periods as f64, "{longest}");
    }

    /// Some of the 30. A machine that is busy with other things may skip beats, so there are
    /// several tries. A neighbour that blocks the thread fails in all of them.
    fn assert_beats<F>(neighbour: impl Fn() -> F)
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let beats: Vec<usize> =
            (0..20).map(|_| gaps(neighbour()).beats).take_while(|beats| *beats < 5).collect();
        assert!(beats.len() < 20, "{beats:?}");
    }

    #[test]
    fn a_neighbour_that_gives_the_thread_back_leaves_the_heart_alone() {
        assert_beats(awaits_a_sleep);
        assert_beats(computes_and_yields);
        assert_beats(computes_in_the_pool);
    }

    #[test]
    fn a_neighbour_that_blocks_the_thread_stops_the_heart() {
        assert_starves(sleeps_its_thread());
        assert_starves(locks_a_mutex());
        assert_starves(writes_to_a_full_pipe());
    }

    #[test]
    fn a_neighbour_that_computes_stops_the_heart() {
        assert_starves(computes());
    }
}

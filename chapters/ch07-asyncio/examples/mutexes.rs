//! Which lock may be held across an `.await`?
//!
//! A task takes a lock, gives its thread back, and then lets the lock go. Another task on the same
//! thread wants it meanwhile. A lock of `std::sync` would block the thread: the only one that could
//! ever let it go. (Here the second task asks with `try_lock`, so that the example ends.) tokio's
//! lock makes the task wait, and not its thread. Predict the order in which the two tasks get on.
//!
//! Where nothing is awaited in between, the lock of `std::sync` is right, and cheaper. Predict how
//! many times.
//!
//! `cargo run -p ch07-asyncio --features tokio --example mutexes`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{Runtime, spawn, yield_now};

/// What happened, in order.
type Trace = Rc<RefCell<Vec<&'static str>>>;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().expect("descriptors are free").block_on(future)
}

// ANCHOR: std
/// WRONG: the guard of a `std::sync::Mutex` lives across an `.await`.
///
/// On tokio's executor for several threads this does not compile, since the guard is not `Send`. On
/// one thread it compiles.
#[expect(clippy::await_holding_lock, reason = "that is what is shown")]
async fn std_holder(mutex: Arc<Mutex<()>>, trace: Trace) {
    let guard = mutex.lock().expect("nobody panics while holding this lock");
    trace.borrow_mut().push("1 holds the lock");
    yield_now().await;
    drop(guard);
    trace.borrow_mut().push("1 let it go");
}

async fn std_other(mutex: Arc<Mutex<()>>, trace: Trace) {
    trace.borrow_mut().push(match mutex.try_lock() {
        Ok(_) => "2 got it",
        Err(TryLockError::WouldBlock) => "2 would block the thread, and nobody could let go",
        Err(TryLockError::Poisoned(_)) => "somebody panicked",
    });
}
// ANCHOR_END: std

// ANCHOR: tokio
async fn tokio_holder(mutex: Arc<tokio::sync::Mutex<()>>, trace: Trace) {
    let guard = mutex.lock().await;
    trace.borrow_mut().push("1 holds the lock");
    yield_now().await;
    drop(guard);
    trace.borrow_mut().push("1 let it go");
}

async fn tokio_other(mutex: Arc<tokio::sync::Mutex<()>>, trace: Trace) {
    trace.borrow_mut().push("2 waits for it");
    let _guard = mutex.lock().await;
    trace.borrow_mut().push("2 got it");
}
// ANCHOR_END: tokio

// ANCHOR: measure
/// Runs two tasks, the first one first, and says what happened.
fn traced<A, B>(one: impl FnOnce(Trace) -> A, other: impl FnOnce(Trace) -> B) -> Vec<&'static str>
where
    A: Future<Output = ()> + 'static,
    B: Future<Output = ()> + 'static,
{
    let trace = Trace::default();
    block_on(async {
        let tasks = [spawn(one(Rc::clone(&trace))), spawn(other(Rc::clone(&trace)))];
        for task in tasks {
            task.await.expect("no task panics");
        }
    });
    trace.take()
}

fn with_std() -> Vec<&'static str> {
    let mutex = Arc::new(Mutex::new(()));
    let its_mutex = Arc::clone(&mutex);
    traced(|trace| std_holder(its_mutex, trace), |trace| std_other(mutex, trace))
}

fn with_tokio() -> Vec<&'static str> {
    let mutex = Arc::new(tokio::sync::Mutex::new(()));
    let its_mutex = Arc::clone(&mutex);
    traced(|trace| tokio_holder(its_mutex, trace), |trace| tokio_other(mutex, trace))
}
// ANCHOR_END: measure

// ANCHOR: cost
const LOCKS: u32 = 100_000;
const ROUNDS: usize = 5;

/// Times `LOCKS` times "lock, add one, let go" with each lock, free each time, in turns. The best
/// of some rounds: what disturbs one makes it longer.
fn cost() -> (Duration, Duration) {
    let std = Mutex::new(0_u32);
    let tokio = tokio::sync::Mutex::new(0_u32);
    let (mut with_std, mut with_tokio) = (Duration::MAX, Duration::MAX);
    block_on(async {
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..LOCKS {
                *std.lock().expect("nobody panics while holding this lock") += 1;
            }
            with_std = with_std.min(start.elapsed());
            let start = Instant::now();
            for _ in 0..LOCKS {
                *tokio.lock().await += 1;
            }
            with_tokio = with_tokio.min(start.elapsed());
        }
    });
    assert_eq!(std.into_inner().ok(), Some(tokio.into_inner()), "both have counted");
    (with_std, with_tokio)
}
// ANCHOR_END: cost

fn print(out: &mut dyn Write) -> io::Result<()> {
    for (name, trace) in [("std", with_std()), ("tokio", with_tokio())] {
        for event in trace {
            writeln!(out, "{name:<7}{event}")?;
        }
        writeln!(out)?;
    }
    let (std, tokio) = cost();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let [std_ns, tokio_ns] = [std, tokio].map(|time| time.as_secs_f64() * 1e9 / f64::from(LOCKS));
    writeln!(out, "a free lock ({profile}): std {std_ns:.0} ns, tokio {tokio_ns:.0} ns")?;
    writeln!(out, "tokio / std: {:.1}", tokio.div_duration_f64(std))
}

fn main() -> ExitCode {
    command_line::experiment("mutexes", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_std_lock_held_across_an_await_would_block_the_only_thread() {
        let would_block = "2 would block the thread, and nobody could let go";
        assert_eq!(with_std(), ["1 holds the lock", would_block, "1 let it go"]);
    }

    #[test]
    fn a_tokio_lock_lets_the_other_task_wait() {
        let expected = ["1 holds the lock", "2 waits for it", "1 let it go", "2 got it"];
        assert_eq!(with_tokio(), expected);
    }

    /// A hundred tasks, each of which locks, adds and lets go between two awaits. No update is
    /// lost, and nobody ever finds the lock taken.
    #[test]
    fn a_std_lock_without_an_await_in_between_is_right() {
        const TASKS: u32 = 100;
        const ADDS: u32 = 10;
        let counter = Rc::new(Mutex::new(0));
        block_on(async {
            let add = async |counter: Rc<Mutex<u32>>| {
                for _ in 0..ADDS {
                    *counter.try_lock().expect("nobody holds it across an await") += 1;
                    yield_now().await;
                }
            };
            let tasks: Vec<_> = (0..TASKS).map(|_| spawn(add(Rc::clone(&counter)))).collect();
            for task in tasks {
                task.await.expect("no task panics");
            }
        });
        assert_eq!(counter.try_lock().ok().as_deref(), Some(&(TASKS * ADDS)));
    }

    #[test]
    fn a_free_std_lock_is_cheaper() {
        let (std, tokio) = cost();
        assert!(std < tokio, "std {std:?}, tokio {tokio:?}");
    }
}

//! Whose futures run on whose executor?
//!
//! A timer needs somebody who watches the clock and wakes its task. Our timer looks for that in the
//! runtime which polls it, tokio's in the runtime in which it was *made*; those of async-io and
//! async-std start a thread for it, once for the whole process. An executor alone cannot say which
//! futures it can run. Predict how many of the cells work, how many panic, and which hang.
//!
//! `cargo run -p ch07-asyncio --features tokio,smol,async-std --example mix_matrix`

#![forbid(unsafe_code)]

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ch07_asyncio::runtime;
use tokio::runtime::{Builder, Runtime};

// ANCHOR: timers
/// What each timer waits for.
const WAIT: Duration = Duration::from_millis(5);

/// A future that waits for [`WAIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    Ours,
    Tokio,
    /// Made while tokio's runtime was entered, whose own thread watches the clock.
    TokioEntered,
    /// The same, with a runtime for one thread. That thread would have to be in its `block_on`.
    TokioNotDriven,
    AsyncIo,
    AsyncStd,
}

impl Timer {
    fn name(self) -> &'static str {
        match self {
            Timer::Ours => "ours",
            Timer::Tokio => "tokio",
            Timer::TokioEntered => "tokio, entered",
            Timer::TokioNotDriven => "tokio, not driven",
            Timer::AsyncIo => "async-io",
            Timer::AsyncStd => "async-std",
        }
    }

    /// The runtime that has to be there before the timer.
    fn entered(self) -> Option<Runtime> {
        let mut builder = match self {
            Timer::TokioEntered => Builder::new_multi_thread(),
            Timer::TokioNotDriven => Builder::new_current_thread(),
            _ => return None,
        };
        Some(builder.worker_threads(1).enable_time().build().expect("threads are to be had"))
    }

    /// Makes the timer when it is first polled, on the executor.
    async fn wait(self, entered: Option<&Runtime>) {
        match self {
            Timer::Ours => runtime::sleep(WAIT).await,
            Timer::Tokio => tokio::time::sleep(WAIT).await,
            Timer::TokioEntered | Timer::TokioNotDriven => {
                let sleep = {
                    let _guard = entered.map(Runtime::enter);
                    tokio::time::sleep(WAIT) // it keeps the runtime in which it was made
                };
                sleep.await
            }
            Timer::AsyncIo => _ = smol::Timer::after(WAIT).await,
            Timer::AsyncStd => async_std::task::sleep(WAIT).await,
        }
    }
}
// ANCHOR_END: timers

// ANCHOR: executors
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Executor {
    Ours,
    Tokio,
    Smol,
    AsyncStd,
    /// Polls, and parks its thread until it is woken. It knows nothing else.
    Park,
}

impl Executor {
    fn name(self) -> &'static str {
        match self {
            Executor::Ours => "ours",
            Executor::Tokio => "tokio",
            Executor::Smol => "smol",
            Executor::AsyncStd => "async-std",
            Executor::Park => "park",
        }
    }

    fn block_on<T>(self, future: impl Future<Output = T>) -> T {
        match self {
            Executor::Ours => runtime::Runtime::new().expect("descriptors").block_on(future),
            Executor::Tokio => {
                let builder = &mut Builder::new_current_thread();
                builder.enable_time().build().expect("a runtime needs no thread").block_on(future)
            }
            Executor::Smol => smol::block_on(smol::LocalExecutor::new().run(future)),
            Executor::AsyncStd => async_std::task::block_on(future),
            Executor::Park => smol::future::block_on(future),
        }
    }
}
// ANCHOR_END: executors

const TIMERS: [Timer; 6] = [
    Timer::Ours,
    Timer::Tokio,
    Timer::TokioEntered,
    Timer::TokioNotDriven,
    Timer::AsyncIo,
    Timer::AsyncStd,
];
const EXECUTORS: [Executor; 5] =
    [Executor::Ours, Executor::Tokio, Executor::Smol, Executor::AsyncStd, Executor::Park];

/// What became of a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Works,
    /// With this message.
    Panics(String),
    /// Nobody woke its task.
    Hangs,
}

// ANCHOR: watchdog
/// How often the watchdog looks, [`WAIT`] apart, before it gives a timer up. It is a thread as any
/// other: where the machine is late, it is late too.
const LOOKS: u32 = 200;

/// What the watchdog and the task that it watches share.
#[derive(Default)]
struct Watched {
    waker: Option<Waker>,
    given_up: bool,
}

type Shared = Arc<Mutex<Watched>>;

/// Waits for `timer` until the watchdog gives it up. The watchdog's own wake does not poll the
/// timer: one that looks at the clock would then be ready, and nobody else had woken its task.
async fn watch(timer: impl Future<Output = ()>, shared: Shared) -> Fate {
    let mut timer = pin!(timer);
    poll_fn(|cx| {
        let mut watched = lock(&shared);
        if watched.given_up {
            return Poll::Ready(Fate::Hangs);
        }
        watched.waker = Some(cx.waker().clone());
        drop(watched);
        timer.as_mut().poll(cx).map(|()| Fate::Works)
    })
    .await
}

fn give_up(shared: &Shared) {
    let mut watched = lock(shared);
    watched.given_up = true;
    let waker = watched.waker.take();
    drop(watched);
    waker.into_iter().for_each(Waker::wake);
}

fn lock(shared: &Shared) -> MutexGuard<'_, Watched> {
    shared.lock().expect("nobody panics while holding this lock")
}
// ANCHOR_END: watchdog

// ANCHOR: measure
/// Runs every timer on every executor, each on a thread of its own and all at once.
fn measure() -> Vec<(Timer, Executor, Fate)> {
    let cells = TIMERS.into_iter().flat_map(|timer| EXECUTORS.map(|executor| (timer, executor)));
    let running: Vec<_> =
        cells.map(|(timer, executor)| (timer, executor, start(timer, executor))).collect();
    for _ in 0..LOOKS {
        if running.iter().all(|(_, _, (_, thread))| thread.is_finished()) {
            break;
        }
        thread::park_timeout(WAIT);
    }
    running.into_iter().map(|(timer, executor, cell)| (timer, executor, end(cell))).collect()
}

type Cell = (Shared, JoinHandle<Fate>);

fn start(timer: Timer, executor: Executor) -> Cell {
    let shared = Shared::default();
    let its_shared = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        let entered = timer.entered();
        executor.block_on(watch(timer.wait(entered.as_ref()), its_shared))
    });
    (shared, thread)
}

fn end((shared, thread): Cell) -> Fate {
    give_up(&shared);
    thread.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Fate::Panics(text.unwrap_or_default())
    })
}
// ANCHOR_END: measure

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fate::Works => "works",
            Fate::Panics(_) => "panics",
            Fate::Hangs => "hangs",
        })
    }
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    std::panic::set_hook(Box::new(|_| {})); // the messages stand below the table
    let cells = measure();
    let columns = EXECUTORS.map(|executor| format!("{:<11}", executor.name())).concat();
    writeln!(out, "{:<19}{}", "a timer of", columns.trim_end())?;
    for row in cells.chunks(EXECUTORS.len()) {
        let fates: String = row.iter().map(|(_, _, fate)| format!("{fate:<11}")).collect();
        writeln!(out, "{:<19}{}", row[0].0.name(), fates.trim_end())?;
    }
    let mut said = Vec::new();
    for (timer, _, fate) in &cells {
        if let Fate::Panics(message) = fate
            && !said.contains(&message)
        {
            said.push(message);
            writeln!(out, "\n{} panics with: {message}", timer.name())?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("mix_matrix", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell() {
        for (timer, executor, fate) in measure() {
            let expected = match (timer, executor) {
                (Timer::Ours, Executor::Ours) | (Timer::Tokio, Executor::Tokio) => "works",
                (Timer::Ours | Timer::Tokio, _) => "panics",
                (Timer::TokioNotDriven, _) => "hangs",
                (Timer::TokioEntered | Timer::AsyncIo | Timer::AsyncStd, _) => "works",
            };
            assert_eq!(fate.to_string(), expected, "{timer:?} on {executor:?}: {fate:?}");
            if let Fate::Panics(message) = fate {
                let words =
                    if timer == Timer::Ours { "no ch07 runtime" } else { "there is no reactor" };
                assert!(message.starts_with(words), "{timer:?} on {executor:?}: {message}");
            }
        }
    }
}

//! From code that blocks to a future, and back: which bridges hold.
//!
//! A program is seldom of one kind. A handler that blocks wants the answer of an `async fn`, and an
//! `async fn` meets a library that blocks. Each bridge below is tried inside of a task, on a loop
//! that has one thread, and again where two threads poll. What it waits for is an answer that
//! another task of the same runtime gives. Predict for each whether it works, panics, or waits for
//! ever.
//!
//! `cargo run -p ch08-web-server --features client --example bridges`

#![forbid(unsafe_code)]

use std::future::Future;
use std::io::{self, Write};
use std::panic;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::{block_in_place, spawn_blocking, yield_now};

/// A bridge that is not crossed by then is not crossed at all: all it waits for are two tasks.
const QUIET: Duration = Duration::from_millis(500);

const ANSWER: u32 = 42;

/// What became of who crossed a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Works,
    Panics(String),
    /// It waits for its own thread. (The experiment lets it go at its end.)
    Hangs,
}

// ANCHOR: answer
/// What a bridge waits for: another task gives it, once it has had its turn.
async fn answer(let_go: Arc<LetGo>) -> u32 {
    let (sender, receiver) = oneshot::channel();
    let_go.sender.lock().expect("nobody panics with it").replace(sender);
    let task_let_go = Arc::clone(&let_go);
    tokio::spawn(async move {
        yield_now().await;
        task_let_go.answer();
    });
    receiver.await.unwrap_or_default()
}
// ANCHOR_END: answer

/// Who is waited for. A bridge that hangs is let go from outside.
#[derive(Default)]
struct LetGo {
    sender: std::sync::Mutex<Option<oneshot::Sender<u32>>>,
}

impl LetGo {
    fn answer(&self) {
        if let Some(sender) = self.sender.lock().expect("nobody panics with it").take() {
            let _ = sender.send(ANSWER);
        }
    }
}

type Crossed = Pin<Box<dyn Future<Output = u32> + Send>>;

/// A bridge: its name, and how a task crosses it.
struct Bridge {
    name: &'static str,
    cross: fn(Arc<LetGo>) -> Crossed,
}

// ANCHOR: bridges
const BRIDGES: &[Bridge] = &[
    Bridge {
        name: "a new Runtime, and its block_on",
        cross: |let_go| {
            Box::pin(async {
                let runtime = Runtime::new().expect("threads can be started");
                runtime.block_on(answer(let_go))
            })
        },
    },
    Bridge {
        name: "Handle::block_on",
        cross: |let_go| Box::pin(async { Handle::current().block_on(answer(let_go)) }),
    },
    Bridge {
        name: "a block_on of another library",
        cross: |let_go| Box::pin(async { park_until(answer(let_go)) }),
    },
    Bridge {
        name: "reqwest::blocking",
        cross: |_| {
            Box::pin(async {
                let client = reqwest::blocking::Client::new();
                drop(client);
                ANSWER
            })
        },
    },
    Bridge {
        name: "block_in_place, Handle::block_on",
        cross: |let_go| {
            Box::pin(async { block_in_place(|| Handle::current().block_on(answer(let_go))) })
        },
    },
    Bridge {
        name: "spawn_blocking, Handle::block_on",
        cross: |let_go| {
            Box::pin(async {
                let handle = Handle::current();
                spawn_blocking(move || handle.block_on(answer(let_go))).await.unwrap_or_default()
            })
        },
    },
    Bridge {
        name: "spawn_blocking, reqwest::blocking",
        cross: |_| {
            Box::pin(async {
                let call = || drop(reqwest::blocking::Client::new());
                spawn_blocking(call).await.map(|()| ANSWER).unwrap_or_default()
            })
        },
    },
    Bridge {
        name: "a thread, and a channel back",
        cross: |let_go| {
            Box::pin(async {
                let (sender, receiver) = oneshot::channel();
                let handle = Handle::current();
                thread::spawn(move || sender.send(handle.block_on(answer(let_go))));
                receiver.await.unwrap_or_default()
            })
        },
    },
];
// ANCHOR_END: bridges

// ANCHOR: park
/// Chapter 6's `block_on` in a few lines: it parks the thread until the future was woken.
fn park_until<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
// ANCHOR_END: park

// ANCHOR: measure
/// Crosses a bridge in a task of `runtime`, and says what became of it.
fn cross(bridge: &Bridge, runtime: Runtime) -> io::Result<Outcome> {
    let let_go = Arc::new(LetGo::default());
    let (sender, crossed) = channel();
    let task = (bridge.cross)(Arc::clone(&let_go));
    let loops = thread::Builder::new().spawn(move || {
        let _ = sender.send(runtime.block_on(async { tokio::spawn(task).await }));
        runtime.shutdown_background();
    })?;
    let outcome = match crossed.recv_timeout(QUIET) {
        Ok(Ok(ANSWER)) => Outcome::Works,
        Ok(Ok(_)) => return Err(io::Error::other("the answer was lost")),
        Ok(Err(error)) => Outcome::Panics(reason(error.into_panic())),
        Err(RecvTimeoutError::Timeout) => Outcome::Hangs,
        Err(RecvTimeoutError::Disconnected) => {
            return Err(io::Error::other("the loop itself has panicked"));
        }
    };
    let_go.answer();
    let _ = loops.join();
    Ok(outcome)
}
// ANCHOR_END: measure

/// The first sentence of what a panic says.
fn reason(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    text.split(['.', '\n']).next().unwrap_or_default().to_owned()
}

fn one_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn two_threads() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "A task waits for another task by a bridge for code that blocks.\n")?;
    for (threads, runtime) in
        [("one thread polls", one_thread as fn() -> _), ("two threads poll", two_threads)]
    {
        writeln!(out, "{threads}")?;
        for bridge in BRIDGES {
            let outcome = match cross(bridge, runtime()?)? {
                Outcome::Works => "works".to_owned(),
                Outcome::Panics(reason) => format!("panics: {reason}"),
                Outcome::Hangs => "waits for ever".to_owned(),
            };
            writeln!(out, "  {:<36}{outcome}", bridge.name)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    panic::set_hook(Box::new(|_| {})); // what the panics say stands in the table
    command_line::experiment("bridges", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, runtime: io::Result<Runtime>) -> Outcome {
        let bridge = BRIDGES.iter().find(|bridge| bridge.name == name).expect("it is a bridge");
        cross(bridge, runtime.expect("threads can be started")).expect("the loop goes on")
    }

    #[test]
    fn on_a_thread_that_polls_no_second_runtime_can_be_started() {
        for runtime in [one_thread, two_threads] {
            for name in ["a new Runtime, and its block_on", "Handle::block_on"] {
                let outcome = outcome(name, runtime());
                let Outcome::Panics(reason) = outcome else { panic!("{name}: {outcome:?}") };
                assert_eq!(reason, "Cannot start a runtime from within a runtime");
            }
        }
    }

    #[test]
    fn a_client_that_blocks_panics_on_the_loop_and_works_on_a_thread_of_the_pool() {
        for runtime in [one_thread, two_threads] {
            let outcome_on_loop = outcome("reqwest::blocking", runtime());
            assert!(matches!(outcome_on_loop, Outcome::Panics(_)), "{outcome_on_loop:?}");
            let outcome = outcome("spawn_blocking, reqwest::blocking", runtime());
            assert_eq!(outcome, Outcome::Works);
        }
    }

    /// A foreign `block_on` knows nothing of tokio, so nothing warns: it parks the thread that
    /// would poll what it waits for.
    #[test]
    fn a_foreign_block_on_waits_for_ever_where_it_has_parked_the_only_thread_that_polls() {
        assert_eq!(outcome("a block_on of another library", one_thread()), Outcome::Hangs);
    }

    #[test]
    fn block_in_place_needs_a_second_thread() {
        let name = "block_in_place, Handle::block_on";
        assert!(matches!(outcome(name, one_thread()), Outcome::Panics(_)));
        assert_eq!(outcome(name, two_threads()), Outcome::Works);
    }

    #[test]
    fn from_a_thread_that_polls_nothing_both_ways_work() {
        for runtime in [one_thread, two_threads] {
            for name in ["spawn_blocking, Handle::block_on", "a thread, and a channel back"] {
                assert_eq!(outcome(name, runtime()), Outcome::Works, "{name}");
            }
        }
    }
}

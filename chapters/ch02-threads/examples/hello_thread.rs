//! Hello from a thread: `join`, `scope`, and what happens without them.
//!
//! Three programs start a thread that says hello. The first goes on at once, the second joins it,
//! the third borrows a variable for it in a scope. Predict in which of them "main goes on" may
//! come before the hello. Then predict how many futures can be made in the time of one thread.
//!
//! `cargo run --release -p ch02-threads --example hello_thread`

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "hello_thread");

// ANCHOR: order
type Said = Receiver<&'static str>;

/// Nobody waits: the two may come in either order. `before` is what the thread does at first.
fn without_join(before: impl FnOnce() + Send + 'static) -> Said {
    let (say, said) = mpsc::channel();
    let hello = say.clone();
    let thread = thread::spawn(move || {
        before();
        hello.send("hello from a thread")
    });
    let _ = say.send("main goes on");
    drop(thread); // does not end it
    said
}

/// `join` returns when the thread has ended.
fn joined() -> Said {
    let (say, said) = mpsc::channel();
    let hello = say.clone();
    let thread = thread::spawn(move || hello.send("hello from a thread"));
    let sent = thread.join().expect("it does not panic");
    let _ = sent.and_then(|()| say.send("main goes on")); // an error: nobody listens
    said
}

/// A scope joins by itself. So its threads may borrow what outlives it.
fn scoped() -> Vec<&'static str> {
    let said = Mutex::new(Vec::new());
    let say = |line| said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    thread::scope(|scope| {
        scope.spawn(|| say("hello from a thread"));
    });
    say("main goes on");
    said.into_inner().unwrap_or_else(PoisonError::into_inner)
}
// ANCHOR_END: order

/// The shortest of some rounds: what disturbs a round only ever makes it longer.
fn shortest(times: u32, work: impl Fn()) -> Duration {
    let round = || {
        let start = Instant::now();
        (0..times).for_each(|_| work());
        start.elapsed() / times
    };
    (0..10).map(|_| round()).min().unwrap_or_default()
}

/// To start a thread and see it end, and to make a boxed future and drop it.
fn costs() -> (Duration, Duration) {
    let thread = || thread::spawn(|| {}).join().expect("it does not panic");
    let future = || drop(black_box(Box::pin(async { black_box(1) })));
    (shortest(20, thread), shortest(10_000, future))
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report
        .expects("in the first one only; a thread costs as much as hundreds of futures, or more")?;
    let lines: Vec<_> = without_join(|| ()).iter().collect();
    report.say(format_args!("without a join: {}", lines.join(", then ")))?;
    let lines: Vec<_> = joined().iter().collect();
    report.say(format_args!("joined:         {}", lines.join(", then ")))?;
    report.say(format_args!("in a scope:     {}", scoped().join(", then ")))?;
    let (thread, future) = costs();
    report.say(format_args!("\na thread, started and joined: {thread:.1?}"))?;
    report.say(format_args!("a future, made and dropped:   {future:.1?}\n"))?;
    let ratio = thread.as_secs_f64() / future.as_secs_f64().max(1e-9);
    let judged = Judgement::of(ratio >= 50.0, || format!("{ratio:.0} times"));
    report.claim("C15", ratio, "times the cost of a future, a thread", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO_FIRST: [&str; 2] = ["hello from a thread", "main goes on"];

    #[test]
    fn a_join_and_a_scope_put_the_hello_first() {
        assert_eq!(joined().iter().collect::<Vec<_>>(), HELLO_FIRST);
        assert_eq!(scoped(), HELLO_FIRST);
    }

    #[test]
    fn without_a_join_main_may_go_on_first() {
        let (release, released) = mpsc::channel::<()>();
        let said = without_join(move || {
            let _ = released.recv(); // an error: it is released
        });
        assert_eq!(said.recv(), Ok("main goes on"));
        drop(release);
        assert_eq!(said.recv(), Ok("hello from a thread"));
    }

    #[test]
    fn a_thread_costs_more_than_a_future() {
        let (thread, future) = costs();
        assert!(thread > future, "{thread:?} {future:?}");
    }
}

//! Calling an async fn runs nothing.
//!
//! One function counts how often its body runs. It is called as a plain fn. Then the same body, as
//! an async fn, is called; its future is dropped; it is called again and awaited. Predict the count
//! after each. (Not every language decides alike: a JavaScript async function starts at the call.)
//!
//! `cargo run -p ch06-generators-to-futures --example lazy`

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};

// ANCHOR: work
/// A plain fn: its body runs at the call.
fn plain_work(runs: &Cell<u32>) {
    runs.set(runs.get() + 1);
}

/// An async fn: the call stores the argument in a future, and returns that future.
async fn work(runs: &Cell<u32>) {
    runs.set(runs.get() + 1);
}
// ANCHOR_END: work

/// What was done, and how often the body has run since the line before.
type Row = (&'static str, u32);

// ANCHOR: measure
fn measure() -> [Row; 6] {
    let runs = Cell::new(0);

    plain_work(&runs);
    let plain = ("a plain fn, called", runs.take());

    let future = work(&runs);
    let called = ("an async fn, called", runs.take());

    drop(future);
    let dropped = ("  its future dropped", runs.take());

    // `.await` stands in the text here. This line, too, only makes a future.
    let awaits = async { work(&runs).await };
    let awaited = ("an async block that awaits it", runs.take());

    let mut awaits = pin!(awaits);
    let mut context = Context::from_waker(Waker::noop());
    let poll = awaits.as_mut().poll(&mut context);
    let polled = ("  that block polled", runs.take());
    assert_eq!(poll, Poll::Ready(()), "it waits for nothing, so one poll takes it to its end");

    let forgotten: Vec<_> = (0..1000).map(|_| work(&runs)).collect();
    drop(forgotten);
    let many = ("an async fn, called 1,000 times", runs.take());

    [plain, called, dropped, awaited, polled, many]
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:<34}{:>10}", "", "body ran")?;
    measure().iter().try_for_each(|(what, runs)| writeln!(out, "{what:<34}{runs:>10}"))
}

fn main() -> ExitCode {
    command_line::experiment("lazy", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_poll_runs_the_body() {
        assert_eq!(measure().map(|(_, runs)| runs), [1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn the_body_runs_before_and_after_a_wait_in_different_polls() {
        let lines = Cell::new(0);
        let mut polled = false;
        let mut future = pin!(async {
            lines.set(1);
            std::future::poll_fn(|_| {
                if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            lines.set(2);
        });
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(lines.get(), 0);
        assert_eq!((future.as_mut().poll(&mut context), lines.get()), (Poll::Pending, 1));
        assert_eq!((future.as_mut().poll(&mut context), lines.get()), (Poll::Ready(()), 2));
    }
}

//! A future that keeps the first waker it was given, and forgets the newer ones.
//!
//! Each poll brings a waker, and only the newest one counts: the future may have been moved to
//! another task since. A bell wakes whoever waits for it. Two futures wait for it: one keeps the
//! newest waker, one the first. Each is polled by task A, or by A and then by B, and then the bell
//! rings. Predict which task is woken in each case, and which future is never polled again.
//!
//! `cargo run -p ch06-generators-to-futures --example stale_waker`

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

// ANCHOR: bell
/// Rings once, and wakes the one who waits for it.
#[derive(Default)]
struct Bell {
    has_rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        self.has_rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
// ANCHOR_END: bell

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    TheFirst,
    TheNewest,
}

/// Waits for the bell.
struct Heard<'a> {
    bell: &'a Bell,
    keeps: Keeps,
}

// ANCHOR: poll
impl Future for Heard<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.bell.has_rung.get() {
            return Poll::Ready(());
        }
        let mut kept = self.bell.waker.borrow_mut();
        match self.keeps {
            // Saves a clone at each poll, and looks like a good idea.
            Keeps::TheFirst => {
                kept.get_or_insert_with(|| context.waker().clone());
            }
            // Saves the clone as well, but only where both wake the same task.
            Keeps::TheNewest => match &mut *kept {
                Some(waker) => waker.clone_from(context.waker()),
                None => *kept = Some(context.waker().clone()),
            },
        }
        Poll::Pending
    }
}
// ANCHOR_END: poll

/// A task, as far as it matters here: a waker, and how often it was called.
#[derive(Default)]
struct Task {
    wakes: AtomicU32,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the bell did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    wakes_of_a: u32,
    wakes_of_b: u32,
    /// The task that holds the future was woken, and so has polled it again.
    ended: bool,
}

// ANCHOR: measure
/// Polls the future in task A, then perhaps moves it to task B, and rings the bell.
fn measure(keeps: Keeps, moved: bool) -> Outcome {
    let (a, b) = (Arc::new(Task::default()), Arc::new(Task::default()));
    let (waker_a, waker_b) = (Waker::from(Arc::clone(&a)), Waker::from(Arc::clone(&b)));
    let bell = Bell::default();
    let mut heard = pin!(Heard { bell: &bell, keeps });

    // As in the first turn of a `select` that something else won.
    assert!(heard.as_mut().poll(&mut Context::from_waker(&waker_a)).is_pending());
    let (holder, waker) = if moved { (&b, &waker_b) } else { (&a, &waker_a) };
    // As when the future is awaited afterwards: by the same task, or by another.
    assert!(heard.as_mut().poll(&mut Context::from_waker(waker)).is_pending());

    bell.ring();

    // An executor polls the task that was woken, and no other.
    let woken = holder.wakes.load(Ordering::Relaxed) > 0;
    Outcome {
        wakes_of_a: a.wakes.load(Ordering::Relaxed),
        wakes_of_b: b.wakes.load(Ordering::Relaxed),
        ended: woken && heard.as_mut().poll(&mut Context::from_waker(waker)).is_ready(),
    }
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<14}{:<12}{:>8}{:>9}  the future",
        "keeps", "polled by", "A woken", "B woken"
    )?;
    for keeps in [Keeps::TheNewest, Keeps::TheFirst] {
        for moved in [false, true] {
            let Outcome { wakes_of_a, wakes_of_b, ended } = measure(keeps, moved);
            let keeps = if keeps == Keeps::TheFirst { "the first" } else { "the newest" };
            let polled_by = if moved { "A, then B" } else { "A, then A" };
            let fate = if ended { "ends" } else { "waits for ever in B" };
            writeln!(out, "{keeps:<14}{polled_by:<12}{wakes_of_a:>8}{wakes_of_b:>9}  {fate}")?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("stale_waker", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(wakes_of_a: u32, wakes_of_b: u32, ended: bool) -> Outcome {
        Outcome { wakes_of_a, wakes_of_b, ended }
    }

    #[test]
    fn in_one_task_the_fault_does_not_show() {
        assert_eq!(measure(Keeps::TheNewest, false), outcome(1, 0, true));
        assert_eq!(measure(Keeps::TheFirst, false), outcome(1, 0, true));
    }

    #[test]
    fn moved_to_another_task_the_first_waker_wakes_the_wrong_one() {
        assert_eq!(measure(Keeps::TheFirst, true), outcome(1, 0, false));
    }

    #[test]
    fn the_newest_waker_wakes_the_task_that_holds_the_future() {
        assert_eq!(measure(Keeps::TheNewest, true), outcome(0, 1, true));
    }
}

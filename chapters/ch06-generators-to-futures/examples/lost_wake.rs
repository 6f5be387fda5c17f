//! A wake that comes between two lines, and is lost.
//!
//! A future waits for a flag. It has to look at the flag, and to leave its waker there, in one
//! order or the other. Somebody sets the flag and wakes: before both lines, between them, or after
//! them. Predict for which of the six cases the future is never polled again.
//!
//! In a real program the one who sets the flag is another thread, and "between" happens once in a
//! million polls. Here it is a closure that the poll calls at that place: it happens each time.
//!
//! `cargo run -p ch06-generators-to-futures --example lost_wake`

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

// ANCHOR: flag
/// A flag, and the waker of whoever waits for it.
#[derive(Default)]
struct Flag {
    is_set: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Flag {
    /// Sets it, and wakes the one who has left a waker. Whoever has left none is not woken.
    fn set(&self) {
        self.is_set.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
// ANCHOR_END: flag

/// When the flag is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    Between,
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    CheckThenStore,
    StoreThenCheck,
}

/// Waits for the flag.
struct WaitFor<'a> {
    flag: &'a Flag,
    order: Order,
    /// What somebody else does between the two lines of the first poll.
    meanwhile: Option<Box<dyn FnOnce() + 'a>>,
}

impl WaitFor<'_> {
    fn meanwhile(&mut self) {
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
    }
}

// ANCHOR: wait_for
impl Future for WaitFor<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let flag = self.flag;
        match self.order {
            Order::CheckThenStore => {
                if flag.is_set.get() {
                    return Poll::Ready(());
                }
                self.meanwhile();
                flag.waker.replace(Some(context.waker().clone()));
            }
            Order::StoreThenCheck => {
                flag.waker.replace(Some(context.waker().clone()));
                self.meanwhile();
                if flag.is_set.get() {
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }
}
// ANCHOR_END: wait_for

// ANCHOR: measure
/// What became of one future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    polls: u32,
    wakes: u32,
    flag_is_set: bool,
    ended: bool,
}

/// Polls once, and then once more for each wake, as an executor does.
fn measure(order: Order, moment: Moment) -> Fate {
    let flag = Flag::default();
    if moment == Moment::Before {
        flag.set();
    }
    let meanwhile: Option<Box<dyn FnOnce() + '_>> = match moment {
        Moment::Between => Some(Box::new(|| flag.set())),
        Moment::Before | Moment::After => None,
    };
    let mut future = pin!(WaitFor { flag: &flag, order, meanwhile });
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);

    let mut polls = 1;
    let mut ended = future.as_mut().poll(&mut context).is_ready();
    if moment == Moment::After {
        flag.set();
    }
    while !ended && wakes.count() >= polls {
        polls += 1;
        ended = future.as_mut().poll(&mut context).is_ready();
    }
    Fate { polls, wakes: wakes.count(), flag_is_set: flag.is_set.get(), ended }
}
// ANCHOR_END: measure

/// A waker that counts how often it was called.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wakes {
    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:<18}{:<14}{:>6}{:>7}  the future", "", "flag set", "polls", "wakes")?;
    for order in [Order::CheckThenStore, Order::StoreThenCheck] {
        for moment in [Moment::Before, Moment::Between, Moment::After] {
            let Fate { polls, wakes, flag_is_set, ended } = measure(order, moment);
            let fate = match (ended, flag_is_set) {
                (true, _) => "ends",
                (false, true) => "waits for ever, for a flag that is set",
                (false, false) => "waits for a flag that is not set",
            };
            let (order, moment) = (format!("{order:?}"), format!("{moment:?}").to_lowercase());
            writeln!(out, "{order:<18}{moment:<14}{polls:>6}{wakes:>7}  {fate}")?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("lost_wake", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(polls: u32, wakes: u32, ended: bool) -> Fate {
        Fate { polls, wakes, flag_is_set: true, ended }
    }

    #[test]
    fn a_wake_between_check_and_store_is_lost() {
        assert_eq!(measure(Order::CheckThenStore, Moment::Between), fate(1, 0, false));
    }

    #[test]
    fn a_wake_between_store_and_check_is_not() {
        // The check sees the flag. The wake as well would be one too many, which does no harm.
        assert_eq!(measure(Order::StoreThenCheck, Moment::Between), fate(1, 1, true));
    }

    #[test]
    fn at_any_other_moment_both_orders_end() {
        for order in [Order::CheckThenStore, Order::StoreThenCheck] {
            assert_eq!(measure(order, Moment::Before), fate(1, 0, true), "{order:?}");
            assert_eq!(measure(order, Moment::After), fate(2, 1, true), "{order:?}");
        }
    }
}

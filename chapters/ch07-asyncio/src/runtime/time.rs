//! Futures that wait for a point in time.

use std::fmt;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use fib_timing::next_point;

use super::timers::TimerKey;
use super::{Core, current};

// ANCHOR: sleep
/// Waits for `duration`, and never less. Returned by [`sleep`] and [`sleep_until`].
pub struct Sleep {
    deadline: Instant,
    /// Where it left a waker. A future that was never polled has left none.
    timer: Option<(Rc<Core>, TimerKey)>,
}

/// Waits for `duration` from now.
///
/// # Panics
///
/// When `duration` lies beyond what [`Instant`] can hold. When it is polled outside of a runtime.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Waits until `deadline` has passed.
///
/// # Panics
///
/// When it is polled outside of a runtime.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, timer: None }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            self.forget();
            return Poll::Ready(());
        }
        let (core, waker) = (current::core(), cx.waker().clone());
        match &self.timer {
            Some((old, key)) if Rc::ptr_eq(old, &core) => {
                let _old = core.timers.borrow_mut().update(*key, waker);
            }
            _ => {
                self.forget(); // of another runtime, in which it was polled before
                let key = core.timers.borrow_mut().insert(self.deadline, waker);
                self.timer = Some((core, key));
            }
        }
        Poll::Pending
    }
}

impl Sleep {
    fn forget(&mut self) {
        if let Some((core, key)) = self.timer.take() {
            let _waker = core.timers.borrow_mut().remove(key); // dropped after the borrow
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}
// ANCHOR_END: sleep

// ANCHOR: interval
/// The points `start + k·period`. Returned by [`interval`].
#[derive(Debug)]
pub struct Interval {
    start: Instant,
    period: Duration,
    next: Instant,
}

/// Ticks at once, and then after every `period`. Points that passed while nobody waited are
/// skipped, so a late tick is followed by no burst. (tokio's default is the burst; this is its
/// `MissedTickBehavior::Skip`.)
///
/// # Panics
///
/// When `period` is zero.
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period");
    let start = Instant::now();
    Interval { start, period, next: start }
}

impl Interval {
    /// Waits for the next point of the grid, and returns it. Dropped, it loses no tick.
    pub async fn tick(&mut self) -> Instant {
        sleep_until(self.next).await;
        let tick = self.next;
        self.next = next_point(self.start, self.period, Instant::now());
        tick
    }
}
// ANCHOR_END: interval

// ANCHOR: timeout
/// The time was over before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for `future`, but not longer than `limit`; then it is dropped, which cancels it.
///
/// # Errors
///
/// [`Elapsed`], when the time was over first. A future that is ready at once is asked first.
///
/// # Panics
///
/// As [`sleep`].
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut sleep) = (pin!(future), pin!(sleep(limit)));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}
// ANCHOR_END: timeout

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was over")
    }
}

impl std::error::Error for Elapsed {}

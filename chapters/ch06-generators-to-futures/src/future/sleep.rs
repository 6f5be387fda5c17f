//! A future that waits for a time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::reactor::{Reactor, Registration};

// ANCHOR: sleep
/// Made by [`sleep`] and [`sleep_until`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled: await it"]
pub struct Sleep {
    deadline: Instant,
    registration: Option<Registration>,
}

/// Is ready when `duration` has passed since this call, not since the first poll. One that is due
/// already is ready at once, and lets nobody else run. For that there is
/// [`yield_now`](super::yield_now()).
///
/// # Panics
///
/// When `duration` from now lies beyond what [`Instant`] can hold, some centuries from now.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Is ready when the deadline has passed, never before it.
///
/// Polled before its deadline, and outside of [`block_on`](crate::block_on()), it panics.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, registration: None }
}
// ANCHOR_END: sleep

// ANCHOR: poll
impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            self.registration = None;
            return Poll::Ready(());
        }
        // Anew at each poll: the waker, and even the reactor, may be another one than last time.
        let registration = Reactor::current().wake_at(self.deadline, context.waker());
        self.registration = Some(registration);
        Poll::Pending
    }
}
// ANCHOR_END: poll

//! A future that waits for nothing, and lets the others run first.

use std::pin::Pin;
use std::task::{Context, Poll};

// ANCHOR: yield_now
/// Made by [`yield_now`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled: await it"]
pub struct YieldNow {
    yielded: bool,
}

/// Is ready at its second poll, and asks for that at its first.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        context.waker().wake_by_ref(); // without this nobody would poll again
        Poll::Pending
    }
}
// ANCHOR_END: yield_now

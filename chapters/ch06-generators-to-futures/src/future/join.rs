//! Two futures, and the end of both.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

// ANCHOR: join
/// Made by [`join`].
#[must_use = "a future does nothing until it is polled: await it"]
pub struct Join<A: Future, B: Future> {
    a: Half<A>,
    b: Half<B>,
}

/// Is ready when both are, with both values. Each poll polls those that are not ready yet, `a`
/// first.
pub fn join<A: Future, B: Future>(a: A, b: B) -> Join<A, B> {
    Join { a: Half::Running(Box::pin(a)), b: Half::Running(Box::pin(b)) }
}
// ANCHOR_END: join

// ANCHOR: half
/// One of the two. A future must not move any more once it was polled, and a `Join` may be moved
/// between two polls: so each future has a place of its own on the heap. That costs an allocation.
enum Half<F: Future> {
    Running(Pin<Box<F>>),
    Done(F::Output),
    Taken,
}

impl<F: Future> Half<F> {
    /// Polls it, if it is still running. Says whether it is done.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if let Half::Running(future) = self
            && let Poll::Ready(value) = future.as_mut().poll(context)
        {
            *self = Half::Done(value); // and the future is dropped
        }
        !matches!(self, Half::Running(_))
    }

    fn take(&mut self) -> F::Output {
        match mem::replace(self, Half::Taken) {
            Half::Done(value) => value,
            _ => panic!("a join was polled again after it was ready"),
        }
    }
}
// ANCHOR_END: half

// ANCHOR: poll
impl<A: Future, B: Future> Future for Join<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Both, always: `a.poll() && b.poll()` would not start b before a is done.
        let (a, b) = (self.a.poll(context), self.b.poll(context));
        if a && b { Poll::Ready((self.a.take(), self.b.take())) } else { Poll::Pending }
    }
}

/// A `Join` may be moved, also between two polls: what must stay where it is lies in the boxes.
impl<A: Future, B: Future> Unpin for Join<A, B> {}
// ANCHOR_END: poll

impl<A: Future, B: Future> fmt::Debug for Join<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}

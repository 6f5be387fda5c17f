//! Two futures, and the first of them to end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::future::sleep;

// ANCHOR: select
/// Made by [`select`].
#[must_use = "a future does nothing until it is polled: await it"]
pub struct Select<A, B> {
    /// `None` when one of them has ended.
    futures: Option<(Boxed<A>, Boxed<B>)>,
}

/// A future must not move any more once it was polled, and a `Select` may be moved between two
/// polls: so each future has a place of its own on the heap. That costs an allocation.
type Boxed<F> = Pin<Box<F>>;

/// Which of the two was first, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first argument.
    Left(A),
    /// The second argument.
    Right(B),
}

/// Is ready when one of the two is. Each poll polls `a` first, so that of two that are ready `a`
/// wins. The other one is dropped in the middle of what it did: that is cancellation.
pub fn select<A: Future, B: Future>(a: A, b: B) -> Select<A, B> {
    Select { futures: Some((Box::pin(a), Box::pin(b))) }
}
// ANCHOR_END: select

// ANCHOR: poll
impl<A: Future, B: Future> Future for Select<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((a, b)) = &mut self.futures else {
            panic!("a select was polled again after it was ready")
        };
        let first = if let Poll::Ready(value) = a.as_mut().poll(context) {
            Either::Left(value)
        } else if let Poll::Ready(value) = b.as_mut().poll(context) {
            Either::Right(value)
        } else {
            return Poll::Pending;
        };
        self.futures = None; // the loser is dropped here, before anybody sees the value
        Poll::Ready(first)
    }
}
// ANCHOR_END: poll

// ANCHOR: first_to_end
/// What the first of them to end returns. The other one is dropped: unlike a thread, it can be.
pub async fn first_to_end<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    match select(one, other).await {
        Either::Left(value) | Either::Right(value) => value,
    }
}
// ANCHOR_END: first_to_end

// ANCHOR: timeout
/// The time was over before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// The value of the future, if it is ready at the first poll after `limit` from this call, or
/// before. If not, it is dropped. A poll that computes past the limit still wins: it cannot be
/// stopped.
///
/// # Panics
///
/// When `limit` from now lies beyond what [`Instant`](std::time::Instant) can hold.
pub fn timeout<F: Future>(
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let too_long = sleep(limit);
    async {
        match select(future, too_long).await {
            Either::Left(value) => Ok(value),
            Either::Right(()) => Err(Elapsed),
        }
    }
}
// ANCHOR_END: timeout

// ANCHOR: rest
impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

impl<A, B> fmt::Debug for Select<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").finish_non_exhaustive()
    }
}
// ANCHOR_END: rest

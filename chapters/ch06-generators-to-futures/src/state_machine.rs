//! Coroutines by hand: a function that stops in the middle, as an enum.
//!
//! A generator like `Countdown` has one place to stop, and is given nothing. A coroutine may have
//! several, and each time it is resumed it is given a value. So its struct becomes an enum: one
//! variant for each place where it can stand, with those local variables that are still needed when
//! it goes on.
//!
//! A future is a coroutine that hands out nothing but "not yet", and is resumed with a
//! [`Context`]: the last item of this file says so in code.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

// ANCHOR: coroutine
/// A function that can stop in the middle, and keeps its local variables meanwhile.
pub trait Coroutine<Argument> {
    /// What it hands out where it stops.
    type Yield;
    /// What it returns at its end.
    type Return;

    /// Goes on, up to the next place where it stops, or to its end.
    ///
    /// `argument` becomes the value of the `yield` that it stands at. The first time it stands at
    /// none, and the argument is not used.
    ///
    /// # Panics
    ///
    /// An implementation may panic when it is resumed after its end.
    fn resume(&mut self, argument: Argument) -> Step<Self::Yield, Self::Return>;
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<Y, R> {
    /// It stands at a `yield`, with this value.
    Yielded(Y),
    /// It is at its end, with this value.
    Returned(R),
}
// ANCHOR_END: coroutine

// ANCHOR: area
/// Asks for two numbers and multiplies them. As a function with a `yield` it would be
///
/// ```text
/// let width = yield "width?";
/// let height = yield "height?";
/// width * height
/// ```
///
/// There are two places to stop, and with the start and the end four places to stand. At the first
/// `yield` there is no local variable yet. At the second one `width` is still needed. `height` is
/// in no variant: nothing stops between its birth and its last use.
///
/// ```
/// use ch06_generators_to_futures::state_machine::{Area, Coroutine, Step};
///
/// let mut area = Area::Start;
/// assert_eq!(area.resume(0), Step::Yielded("width?")); // this 0 is not used
/// assert_eq!(area.resume(6), Step::Yielded("height?"));
/// assert_eq!(area.resume(7), Step::Returned(42));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Before the first line.
    Start,
    /// At the first `yield`.
    AskedForWidth,
    /// At the second `yield`.
    AskedForHeight {
        /// The first answer.
        width: u64,
    },
    /// After the last line.
    End,
}
// ANCHOR_END: area

// ANCHOR: resume
impl Coroutine<u64> for Area {
    type Yield = &'static str;
    type Return = u64;

    fn resume(&mut self, argument: u64) -> Step<&'static str, u64> {
        match mem::replace(self, Area::End) {
            Area::Start => {
                *self = Area::AskedForWidth;
                Step::Yielded("width?")
            }
            Area::AskedForWidth => {
                *self = Area::AskedForHeight { width: argument };
                Step::Yielded("height?")
            }
            Area::AskedForHeight { width } => Step::Returned(width * argument),
            Area::End => panic!("a coroutine was resumed after its end"),
        }
    }
}
// ANCHOR_END: resume

// ANCHOR: bridge
/// Every future that is [`Unpin`] (a `Box::pin` of any other) is a coroutine: `poll` is `resume`,
/// the argument is the [`Context`], and what it yields is "not yet", without a value.
///
/// ```
/// use std::task::{Context, Waker};
///
/// use ch06_generators_to_futures::future::yield_now;
/// use ch06_generators_to_futures::state_machine::{Coroutine, Step};
///
/// let mut context = Context::from_waker(Waker::noop());
/// let mut future = yield_now();
/// assert_eq!(future.resume(&mut context), Step::Yielded(()));
/// assert_eq!(future.resume(&mut context), Step::Returned(()));
/// ```
impl<F: Future + Unpin> Coroutine<&mut Context<'_>> for F {
    type Yield = ();
    type Return = F::Output;

    fn resume(&mut self, context: &mut Context<'_>) -> Step<(), F::Output> {
        match Pin::new(self).poll(context) {
            Poll::Pending => Step::Yielded(()),
            Poll::Ready(value) => Step::Returned(value),
        }
    }
}
// ANCHOR_END: bridge

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_holds_what_is_still_needed() {
        let mut area = Area::Start;
        assert_eq!((area.resume(0), area), (Step::Yielded("width?"), Area::AskedForWidth));
        let height = Area::AskedForHeight { width: 6 };
        assert_eq!((area.resume(6), area), (Step::Yielded("height?"), height));
        assert_eq!((area.resume(7), area), (Step::Returned(42), Area::End));
    }

    #[test]
    #[should_panic(expected = "resumed after its end")]
    fn after_its_end_it_cannot_go_on() {
        Area::End.resume(0);
    }
}

//! A future that waits for a descriptor.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::reactor::{Reactor, Registration};

// ANCHOR: readable
/// Made by [`readable`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled: await it"]
pub struct Readable {
    descriptor: Rc<OwnedFd>,
    registration: Option<Registration>,
}

/// Is ready when the descriptor can be read without blocking, once.
///
/// Readiness is not data, and it may be outdated. One reader per descriptor: of two, the second
/// would read what the first has taken, and block.
///
/// Polled outside of [`block_on`](crate::block_on()), it panics.
pub fn readable(descriptor: &Rc<OwnedFd>) -> Readable {
    Readable { descriptor: Rc::clone(descriptor), registration: None }
}
// ANCHOR_END: readable

// ANCHOR: poll
impl Future for Readable {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.registration.take_if(|registration| registration.was_woken()).is_some() {
            return Poll::Ready(());
        }
        let descriptor = Rc::clone(&self.descriptor);
        let registration = Reactor::current().wake_when_readable(descriptor, context.waker());
        self.registration = Some(registration);
        Poll::Pending
    }
}
// ANCHOR_END: poll

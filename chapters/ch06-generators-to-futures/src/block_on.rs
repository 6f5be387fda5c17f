//! The smallest executor: one future, polled on this thread until it is ready.
//!
//! Between two polls the thread sleeps in the reactor. It polls again only when the future's waker
//! was called. A future that is polled although nothing has happened would look again and find
//! nothing; a future that is not polled although something has happened waits for ever.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::reactor::Reactor;
use crate::signal::Signal;

// ANCHOR: block_on
/// Polls the future until it is ready, and returns its value. Blocks this thread, and lets it sleep
/// while there is nothing to do.
///
/// Each call has a reactor and a signal of its own. So a future may call `block_on` in the middle
/// of a poll: the inner call does not take what wakes the outer one. But until the inner one
/// returns, the outer future stands still, and everything else inside it.
///
/// A future whose waker nobody keeps is never polled again, and then this does not return.
///
/// ```
/// use ch06_generators_to_futures::block_on;
/// use ch06_generators_to_futures::future::yield_now;
///
/// let answer = block_on(async {
///     yield_now().await; // the first poll ends here, with "not yet"
///     6 * 7
/// })?;
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// When a descriptor that the future waits for cannot be polled, or when the system has no
/// descriptors left: a call needs two, and they stay open as long as a waker of it is kept
/// anywhere.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let signal = Arc::new(Signal::new()?);
    let waker = Waker::from(Arc::clone(&signal));
    poll_until_ready(future, &signal, &waker)
}
// ANCHOR_END: block_on

// ANCHOR: poll_until_ready
/// The loop. `waker` must set `signal`: how it does that is not known here.
pub(crate) fn poll_until_ready<F: Future>(
    future: F,
    signal: &Arc<Signal>,
    waker: &Waker,
) -> io::Result<F::Output> {
    let reactor = Rc::new(Reactor::new(Arc::clone(signal)));
    let _entered = reactor.enter();
    let mut future = pin!(future);
    let mut context = Context::from_waker(waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        // At least once, also if the waker was called during the poll: what is due by now becomes
        // ready before the next poll. The wait does not sleep then.
        reactor.wait()?;
        while !signal.take()? {
            reactor.wait()?;
        }
    }
}
// ANCHOR_END: poll_until_ready

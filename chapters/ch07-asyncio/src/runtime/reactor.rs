//! The reactor: it waits for descriptors and wakes the tasks that wait for them.
//!
//! A descriptor is registered once, for both directions, edge-triggered: the kernel reports what is
//! new, not what still holds. So the reactor remembers it: a direction counts as ready until an
//! operation said `WouldBlock`, or moved less than it could have. Therefore every operation is
//! tried first, and a task waits only when there was nothing. (asyncio tries first, too, and
//! registers then; registering at every wait costs two system calls more.)
//!
//! The `mio` crate is epoll, kqueue or IOCP behind one name.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use mio::event::{Event, Source};
use mio::{Events, Interest, Token};
use slab::Slab;

use super::{Core, current};

// ANCHOR: limits
/// How many events one wait takes at most. What is left is reported by the next one.
const EVENTS_MAX: usize = 1024;

/// The longest wait that mio hands on unharmed: its milliseconds are an `int`.
const TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// The reactor's own token: another thread has woken somebody.
const INTERRUPT: Token = Token(usize::MAX);
// ANCHOR_END: limits

// ANCHOR: direction
/// One of a descriptor's two directions.
#[derive(Default)]
pub(super) struct Direction {
    /// The last try was in vain, and nothing new was reported since.
    blocked: Cell<bool>,
    /// The other side has said its last word. There is no further edge to wait for.
    closed: Cell<bool>,
    /// Who waits for an edge. Mostly nobody or one. A wait that was given up leaves its waker here
    /// until the next edge.
    wakers: RefCell<VecDeque<Waker>>,
}

impl Direction {
    fn wake(&self, closed: bool) {
        self.blocked.set(false);
        self.closed.set(self.closed.get() || closed);
        let next = || self.wakers.borrow_mut().pop_front(); // the borrow ends before the wake
        while let Some(waker) = next() {
            waker.wake();
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.blocked.get() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone(); // somebody else's code: nothing is borrowed
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|known| known.will_wake(&waker)) {
            wakers.push_back(waker);
        }
        Poll::Pending
    }
}
// ANCHOR_END: direction

// ANCHOR: readiness
/// What the reactor remembers of a descriptor.
#[derive(Default)]
pub(super) struct Readiness {
    read: Direction,
    write: Direction,
}
// ANCHOR_END: readiness

// ANCHOR: reactor
/// The selector and what is registered with it.
pub(super) struct Reactor {
    poll: RefCell<mio::Poll>,
    events: RefCell<Events>,
    pub(super) sources: RefCell<Slab<Rc<Readiness>>>,
}

impl Reactor {
    // ANCHOR: new
    pub(super) fn new() -> io::Result<Reactor> {
        let events = RefCell::new(Events::with_capacity(EVENTS_MAX));
        Ok(Reactor { poll: RefCell::new(mio::Poll::new()?), events, sources: RefCell::default() })
    }

    /// What another thread ends a wait with.
    pub(super) fn interrupt(&self) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.borrow().registry(), INTERRUPT)
    }
    // ANCHOR_END: new

    /// Waits until something is ready, another thread interrupts, or the time limit is over. Wakes
    /// whoever waited for what is ready.
    pub(super) fn wait(&self, time_limit: Option<Duration>) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        let time_limit = time_limit.map(|limit| limit.min(TIMEOUT_MAX));
        let waited = self.poll.borrow_mut().poll(&mut events, time_limit);
        events.iter().for_each(|event| self.wake(event));
        waited.or_else(|error| match error.kind() {
            io::ErrorKind::Interrupted => Ok(()), // by a signal: the loop comes back anyway
            _ => Err(error),
        })
    }

    fn wake(&self, event: &Event) {
        // The token of what was deregistered since the wait began may belong to another source by
        // now. That one is tried in vain: a spurious wake-up, and those are always permitted.
        let Some(source) = self.sources.borrow().get(event.token().0).cloned() else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            source.read.wake(event.is_read_closed() || event.is_error());
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            source.write.wake(event.is_write_closed() || event.is_error());
        }
    }
}
// ANCHOR_END: reactor

// ANCHOR: registered
/// A descriptor that is registered with the reactor of the runtime in which it was made. It cannot
/// move to another one.
pub(super) struct Registered<S: Source> {
    pub(super) source: S,
    token: Token,
    readiness: Rc<Readiness>,
    core: Rc<Core>,
}

impl<S: Source> Registered<S> {
    pub(super) fn new(mut source: S) -> io::Result<Registered<S>> {
        let core = current::core();
        let readiness = Rc::new(Readiness::default());
        let mut sources = core.reactor.sources.borrow_mut();
        let token = Token(sources.vacant_key());
        let both = Interest::READABLE | Interest::WRITABLE;
        core.reactor.poll.borrow().registry().register(&mut source, token, both)?;
        sources.insert(Rc::clone(&readiness));
        drop(sources);
        Ok(Registered { source, token, readiness, core })
    }
}

impl<S: Source> Drop for Registered<S> {
    fn drop(&mut self) {
        // Before the descriptor is closed: its number may be given out again at once.
        let _ = self.core.reactor.poll.borrow().registry().deregister(&mut self.source);
        let _readiness = self.core.reactor.sources.borrow_mut().remove(self.token.0);
    }
}
// ANCHOR_END: registered

// ANCHOR: poll_io
// ANCHOR: way
/// Which of the two directions: [`read`] or [`write`].
type Way = fn(&Readiness) -> &Direction;

pub(super) fn read(readiness: &Readiness) -> &Direction {
    &readiness.read
}

pub(super) fn write(readiness: &Readiness) -> &Direction {
    &readiness.write
}
// ANCHOR_END: way

impl<S: Source> Registered<S> {
    /// Tries first. Waits only when that would block.
    pub(super) fn poll_io<T>(
        &self,
        way: Way,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let direction = way(&self.readiness);
        loop {
            ready!(direction.poll_ready(cx));
            match operation(&self.source) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    direction.blocked.set(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    // ANCHOR: drained
    /// The operation moved less than it could have: the kernel's buffer is drained (or full), and
    /// the next try would be in vain. What arrives from now on is a new edge.
    ///
    /// Not so when the other side has closed: that edge may have been reported together with the
    /// data, and no other one follows. Then the kernel must be asked again. And not on Windows,
    /// where mio reports an edge only after an operation that said `WouldBlock`.
    pub(super) fn drained(&self, way: Way) {
        let direction = way(&self.readiness);
        direction.blocked.set(!direction.closed.get() && !cfg!(windows));
    }
    // ANCHOR_END: drained
}
// ANCHOR_END: poll_io

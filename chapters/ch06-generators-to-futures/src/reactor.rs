//! The reactor: where futures leave their wakers, and what calls them.
//!
//! It is the event loop of chapter 5, with a waker in the place of each callback. A future that
//! cannot go on leaves its waker here, under a number, with what it waits for: a deadline, or a
//! descriptor. `Reactor::wait` is one turn, in the same four phases. Each entry is good for one
//! call: a future that is not ready after it leaves its waker again.
//!
//! A future finds its reactor in a thread-local variable, as in most runtimes: nothing in `async`
//! code hands it down.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::selector::{Key, Selector};
use crate::signal::Signal;
use crate::timers::Timers;

// ANCHOR: reactor
/// The waits of one [`block_on`](crate::block_on()).
pub(crate) struct Reactor {
    /// Every waker that waits for something.
    wakers: RefCell<BTreeMap<Key, Waker>>,
    /// Those to be called at a deadline.
    timers: RefCell<Timers>,
    /// Those to be called when a descriptor is ready.
    selector: RefCell<Selector<Rc<dyn AsFd>>>,
    next_key: Cell<Key>,
}

/// The reactor's own interest: the future of this `block_on` was woken. It has no waker.
const SIGNAL: Key = 0;
// ANCHOR_END: reactor

// ANCHOR: current
thread_local! {
    /// The reactors of the calls of `block_on` that this thread is in, the innermost last.
    static ENTERED: RefCell<Vec<Rc<Reactor>>> = const { RefCell::new(Vec::new()) };
}

impl Reactor {
    /// The reactor of the innermost `block_on` on this thread.
    pub(crate) fn current() -> Rc<Reactor> {
        ENTERED.with_borrow(|entered| entered.last().cloned()).expect(
            "this future leaves its waker in a reactor, and here is none: poll it inside block_on",
        )
    }

    /// Makes this the current reactor, until what is returned is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        ENTERED.with_borrow_mut(|entered| entered.push(Rc::clone(self)));
        Entered
    }
}

/// Dropped also when a poll panics.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let _reactor = ENTERED.with_borrow_mut(Vec::pop); // dropped after the borrow
    }
}
// ANCHOR_END: current

// ANCHOR: new
impl Reactor {
    /// A reactor that nobody waits in. Its waits end when `signal` is set.
    pub(crate) fn new(signal: Arc<Signal>) -> Reactor {
        let mut selector: Selector<Rc<dyn AsFd>> = Selector::new();
        selector.register(SIGNAL, Rc::new(signal));
        Reactor {
            wakers: RefCell::default(),
            timers: RefCell::default(),
            selector: RefCell::new(selector),
            next_key: Cell::new(SIGNAL + 1),
        }
    }
    // ANCHOR_END: new

    // ANCHOR: register
    /// Leaves a waker to be called when `deadline` has passed.
    pub(crate) fn wake_at(self: &Rc<Self>, deadline: Instant, waker: &Waker) -> Registration {
        let registration = self.add(waker, Some(deadline));
        self.timers.borrow_mut().insert(deadline, registration.key);
        registration
    }

    /// Leaves a waker to be called when `source` can be read. The reactor keeps `source` open as
    /// long as it waits for it.
    pub(crate) fn wake_when_readable(
        self: &Rc<Self>,
        source: Rc<dyn AsFd>,
        waker: &Waker,
    ) -> Registration {
        let registration = self.add(waker, None);
        self.selector.borrow_mut().register(registration.key, source);
        registration
    }

    fn add(self: &Rc<Self>, waker: &Waker, deadline: Option<Instant>) -> Registration {
        let key = self.next_key.get();
        self.next_key.set(key + 1);
        let waker = waker.clone(); // somebody else's code: before the borrow
        self.wakers.borrow_mut().insert(key, waker);
        Registration { reactor: Rc::downgrade(self), key, deadline }
    }
    // ANCHOR_END: register

    // ANCHOR: wait
    /// One turn.
    pub(crate) fn wait(&self) -> io::Result<()> {
        // 1. How long may we sleep?
        let time_limit = self.time_limit(Instant::now());

        // 2. Wait: for a descriptor, for the signal, or until that time is over.
        let readable = self.selector.borrow().select(time_limit)?;

        // 3. What is due?
        let mut ready = self.take_readable(&readable);
        ready.extend(self.take_due(Instant::now()));

        // 4. Wake. A waker is somebody else's code, and may use this reactor: nothing is borrowed.
        for waker in ready {
            waker.wake();
        }
        Ok(())
    }
    // ANCHOR_END: wait

    // ANCHOR: time_limit
    /// Until the first deadline if there is one; else for ever.
    fn time_limit(&self, now: Instant) -> Option<Duration> {
        let deadline = self.timers.borrow().next_deadline()?;
        Some(deadline.saturating_duration_since(now))
    }
    // ANCHOR_END: time_limit

    // ANCHOR: take
    fn take_readable(&self, readable: &[Key]) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for key in readable {
            if let Some(waker) = self.wakers.borrow_mut().remove(key) {
                self.selector.borrow_mut().deregister(*key);
                wakers.push(waker);
            }
        }
        wakers
    }

    fn take_due(&self, now: Instant) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(key) = self.timers.borrow_mut().pop_due(now) {
            wakers.extend(self.wakers.borrow_mut().remove(&key));
        }
        wakers
    }
    // ANCHOR_END: take
}

// ANCHOR: debug
impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("wakers", &self.wakers.borrow().len())
            .field("timers", &self.timers.borrow().len())
            .finish_non_exhaustive()
    }
}
// ANCHOR_END: debug

// ANCHOR: registration
/// A future's place in a reactor. When it is dropped the waker is taken out again: a future that is
/// dropped leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Registration {
    /// Weak, because a future may outlive the `block_on` in which it was polled.
    reactor: Weak<Reactor>,
    key: Key,
    deadline: Option<Instant>,
}

impl Registration {
    /// Has it happened?
    pub(crate) fn was_woken(&self) -> bool {
        match self.reactor.upgrade() {
            Some(reactor) => !reactor.wakers.borrow().contains_key(&self.key),
            None => false, // the reactor ended first: it woke, but not because it happened
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(reactor) = self.reactor.upgrade() else { return };
        let waker = reactor.wakers.borrow_mut().remove(&self.key);
        if waker.is_none() {
            return; // it was called, and taken out then
        }
        match self.deadline {
            Some(deadline) => reactor.timers.borrow_mut().remove(deadline, self.key),
            None => drop(reactor.selector.borrow_mut().deregister(self.key)),
        }
    }
}

/// The end of a `block_on`. Whoever still waits here has to leave a waker in another reactor,
/// which it does when it is polled. And it may be in a future that polls it only when its waker was
/// called.
impl Drop for Reactor {
    fn drop(&mut self) {
        for waker in mem::take(self.wakers.get_mut()).into_values() {
            waker.wake();
        }
    }
}
// ANCHOR_END: registration

// ANCHOR: waiting
/// How many wakers lie in a reactor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Those that wait for a deadline.
    pub timers: usize,
    /// Those that wait for a descriptor.
    pub descriptors: usize,
}

/// What is waited for in the innermost [`block_on`](crate::block_on()) on this thread.
///
/// # Panics
///
/// Outside of `block_on`.
pub fn waiting() -> Waiting {
    let reactor = Reactor::current();
    let timers = reactor.timers.borrow().len();
    Waiting { timers, descriptors: reactor.wakers.borrow().len() - timers }
}
// ANCHOR_END: waiting

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::within_patience;

    fn reactor() -> Rc<Reactor> {
        let signal = Signal::new().expect("two descriptors are free");
        Rc::new(Reactor::new(Arc::new(signal)))
    }

    #[test]
    fn it_sleeps_until_the_first_deadline_and_no_longer_and_no_shorter() {
        let (reactor, now) = (reactor(), Instant::now());
        let ms = Duration::from_millis;
        assert_eq!(reactor.time_limit(now), None, "nothing is left but the signal");
        let later = reactor.wake_at(now + ms(20), Waker::noop());
        let first = reactor.wake_at(now + ms(10), Waker::noop());
        assert_eq!(reactor.time_limit(now), Some(ms(10)));
        assert_eq!(reactor.time_limit(now + ms(11)), Some(Duration::ZERO));
        drop(first);
        assert_eq!(reactor.time_limit(now), Some(ms(20)));
        drop(later);
        assert_eq!(reactor.time_limit(now), None);
    }

    #[test]
    fn each_entry_is_good_for_one_call() {
        within_patience(|| {
            let reactor = reactor();
            let deadline = Instant::now();
            let timer = reactor.wake_at(deadline, Waker::noop());
            assert!(!timer.was_woken(), "it is due, but there was no turn yet");
            reactor.wait().expect("a pipe can be polled");
            assert!(timer.was_woken());
            assert_eq!(reactor.timers.borrow().len(), 0);
        });
    }

    #[test]
    fn what_outlives_its_reactor_was_not_woken() {
        let reactor = reactor();
        let timer = reactor.wake_at(Instant::now(), Waker::noop());
        drop(reactor);
        assert!(!timer.was_woken());
    }

    /// A waker is somebody else's code. This one uses the reactor that calls it, and drops what is
    /// registered there.
    #[test]
    fn a_waker_may_use_the_reactor_that_calls_it() {
        thread_local! {
            static HELD: RefCell<Option<(Rc<Reactor>, Registration)>> = RefCell::default();
        }
        struct LetsGo;
        impl std::task::Wake for LetsGo {
            fn wake(self: Arc<Self>) {
                let (reactor, held) = HELD.take().expect("it is called once");
                drop(reactor.wake_at(Instant::now(), Waker::noop()));
                drop(held);
            }
        }
        within_patience(|| {
            let reactor = reactor();
            let held = reactor.wake_at(Instant::now() + Duration::from_secs(1_000), Waker::noop());
            HELD.set(Some((Rc::clone(&reactor), held)));
            let _due = reactor.wake_at(Instant::now(), &Waker::from(Arc::new(LetsGo)));
            reactor.wait().expect("a pipe can be polled");
            assert_eq!(reactor.wakers.borrow().len(), 0);
        });
    }

    /// A waker is also dropped by its own code. This one leaves another waker meanwhile.
    #[test]
    fn a_waker_may_use_the_reactor_while_it_is_dropped() {
        thread_local! {
            static USED: RefCell<Vec<Rc<Reactor>>> = RefCell::default();
        }
        struct LeavesAnother;
        impl std::task::Wake for LeavesAnother {
            fn wake(self: Arc<Self>) {}
        }
        impl Drop for LeavesAnother {
            fn drop(&mut self) {
                let reactor = USED.with_borrow_mut(Vec::pop).expect("there is one for each waker");
                drop(reactor.wake_at(Instant::now(), Waker::noop()));
            }
        }
        let reactor = reactor();
        let waker = || Waker::from(Arc::new(LeavesAnother));
        let (source, _writer) = io::pipe().expect("two descriptors are free");
        USED.set(vec![Rc::clone(&reactor), Rc::clone(&reactor)]);
        // From here on, the reactor has the only waker of each.
        let timer = reactor.wake_at(Instant::now(), &waker());
        drop(timer);
        let input = reactor.wake_when_readable(Rc::new(source), &waker());
        drop(input);
        assert!(USED.take().is_empty(), "both were dropped");
        assert_eq!(reactor.wakers.borrow().len(), 0);
        assert_eq!(reactor.timers.borrow().len(), 0);
    }
}

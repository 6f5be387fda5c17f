//! The event loop: it waits in one place, and calls back.
//!
//! Every callback lies in one table, under a number. The others hold numbers only: the ready queue
//! (first in, first out), the timers (by deadline), the selector (by descriptor), and the list of
//! what other threads called. So a callback is cancelled by removing it from the table: a number
//! that is left over somewhere calls nothing. And when the table is empty, nothing can happen any
//! more, and the loop ends.
//!
//! A turn of the loop has four phases, always in this order:
//!
//! 1. How long may we sleep?
//! 2. Wait.
//! 3. What is due?
//! 4. Run what was ready.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::remote::{RemoteCall, Slot, Wakeups};
use crate::selector::{Key, Selector};
use crate::timers::Timers;

// ANCHOR: callback
/// What the loop calls back. It is given the loop, so that it can ask for the next thing.
enum Callback {
    /// Called once, and gone.
    Once(Box<dyn FnOnce(&EventLoop)>),
    /// Called each time a descriptor is ready, until it is removed.
    EachTime(Rc<RefCell<Reader>>),
}

type Reader = dyn FnMut(&EventLoop, Handle);
// ANCHOR_END: callback

// ANCHOR: event_loop
/// A single-threaded event loop.
///
/// All its methods take `&self`, because callbacks call them while the loop runs.
pub struct EventLoop {
    /// Every callback there is. Empty means: nothing is left to happen.
    callbacks: RefCell<BTreeMap<Key, Callback>>,
    /// What can run now, in the order in which it became ready.
    ready: RefCell<VecDeque<Key>>,
    /// What becomes ready at a deadline.
    timers: RefCell<Timers>,
    /// What becomes ready with a descriptor.
    selector: RefCell<Selector<Rc<dyn AsFd>>>,
    /// What other threads made ready.
    wakeups: Wakeups,
    next_key: Cell<Key>,
    running: Cell<bool>,
    stopping: Cell<bool>,
}
// ANCHOR_END: event_loop

// ANCHOR: handle
/// Names a callback that was asked for, so that it can be cancelled, in the loop that gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    key: Key,
    deadline: Option<Instant>,
}

/// The loop's own interest: another thread has made something ready.
const WAKEUPS: Key = 0;
// ANCHOR_END: handle

// ANCHOR: new
impl EventLoop {
    /// A loop with nothing to do.
    ///
    /// # Errors
    ///
    /// When the system has no descriptors left: the loop needs two, a pipe through which other
    /// threads wake it.
    pub fn new() -> io::Result<EventLoop> {
        let wakeups = Wakeups::new()?;
        let mut selector: Selector<Rc<dyn AsFd>> = Selector::new();
        selector.register(WAKEUPS, wakeups.descriptor());
        Ok(EventLoop {
            callbacks: RefCell::default(),
            ready: RefCell::default(),
            timers: RefCell::default(),
            selector: RefCell::new(selector),
            wakeups,
            next_key: Cell::new(WAKEUPS + 1),
            running: Cell::new(false),
            stopping: Cell::new(false),
        })
    }
    // ANCHOR_END: new

    // ANCHOR: call_soon
    /// Calls back in the next turn, after whatever is ready already.
    pub fn call_soon(&self, callback: impl FnOnce(&EventLoop) + 'static) -> Handle {
        let key = self.add(Callback::Once(Box::new(callback)));
        self.ready.borrow_mut().push_back(key);
        Handle { key, deadline: None }
    }
    // ANCHOR_END: call_soon

    // ANCHOR: call_later
    /// Calls back after `delay`, never before it.
    ///
    /// # Panics
    ///
    /// When `delay` lies beyond what [`Instant`] can hold, some centuries from now.
    pub fn call_later(
        &self,
        delay: Duration,
        callback: impl FnOnce(&EventLoop) + 'static,
    ) -> Handle {
        self.call_at(Instant::now() + delay, callback)
    }

    /// Calls back when `deadline` has passed. Callbacks with the same deadline keep the order in
    /// which they were asked for.
    pub fn call_at(
        &self,
        deadline: Instant,
        callback: impl FnOnce(&EventLoop) + 'static,
    ) -> Handle {
        let key = self.add(Callback::Once(Box::new(callback)));
        self.timers.borrow_mut().insert(deadline, key);
        Handle { key, deadline: Some(deadline) }
    }
    // ANCHOR_END: call_later

    // ANCHOR: add_reader
    /// Calls back in each turn in which `source` can be read, until [`EventLoop::cancel`]. The
    /// callback is given its own handle, so that it can do that itself. One reader a descriptor: of
    /// two, the second would read what the first has taken.
    ///
    /// Readiness is not data: a callback that does not read is called again in the next turn. The
    /// loop keeps `source` open as long as it waits for it.
    pub fn add_reader(
        &self,
        source: Rc<dyn AsFd>,
        callback: impl FnMut(&EventLoop, Handle) + 'static,
    ) -> Handle {
        let key = self.add(Callback::EachTime(Rc::new(RefCell::new(callback))));
        self.selector.borrow_mut().register(key, source);
        Handle { key, deadline: None }
    }
    // ANCHOR_END: add_reader

    // ANCHOR: call_soon_threadsafe
    /// Prepares a callback that another thread may have called, once, with a value of its own.
    ///
    /// The callback stays here, so it may hold what must not leave this thread (an `Rc`). What goes
    /// to the other thread is the [`RemoteCall`]. If that is dropped without being called, the
    /// callback is given `None`, so that nobody waits for ever for a thread that panicked.
    pub fn call_soon_threadsafe<T: Send + 'static>(
        &self,
        callback: impl FnOnce(&EventLoop, Option<T>) + 'static,
    ) -> RemoteCall<T> {
        let slot = Slot::new();
        let value = slot.clone();
        let key = self.add(Callback::Once(Box::new(move |event_loop| {
            callback(event_loop, value.take());
        })));
        self.wakeups.remote_call(key, slot)
    }
    // ANCHOR_END: call_soon_threadsafe

    // ANCHOR: cancel
    /// Takes a callback back: it is not called any more, not even in this turn. Says whether there
    /// was still something to take back.
    pub fn cancel(&self, handle: Handle) -> bool {
        if let Some(deadline) = handle.deadline {
            self.timers.borrow_mut().remove(deadline, handle.key);
        }
        let callback = self.callbacks.borrow_mut().remove(&handle.key);
        if let Some(Callback::EachTime(_)) = callback {
            // The source is dropped after the borrow: its drop may use this loop.
            let _source = self.selector.borrow_mut().deregister(handle.key);
        }
        callback.is_some()
    }
    // ANCHOR_END: cancel

    // ANCHOR: stop
    /// Ends [`EventLoop::run_forever`] after the turn that runs now (or, if none does, after the
    /// next one). What is left stays, and another `run_forever` goes on with it.
    pub fn stop(&self) {
        self.stopping.set(true);
    }
    // ANCHOR_END: stop

    // ANCHOR: run_forever
    /// Turns until nothing is left or somebody calls [`EventLoop::stop`].
    ///
    /// # Errors
    ///
    /// When the selector cannot wait for a descriptor.
    ///
    /// # Panics
    ///
    /// When a callback panics: the panic leaves through here. All other callbacks are still there,
    /// in their order (so is the one that panicked, if it is a reader), and the loop can be run
    /// again. Also when the loop is running already.
    pub fn run_forever(&self) -> io::Result<()> {
        assert!(!self.running.replace(true), "this event loop is running already");
        let _running = NotRunningAnyMore(self);
        while !self.callbacks.borrow().is_empty() {
            self.run_once()?;
            if self.stopping.get() {
                break;
            }
        }
        Ok(())
    }
    // ANCHOR_END: run_forever

    // ANCHOR: run_once
    /// One turn.
    fn run_once(&self) -> io::Result<()> {
        // 1. How long may we sleep?
        let time_limit = self.time_limit(Instant::now());

        // 2. Wait: for a descriptor, for another thread, or until that time is over.
        let readable = self.selector.borrow().select(time_limit)?;

        // 3. What is due? What other threads called, descriptors, timers.
        self.queue_readable(&readable)?;
        self.queue_due(Instant::now());

        // 4. Run what was ready. What becomes ready meanwhile has its turn in the next turn.
        // ANCHOR: run_ready
        let ready = self.ready.borrow().len();
        for _ in 0..ready {
            let Some(key) = self.ready.borrow_mut().pop_front() else { break };
            match self.take(key) {
                Some(Callback::Once(callback)) => callback(self),
                Some(Callback::EachTime(callback)) => {
                    callback.borrow_mut()(self, Handle { key, deadline: None });
                }
                None => {} // cancelled
            }
        }
        // ANCHOR_END: run_ready
        Ok(())
    }
    // ANCHOR_END: run_once

    // ANCHOR: time_limit
    /// Not at all if something is ready; until the first deadline if there is one; else for ever.
    fn time_limit(&self, now: Instant) -> Option<Duration> {
        if self.stopping.get() || !self.ready.borrow().is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.timers.borrow().next_deadline()?;
        Some(deadline.saturating_duration_since(now))
    }
    // ANCHOR_END: time_limit

    // ANCHOR: queue
    fn queue_readable(&self, readable: &[Key]) -> io::Result<()> {
        let mut ready = self.ready.borrow_mut();
        for key in readable {
            match *key {
                WAKEUPS => ready.extend(self.wakeups.take()?),
                reader if ready.contains(&reader) => {} // left over by a panic
                reader => ready.push_back(reader),
            }
        }
        Ok(())
    }

    fn queue_due(&self, now: Instant) {
        let mut timers = self.timers.borrow_mut();
        while let Some(key) = timers.pop_due(now) {
            self.ready.borrow_mut().push_back(key);
        }
    }
    // ANCHOR_END: queue

    // ANCHOR: table
    fn add(&self, callback: Callback) -> Key {
        let key = self.next_key.get();
        self.next_key.set(key + 1);
        self.callbacks.borrow_mut().insert(key, callback);
        key
    }

    /// The callback to call: out of the table, unless it is one to be called again.
    fn take(&self, key: Key) -> Option<Callback> {
        let mut callbacks = self.callbacks.borrow_mut();
        if let Callback::EachTime(callback) = callbacks.get(&key)? {
            return Some(Callback::EachTime(Rc::clone(callback)));
        }
        callbacks.remove(&key)
    }
    // ANCHOR_END: table
}

// ANCHOR: rest
/// A panic, too, ends the run.
struct NotRunningAnyMore<'a>(&'a EventLoop);

impl Drop for NotRunningAnyMore<'_> {
    fn drop(&mut self) {
        self.0.running.set(false);
        self.0.stopping.set(false);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("callbacks", &self.callbacks.borrow().len())
            .field("ready", &self.ready.borrow().len())
            .field("timers", &self.timers.borrow().len())
            .field("running", &self.running.get())
            .finish_non_exhaustive()
    }
}
// ANCHOR_END: rest

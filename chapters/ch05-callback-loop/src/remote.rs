//! How another thread gets a callback called on the loop's thread.
//!
//! The loop sleeps in its selector, and a queue that another thread fills does not wake it. So
//! there is a pipe as well: a byte in it makes its other end readable, and that the selector sees.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::mem;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::selector::Key;

// ANCHOR: called
/// What other threads have called, and whether there is a byte in the pipe.
///
/// Both stand under one lock. Otherwise a wake-up could be lost: the loop empties the queue, the
/// other thread adds to it and sees that there is a byte already, and then the loop takes the byte.
#[derive(Debug, Default)]
struct Called {
    keys: Vec<Key>,
    byte_in_pipe: bool,
}
// ANCHOR_END: called

// ANCHOR: ends
/// The loop's end.
#[derive(Debug)]
pub(crate) struct Wakeups {
    remote: Arc<Remote>,
    pipe: Rc<PipeReader>,
}

/// The end that other threads hold. It may outlive the loop: then it wakes nobody.
#[derive(Debug)]
struct Remote {
    called: Mutex<Called>,
    pipe: PipeWriter,
}

impl Wakeups {
    pub(crate) fn new() -> io::Result<Wakeups> {
        let (reader, writer) = io::pipe()?;
        let remote = Remote { called: Mutex::default(), pipe: writer };
        Ok(Wakeups { remote: Arc::new(remote), pipe: Rc::new(reader) })
    }

    /// Readable when there is something to take.
    pub(crate) fn descriptor(&self) -> Rc<dyn AsFd> {
        Rc::clone(&self.pipe) as Rc<dyn AsFd>
    }
    // ANCHOR_END: ends

    // ANCHOR: take
    /// What was called since the last time. To be asked when the descriptor is readable: then it
    /// does not block.
    pub(crate) fn take(&self) -> io::Result<Vec<Key>> {
        let mut called = self.remote.lock();
        if called.byte_in_pipe {
            (&*self.pipe).read_exact(&mut [0])?;
            called.byte_in_pipe = false;
        }
        Ok(mem::take(&mut called.keys))
    }
    // ANCHOR_END: take

    // ANCHOR: locked
    /// The other half of a callback that lies in the loop under `key`.
    pub(crate) fn remote_call<T>(&self, key: Key, slot: Slot<T>) -> RemoteCall<T> {
        RemoteCall { key, slot, remote: Arc::clone(&self.remote) }
    }
}

impl Remote {
    fn lock(&self) -> MutexGuard<'_, Called> {
        // Nothing that can panic runs under this lock.
        self.called.lock().unwrap_or_else(PoisonError::into_inner)
    }
    // ANCHOR_END: locked

    // ANCHOR: wake
    /// Makes `key` ready, and wakes the loop if it is not awake already.
    fn wake(&self, key: Key) {
        let mut called = self.lock();
        called.keys.push(key);
        if !called.byte_in_pipe {
            // One byte in an empty pipe: this does not block. It fails where the loop is gone.
            called.byte_in_pipe = (&self.pipe).write_all(&[0]).is_ok();
        }
    }
    // ANCHOR_END: wake
}

// ANCHOR: slot
/// Where the value waits on its way from the other thread to the callback.
#[derive(Debug)]
pub(crate) struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        Slot(Arc::new(Mutex::new(None)))
    }

    fn put(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Slot<T> {
        Slot(Arc::clone(&self.0))
    }
}
// ANCHOR_END: slot

// ANCHOR: remote_call
/// The right to have one callback called, from any thread.
///
/// Made by [`EventLoop::call_soon_threadsafe`](crate::EventLoop::call_soon_threadsafe).
#[derive(Debug)]
pub struct RemoteCall<T> {
    key: Key,
    slot: Slot<T>,
    remote: Arc<Remote>,
}

impl<T> RemoteCall<T> {
    /// Has the callback called with `value`, soon and on the loop's thread. Does not wait for it.
    pub fn call(self, value: T) {
        self.slot.put(value); // and the drop at the end of this line wakes the loop
    }
}

impl<T> Drop for RemoteCall<T> {
    fn drop(&mut self) {
        self.remote.wake(self.key);
    }
}
// ANCHOR_END: remote_call

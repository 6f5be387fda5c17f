//! A bounded channel: a queue in which a fast sender has to wait for a slow receiver.
//!
//! It is a locked queue and two signals: there is something, and there is room. The ends may be on
//! other threads, and a thread without a runtime may wait as well: to wait means to leave a waker,
//! and a waker can also unpark a thread.

use std::collections::VecDeque;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::current;
use super::notify::Notify;

// ANCHOR: channel
#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    filled: Notify,
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    /// How many sending ends there are, and whether the receiving one still exists.
    senders: usize,
    receiver_exists: bool,
}

/// A channel that holds `capacity` values at most.
///
/// # Panics
///
/// When `capacity` is 0.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs room for one value at least");
    let state = State { queue: VecDeque::new(), senders: 1, receiver_exists: true };
    let (filled, room) = (Notify::new(), Notify::new());
    let shared = Arc::new(Shared { state: Mutex::new(state), capacity, filled, room });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nobody panics while holding this lock")
    }
}
// ANCHOR_END: channel

/// Nobody can receive any more. The value comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a value could not be sent at once. It comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full.
    Full(T),
    /// Nobody can receive any more.
    Closed(T),
}

/// The sending end. It can be cloned, and moved to other threads.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The receiving end. There is one.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

// ANCHOR: sender
impl<T> Sender<T> {
    /// Sends a value, if there is room for it now.
    ///
    /// # Errors
    ///
    /// The value comes back when there is no room, or nobody who could receive it.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut state = self.shared.lock();
        if !state.receiver_exists {
            return Err(TrySendError::Closed(value));
        }
        if state.queue.len() == self.shared.capacity {
            return Err(TrySendError::Full(value));
        }
        state.queue.push_back(value);
        let room_left = state.queue.len() < self.shared.capacity;
        drop(state);
        self.shared.filled.notify_one();
        if room_left {
            self.shared.room.notify_one(); // two notifications may have counted as one
        }
        Ok(())
    }

    /// Waits for room, and sends. Dropped before it is ready, it has sent nothing. A sender that
    /// comes later may take the room first.
    ///
    /// # Errors
    ///
    /// The value comes back when nobody can receive it any more.
    pub async fn send(&self, mut value: T) -> Result<(), SendError<T>> {
        loop {
            match self.try_send(value) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(unsent)) => value = unsent,
                Err(TrySendError::Closed(unsent)) => {
                    self.shared.room.notify_one(); // the next one that waits is to learn it, too
                    return Err(SendError(unsent));
                }
            }
            self.shared.room.notified().await;
        }
    }

    /// Sends from a thread without a runtime: blocks it until there is room.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        park_until(self.send(value))
    }
}
// ANCHOR_END: sender

// ANCHOR: receiver
impl<T> Receiver<T> {
    /// Waits for a value. `None` when there is none and nobody is left to send one. Dropped before
    /// it is ready, it has taken nothing.
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            let value = self.try_recv();
            if value.is_some() || self.shared.lock().senders == 0 {
                // Between the two looks the last sender may have sent, and gone.
                return value.or_else(|| self.try_recv());
            }
            self.shared.filled.notified().await;
        }
    }

    /// Takes a value that is there.
    pub fn try_recv(&mut self) -> Option<T> {
        let value = self.shared.lock().queue.pop_front()?;
        self.shared.room.notify_one();
        Some(value)
    }

    /// Receives on a thread without a runtime: blocks it until there is a value.
    pub fn blocking_recv(&mut self) -> Option<T> {
        park_until(self.recv())
    }
}
// ANCHOR_END: receiver

// ANCHOR: park
/// Waits for a future by parking this thread: chapter 6's `block_on`, without descriptors and
/// timers.
fn park_until<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    assert!(
        !current::is_running(),
        "this would block the runtime on this thread: `.await` instead"
    );
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park(); // an unpark that came before it is not lost
    }
}
// ANCHOR_END: park

// ANCHOR: ends
impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.lock().senders += 1;
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.lock().senders -= 1;
        self.shared.filled.notify_one();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.receiver_exists = false;
        let values = mem::take(&mut state.queue);
        drop(state);
        self.shared.room.notify_one();
        drop(values); // at last: their drop may use this channel, or panic
    }
}
// ANCHOR_END: ends

//! What a waker does: it asks for another poll, from whatever thread it is called on.
//!
//! Two things are needed. The polling thread must know *that* it was asked: a flag. And it must not
//! sleep on while it is: a byte in a pipe, whose other end becomes readable, which poll(2) sees.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

// ANCHOR: signal
/// A wish to be polled again, set on any thread and taken on one. Its two descriptors stay
/// open as long as a waker of it is kept anywhere. (No relation to the signals of Unix.)
#[derive(Debug)]
pub struct Signal {
    /// Somebody asked, and there is a byte in the pipe. Never the one without the other: both
    /// change under this lock.
    woken: Mutex<bool>,
    reader: PipeReader,
    writer: PipeWriter,
}
// ANCHOR_END: signal

// ANCHOR: new
impl Signal {
    /// A signal that is not set.
    ///
    /// # Errors
    ///
    /// When the system has no descriptors left: a pipe needs two.
    pub fn new() -> io::Result<Signal> {
        let (reader, writer) = io::pipe()?;
        Ok(Signal { woken: Mutex::new(false), reader, writer })
    }
    // ANCHOR_END: new

    // ANCHOR: set_take
    /// Sets it. A second time changes nothing.
    pub fn set(&self) {
        let mut woken = self.lock();
        if !*woken {
            // One byte in an empty pipe: this does not block.
            *woken = (&self.writer).write_all(&[0]).is_ok();
        }
    }

    /// Was it set? Does not wait for it. Afterwards it is not set.
    ///
    /// # Errors
    ///
    /// What reading the pipe returns.
    pub fn take(&self) -> io::Result<bool> {
        let mut woken = self.lock();
        if *woken {
            (&self.reader).read_exact(&mut [0])?; // the byte is there: this does not block
        }
        Ok(std::mem::take(&mut *woken))
    }
    // ANCHOR_END: set_take

    // ANCHOR: lock
    fn lock(&self) -> MutexGuard<'_, bool> {
        // Nothing that can panic runs under this lock.
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
    // ANCHOR_END: lock
}

// ANCHOR: wake
/// With this, `Waker::from(Arc<Signal>)` is a [`Waker`](std::task::Waker).
impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}
// ANCHOR_END: wake

// ANCHOR: as_fd
/// Readable while the signal is set.
impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
// ANCHOR_END: as_fd

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::selector::Selector;

    fn is_set(signal: &Signal) -> bool {
        signal.take().expect("our own pipe can be read")
    }

    #[test]
    fn it_is_readable_while_it_is_set_and_a_second_time_changes_nothing() {
        let signal = Signal::new().expect("two descriptors are free");
        let mut selector = Selector::new();
        selector.register(7, &signal);
        let readable = || selector.select(Some(Duration::ZERO)).expect("a pipe can be polled");
        assert_eq!((readable(), is_set(&signal)), (vec![], false));
        signal.set();
        signal.set();
        assert_eq!((readable(), is_set(&signal)), (vec![7], true));
        assert_eq!((readable(), is_set(&signal)), (vec![], false), "one byte for both");
        signal.set();
        assert_eq!((readable(), is_set(&signal)), (vec![7], true));
    }

    #[test]
    fn it_can_be_set_from_another_thread_through_a_waker() {
        let signal = Arc::new(Signal::new().expect("two descriptors are free"));
        let waker = Waker::from(Arc::clone(&signal));
        thread::spawn(move || waker.wake()).join().expect("a waker does not panic");
        assert!(is_set(&signal));
        assert_eq!(Arc::strong_count(&signal), 1);
    }
}

//! What these tests measure with: a future that counts, a trace of what happened, and a limit on
//! how long a test may hang.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use ch07_asyncio::runtime::yield_now;
use lab::inside::PATIENCE;

/// Runs a test on a thread of its own. A wake-up that is lost shows as a test that never ends, and
/// this makes a failure of it.
///
/// # Panics
///
/// With the panic of the test, and when it has not ended within [`PATIENCE`].
pub(crate) fn watched<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _end = end; // dropped at the end, also by a panic
        test()
    });
    let hangs = ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
    assert!(!hangs, "it has not ended after {PATIENCE:?}");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Yields until something that must happen has happened.
///
/// # Panics
///
/// When it has not happened after a thousand turns in the ready queue.
pub(crate) async fn yield_until(happened: impl Fn() -> bool) {
    for _ in 0..1000 {
        if happened() {
            return;
        }
        yield_now().await;
    }
    panic!("what was waited for has not happened");
}

/// What happened, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    pub(crate) fn add(&self, what: impl Into<String>) {
        self.0.lock().expect("nobody panics while holding this lock").push(what.into());
    }

    /// Checks what happened since the last check.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) {
        let mut trace = self.0.lock().expect("nobody panics while holding this lock");
        assert_eq!(std::mem::take(&mut *trace), expected);
    }
}

/// A value that adds a word to the trace when it is dropped.
#[derive(Debug)]
pub(crate) struct OnDrop(pub(crate) Trace, pub(crate) &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

/// The test's hold on a future that counts. That future waits until it is told to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    polls: AtomicUsize,
    drops: AtomicUsize,
    ended: AtomicBool,
    wakes_itself: AtomicBool,
    /// That of the newest poll.
    waker: Mutex<Option<Waker>>,
}

impl Probe {
    pub(crate) fn future(&self) -> Probed {
        Probed(Arc::clone(&self.0))
    }

    /// The waker that the last poll was given.
    pub(crate) fn waker(&self) -> Waker {
        let waker = self.0.waker.lock().expect("nobody panics while holding this lock").clone();
        waker.expect("it was polled")
    }

    pub(crate) fn wake(&self) {
        self.waker().wake();
    }

    /// Lets the next poll wake the task before it returns.
    pub(crate) fn wake_in_the_next_poll(&self) {
        self.0.wakes_itself.store(true, Ordering::SeqCst);
    }

    /// Lets the next poll be ready. This alone does not wake the task.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn polls(&self) -> usize {
        self.0.polls.load(Ordering::SeqCst)
    }

    /// How often it was polled and dropped until now.
    #[track_caller]
    pub(crate) fn expect(&self, polls: usize, drops: usize) {
        assert_eq!((self.polls(), self.0.drops.load(Ordering::SeqCst)), (polls, drops));
    }
}

/// The future that counts.
#[derive(Debug)]
pub(crate) struct Probed(Arc<Counts>);

impl Future for Probed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        let mut waker = self.0.waker.lock().expect("nobody panics while holding this lock");
        *waker = Some(cx.waker().clone());
        drop(waker);
        if self.0.wakes_itself.swap(false, Ordering::SeqCst) {
            cx.waker().wake_by_ref();
        }
        if self.0.ended.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}

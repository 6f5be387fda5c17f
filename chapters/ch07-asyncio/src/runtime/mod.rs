//! A runtime for one thread, in the spirit of asyncio, with the names that a user of tokio knows.
//!
//! It has four parts, and each is one file:
//!
//! - the **executor** owns the tasks, and polls those that were woken;
//! - the **timers** hold a waker for each deadline;
//! - the **reactor** holds a waker for each descriptor;
//! - the **pool** runs what would block.
//!
//! A turn of its loop has the phases of chapter 5's, in the same order:
//!
//! 1. How long may we sleep?
//! 2. Wait.
//! 3. What is due? It is woken.
//! 4. Poll what was woken.
//!
//! What is absent: a second thread that polls, priorities, a budget for a task that never waits,
//! and unsafe code.

// ANCHOR: modules
mod blocking;
mod channel;
mod current;
mod executor;
mod join;
mod net;
mod notify;
mod reactor;
mod remote;
mod time;
mod timers;
mod yield_now;

#[cfg(unix)]
mod async_fd;

/// What `remote.rs` is made of. Under the model checker these names mean other types.
mod primitives {
    pub(super) use std::sync::Mutex;
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
}
// ANCHOR_END: modules

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use executor::{Executor, MAIN, TaskWaker, poll_woken};
use reactor::Reactor;
use remote::Remote;
use timers::Timers;

// ANCHOR: exports
#[cfg(unix)]
pub use async_fd::AsyncFd;
// ANCHOR_END: exports
pub use blocking::{ThreadReader, spawn_blocking, stdin};
pub use channel::{Receiver, SendError, Sender, TrySendError, channel};
pub use join::{JoinError, JoinHandle};
pub use net::{TcpListener, TcpStream};
pub use notify::{Notified, Notify};
pub use time::{Elapsed, Interval, Sleep, interval, sleep, sleep_until, timeout};
pub use yield_now::yield_now;

// ANCHOR: limits
/// How many polls may follow each other before timers and descriptors are looked at again. The same
/// as tokio's.
pub const POLLS_A_TURN: usize = 61;

/// How many threads the pool for blocking work has at most, unless it is told otherwise.
pub const BLOCKING_THREADS_MAX: usize = 512;
// ANCHOR_END: limits

// ANCHOR: runtime
/// A runtime. Dropped, it drops every future that it owns.
pub struct Runtime {
    core: Rc<Core>,
}

/// What the parts of a runtime share.
struct Core {
    executor: Executor,
    timers: RefCell<Timers>,
    reactor: Reactor,
    pool: blocking::Pool,
}
// ANCHOR_END: runtime

// ANCHOR: new
impl Runtime {
    /// A runtime without a task.
    ///
    /// # Errors
    ///
    /// When the system gives no selector: no descriptor is free.
    pub fn new() -> io::Result<Runtime> {
        Runtime::with_blocking_threads(BLOCKING_THREADS_MAX)
    }

    /// The same, with at most `threads_max` threads for [`spawn_blocking`].
    ///
    /// # Errors
    ///
    /// As [`Runtime::new`].
    ///
    /// # Panics
    ///
    /// When `threads_max` is 0.
    pub fn with_blocking_threads(threads_max: usize) -> io::Result<Runtime> {
        assert!(threads_max > 0, "a pool without a thread would run nothing");
        let (reactor, pool) = (Reactor::new()?, blocking::Pool::new(threads_max));
        let interrupt = reactor.interrupt()?;
        let remote = Remote::new(move || {
            // It fails where nothing is left to be woken: the loop and its selector are gone.
            let _ = interrupt.wake();
        });
        let (executor, timers) = (Executor::new(remote), RefCell::default());
        Ok(Runtime { core: Rc::new(Core { executor, timers, reactor, pool }) })
    }
    // ANCHOR_END: new

    // ANCHOR: block_on
    /// Runs `future`, and with it every task, until `future` is ready. Tasks that are not ready
    /// then stay, and another `block_on` goes on with them.
    ///
    /// # Panics
    ///
    /// When a runtime of this module runs on this thread already: the outer one could not take a
    /// turn. With the panic of `future`. And when the selector fails.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(!current::is_running(), "a runtime runs on this thread already: `.await` instead");
        let _entered = current::enter(&self.core);
        let mut future = pin!(future);
        let main = self.core.executor.schedule_new(MAIN);
        loop {
            if let Poll::Ready(output) = self.core.poll_ready(future.as_mut(), &main) {
                return output;
            }
            self.core.wait().expect("the selector can wait for what it has accepted");
        }
    }
    // ANCHOR_END: block_on

    // ANCHOR: spawn_on
    /// Makes a task of `future`. It runs when [`Runtime::block_on`] does.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        join::spawn(&self.core, future)
    }
    // ANCHOR_END: spawn_on
}

// ANCHOR: spawn
/// Makes a task of `future` in the current runtime. It is polled beside all others, when its place
/// in the ready queue comes, whether anybody awaits it or not.
///
/// It must be `'static`, because it may outlive whoever spawned it: the handle can be dropped, or
/// forgotten, and the task goes on. So it cannot borrow from there.
///
/// ```compile_fail,E0597
/// # use ch07_asyncio::runtime::{Runtime, spawn};
/// # Runtime::new()?.block_on(async {
/// let text = String::from("hello");
/// let borrowed = &text;
/// spawn(async move { println!("{borrowed}") }); // `text` does not live long enough
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// It may take what it needs along, and that need not be `Send`:
///
/// ```
/// # use ch07_asyncio::runtime::{Runtime, spawn};
/// # Runtime::new()?.block_on(async {
/// let text = std::rc::Rc::new("hello");
/// let length = spawn(async move { text.len() }).await;
/// assert_eq!(length.expect("it does not panic"), 5);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a runtime.
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    join::spawn(&current::core(), future)
}
// ANCHOR_END: spawn

impl Core {
    // ANCHOR: poll
    /// Phase 4. Polls what was woken, in the order in which it was woken, until nothing is left.
    /// But not for ever: two tasks that keep waking each other must not keep the loop from its
    /// timers.
    fn poll_ready<F: Future>(
        &self,
        mut future: Pin<&mut F>,
        main: &Arc<TaskWaker>,
    ) -> Poll<F::Output> {
        for _ in 0..POLLS_A_TURN {
            let Some(woken) = self.executor.ready.borrow_mut().pop_front() else { break };
            if !Arc::ptr_eq(&woken, main) {
                self.executor.poll(woken);
            } else if let Poll::Ready(output) = poll_woken(future.as_mut(), woken) {
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    }
    // ANCHOR_END: poll

    // ANCHOR: wait
    fn wait(&self) -> io::Result<()> {
        // 1. How long may we sleep? (Nothing is left over from the last turn, unless it panicked.)
        self.executor.take_remote();
        let time_limit = self.time_limit();

        // 2. Wait: for a descriptor, for another thread, or until that time is over. Who waits for
        //    a descriptor that is ready is woken.
        self.reactor.wait(time_limit)?;

        // 3. What else is due? What other threads have woken, and timers.
        self.executor.take_remote();
        let now = Instant::now();
        let due = || self.timers.borrow_mut().pop_due(now); // the borrow ends before the wake
        while let Some(waker) = due() {
            waker.wake();
        }
        Ok(())
    }

    /// Not at all if something is ready; until the first deadline if there is one; else for ever.
    fn time_limit(&self) -> Option<Duration> {
        if !self.executor.ready.borrow().is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.timers.borrow().next_deadline()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }
    // ANCHOR_END: wait
}

// ANCHOR: drop
impl Drop for Runtime {
    fn drop(&mut self) {
        // Futures hold their runtime (a `Sleep` must find its timer), and the runtime its futures.
        let _entered = current::enter(&self.core);
        self.core.executor.close();
        self.core.pool.close();
    }
}
// ANCHOR_END: drop

// ANCHOR: debug
impl fmt::Debug for Runtime {
    /// How many tasks, timers and descriptors it has at this moment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("tasks", &self.core.executor.tasks.borrow().len())
            .field("timers", &self.core.timers.borrow().wakers.len())
            .field("descriptors", &self.core.reactor.sources.borrow().len())
            .finish_non_exhaustive()
    }
}
// ANCHOR_END: debug

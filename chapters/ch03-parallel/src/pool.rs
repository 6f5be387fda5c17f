//! A pool of rayon's threads, and an account of what it has not finished.
//!
//! rayon takes any number of jobs and forgets them. A program that must end needs to know more:
//! which questions are still open, when the last of them is answered, and which it leaves behind.

use std::io;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

// ANCHOR: limit
/// How many questions may be open at once. Beyond that the reader waits, and so does whoever
/// writes to us: otherwise a fast writer would fill the memory with questions.
pub const PENDING_MAX: usize = 1024;
// ANCHOR_END: limit

// ANCHOR: pool
/// A pool that knows which of its questions are open.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: ThreadPool,
    account: Arc<Account>,
}
// ANCHOR_END: pool

impl Pool {
    // ANCHOR: new
    pub(crate) fn new(workers: NonZero<usize>) -> io::Result<Pool> {
        let threads = ThreadPoolBuilder::new()
            .num_threads(workers.get())
            .build()
            .map_err(io::Error::other)?;
        Ok(Pool { threads, account: Arc::default() })
    }
    // ANCHOR_END: new

    // ANCHOR: spawn
    /// Has a thread of the pool do the `work` on question n, and then `tell` of it. Waits while
    /// [`PENDING_MAX`] questions are open.
    ///
    /// Once the questions are abandoned, no work is begun any more, and nothing is told.
    pub(crate) fn spawn<T>(
        &self,
        n: u32,
        work: impl FnOnce() -> T + Send + 'static,
        tell: impl FnOnce(T) -> io::Result<()> + Send + 'static,
    ) {
        let question = Question::open(&self.account, n);
        self.threads.spawn_fifo(move || {
            if question.is_abandoned() {
                return;
            }
            let done = work();
            if !question.is_abandoned() {
                question.close(tell(done));
            }
        });
    }
    // ANCHOR_END: spawn

    // ANCHOR: wait
    /// Waits until no question is open. Returns the first error that telling an answer met.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut state = self.account.lock();
        while !state.open.is_empty() {
            state = self.account.wait(state);
        }
        state.failure.take().map_or(Ok(()), Err)
    }
    // ANCHOR_END: wait

    // ANCHOR: wait_for
    /// Waits until no question is open, but no longer than `grace`, and abandons those that are
    /// open then. Returns their numbers, in the order in which they were asked.
    pub(crate) fn wait_for(&self, grace: Duration) -> io::Result<Vec<u32>> {
        let state = self.account.lock();
        let (mut state, _) = self
            .account
            .changed
            .wait_timeout_while(state, grace, |state| !state.open.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.abandoned = true;
        let numbers = state.open.iter().map(|(_, n)| *n).collect();
        state.failure.take().map_or(Ok(numbers), Err)
    }
    // ANCHOR_END: wait_for
}

// ANCHOR: account
/// What is open, shared by the reader and the workers.
#[derive(Debug, Default)]
struct Account {
    state: Mutex<State>,
    /// Told when a question is closed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Serial number and n of each open question, in the order in which they were asked.
    open: Vec<(u64, u32)>,
    asked: u64,
    abandoned: bool,
    failure: Option<io::Error>,
}
// ANCHOR_END: account

// ANCHOR: locking
impl Account {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of others runs under this lock, so a panic cannot leave the account half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}
// ANCHOR_END: locking

// ANCHOR: question
/// One open question. It is closed when it is dropped, so that a panic cannot leave it open.
struct Question {
    account: Arc<Account>,
    serial: u64,
}
// ANCHOR_END: question

impl Question {
    // ANCHOR: open
    fn open(account: &Arc<Account>, n: u32) -> Question {
        let mut state = account.lock();
        while state.open.len() >= PENDING_MAX {
            state = account.wait(state);
        }
        let serial = state.asked;
        state.asked += 1;
        state.open.push((serial, n));
        Question { account: Arc::clone(account), serial }
    }
    // ANCHOR_END: open

    // ANCHOR: close
    fn is_abandoned(&self) -> bool {
        self.account.lock().abandoned
    }

    /// The answer was told, or could not be.
    fn close(self, told: io::Result<()>) {
        if let Err(error) = told {
            self.account.lock().failure.get_or_insert(error);
        }
    }
    // ANCHOR_END: close
}

// ANCHOR: drop_question
impl Drop for Question {
    fn drop(&mut self) {
        self.account.lock().open.retain(|(serial, _)| *serial != self.serial);
        self.account.changed.notify_all();
    }
}
// ANCHOR_END: drop_question

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
/// writes to us: otherwise a fast writer would fill the memory with questions. An `exit` behind so
/// many is not read before one of them is answered.
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
    /// [`PENDING_MAX`] questions are open. Returns the first error that telling has met so far.
    ///
    /// Once the questions are abandoned, no work is begun any more, and no telling.
    pub(crate) fn spawn<T>(
        &self,
        n: u32,
        work: impl FnOnce() -> T + Send + 'static,
        tell: impl FnOnce(T) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let question = Question::open(&self.account, n)?;
        self.threads.spawn_fifo(move || {
            if question.is_abandoned() {
                return;
            }
            let done = work();
            if !question.is_abandoned() {
                question.close(tell(done));
            }
        });
        Ok(())
    }
    // ANCHOR_END: spawn

    // ANCHOR: wait
    /// Waits until no question is open, or until telling an answer meets an error, and returns it.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut state = self.account.lock();
        while state.is_waited_for() {
            state = self.account.wait(state);
        }
        state.failure.take().map_or(Ok(()), Err)
    }
    // ANCHOR_END: wait

    // ANCHOR: wait_for
    /// As [`Pool::wait`], but no longer than `grace`, and abandons what is open then. Returns the
    /// numbers, in the order in which they were asked. An answer that is being told at that moment
    /// is among them, and may still appear.
    pub(crate) fn wait_for(&self, grace: Duration) -> io::Result<Vec<u32>> {
        let state = self.account.lock();
        let (mut state, _) = self
            .account
            .changed
            .wait_timeout_while(state, grace, |state| state.is_waited_for())
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
    /// The first error of telling an answer: perhaps nobody reads any more.
    failure: Option<io::Error>,
}
// ANCHOR_END: account

// ANCHOR: waited_for
impl State {
    fn is_waited_for(&self) -> bool {
        !self.open.is_empty() && self.failure.is_none()
    }
}
// ANCHOR_END: waited_for

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
/// One open question. It is closed when it is dropped, though not by a panic.
struct Question {
    account: Arc<Account>,
    serial: u64,
}
// ANCHOR_END: question

impl Question {
    // ANCHOR: open
    fn open(account: &Arc<Account>, n: u32) -> io::Result<Question> {
        let mut state = account.lock();
        while state.open.len() >= PENDING_MAX && state.failure.is_none() {
            state = account.wait(state);
        }
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let serial = state.asked;
        state.asked += 1;
        state.open.push((serial, n));
        Ok(Question { account: Arc::clone(account), serial })
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
        if std::thread::panicking() {
            return; // rayon ends the process now; nobody shall think that this was answered
        }
        self.account.lock().open.retain(|(serial, _)| *serial != self.serial);
        self.account.changed.notify_all();
    }
}
// ANCHOR_END: drop_question

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const ONE: NonZero<usize> = NonZero::new(1).expect("one is not zero");

    #[test]
    fn what_is_abandoned_is_named_in_order_never_begun_and_never_told() {
        let pool = Pool::new(ONE).expect("a thread is free");
        let (release, held) = mpsc::channel::<()>();
        let (told, tellings) = mpsc::channel();
        let tell = |told: mpsc::Sender<u32>, n| move |()| told.send(n).map_err(io::Error::other);
        let (begin, begun) = mpsc::channel();
        let begin_second = begin.clone();
        let hold = move || {
            begin.send(41).expect("the test listens");
            held.recv().expect("the test releases it");
        };
        let queued = move || begin_second.send(40).expect("the test listens");
        pool.spawn(41, hold, tell(told.clone(), 41)).expect("nothing failed");
        pool.spawn(40, queued, tell(told, 40)).expect("nothing failed");
        assert_eq!(begun.recv(), Ok(41));
        let abandoned = pool.wait_for(Duration::ZERO).expect("nothing failed");
        assert_eq!(abandoned, [41, 40]);
        release.send(()).expect("the worker waits for it");
        assert!(tellings.recv().is_err(), "both were dropped without being told");
        assert!(begun.recv().is_err(), "the second was never begun");
    }

    #[test]
    fn the_first_failure_is_returned_while_other_questions_are_open() {
        let pool = Pool::new(ONE).expect("a thread is free");
        let (release, held) = mpsc::channel::<()>();
        pool.spawn(1, || (), |()| Err(io::Error::other("first"))).expect("nothing failed");
        pool.spawn(2, || (), |()| Err(io::Error::other("second"))).expect("nothing failed so far");
        pool.spawn(3, move || held.recv().is_ok(), |_| Ok(())).expect("nothing failed so far");
        assert_eq!(pool.wait().map_err(|error| error.to_string()), Err("first".to_owned()));
        release.send(()).expect("the worker waits for it");
    }

    #[test]
    fn a_reader_that_waits_for_room_is_told_of_a_failure() {
        let pool = Pool::new(ONE).expect("a thread is free");
        let (release, held) = mpsc::channel::<()>();
        let fail = |_| Err(io::Error::other("nobody reads"));
        pool.spawn(1, move || held.recv().is_ok(), fail).expect("nothing failed");
        for _ in 1..PENDING_MAX {
            pool.spawn(2, || (), |()| Ok(())).expect("nothing failed");
        }
        release.send(()).expect("the worker waits for it");
        while pool.spawn(3, || (), |()| Ok(())).is_ok() {}
    }
}

//! A toy of the lock that CPython's interpreter has: whoever executes holds it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fib_timing::fib;

/// Python's `sys.getswitchinterval()`.
pub(crate) const SWITCH_INTERVAL: Duration = Duration::from_millis(5);

// ANCHOR: gil
/// One lock for all. Who waits for it asks for it after an interval; who holds it looks now and
/// then whether it was asked for.
#[derive(Debug)]
pub(crate) struct Gil {
    interval: Duration,
    state: Mutex<State>,
    released: Condvar,
    taken: Condvar,
    is_asked_for: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    is_held: bool,
    times_taken: u64,
    hand_overs: u64,
}

impl Gil {
    pub(crate) fn acquire(&self) {
        let mut state = self.lock();
        while state.is_held {
            let before = state.times_taken;
            let waited = self.released.wait_timeout(state, self.interval);
            let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            // The same thread has had it all the time.
            if waited.timed_out() && state.is_held && state.times_taken == before {
                self.is_asked_for.store(true, Ordering::Relaxed);
            }
        }
        state.is_held = true;
        state.times_taken += 1;
        self.is_asked_for.store(false, Ordering::Relaxed);
        self.taken.notify_all();
    }

    /// Between two instructions of the interpreter: hands the lock over if it was asked for.
    pub(crate) fn checkpoint(&self) {
        if !self.is_asked_for.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.lock();
        let mine = state.times_taken;
        state.is_held = false;
        state.hand_overs += 1;
        self.released.notify_one();
        // Not until another has it: otherwise we would be the first to take it again.
        while state.times_taken == mine {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.acquire();
    }
}
// ANCHOR_END: gil

impl Gil {
    pub(crate) fn new(interval: Duration) -> Gil {
        Gil {
            interval,
            state: Mutex::default(),
            released: Condvar::new(),
            taken: Condvar::new(),
            is_asked_for: AtomicBool::new(false),
        }
    }

    pub(crate) fn release(&self) {
        self.lock().is_held = false;
        self.released.notify_one();
    }

    /// Python code: runs while this thread holds the lock.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        self.acquire();
        let value = code();
        self.release();
        value
    }

    /// How often the lock was handed over because it was asked for.
    #[allow(dead_code, reason = "not every example that has this module asks")]
    pub(crate) fn hand_overs(&self) -> u64 {
        self.lock().hand_overs
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ANCHOR: fib
/// What the toy interpreter does between two looks at the lock: fib of this, some microseconds.
const INSTRUCTION: u32 = 18;

/// fib(n), computed by a thread that holds the lock.
pub(crate) fn fib_under(gil: &Gil, n: u32) -> u64 {
    if n <= INSTRUCTION {
        gil.checkpoint();
        return fib(n);
    }
    fib_under(gil, n - 1) + fib_under(gil, n - 2)
}
// ANCHOR_END: fib

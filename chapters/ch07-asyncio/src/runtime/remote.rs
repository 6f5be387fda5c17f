//! Wake-ups from other threads, and the flag that makes two wake-ups one.
//!
//! This is all that threads share of the executor, and it is one small file for that reason: the
//! model checker `loom` tries every order in which threads can meet in it (`tests/loom.rs`). There
//! the names from `primitives` are loom's.

use super::primitives::{AtomicBool, Mutex, Ordering};

// ANCHOR: scheduled
/// Whether a task is in a queue.
pub(super) struct Scheduled(AtomicBool);

impl Scheduled {
    /// A task is born in a queue.
    pub(super) fn new() -> Scheduled {
        Scheduled(AtomicBool::new(true))
    }

    /// Says whether it was set before. Whoever finds it clear must queue the task.
    pub(super) fn set(&self) -> bool {
        self.0.swap(true, Ordering::AcqRel)
    }

    /// Before the poll. A swap, not a store: whoever found the flag set has queued nothing, and
    /// this poll must see what that thread wrote before it called `wake`.
    pub(super) fn clear(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}
// ANCHOR_END: scheduled

// ANCHOR: remote
/// The queue that other threads fill, and the way to end the loop's sleep.
pub(super) struct Remote<T> {
    /// `None` after the end of the loop: a waker may outlive it, and then wakes nobody.
    woken: Mutex<Option<Vec<T>>>,
    /// Ends the sleep of the loop, also one that is about to begin.
    interrupt: Box<dyn Fn() + Send + Sync>,
}

impl<T> Remote<T> {
    pub(super) fn new(interrupt: impl Fn() + Send + Sync + 'static) -> Remote<T> {
        Remote { woken: Mutex::new(Some(Vec::new())), interrupt: Box::new(interrupt) }
    }

    /// Only the first into an empty queue has to end the sleep: the loop takes all of them at once,
    /// and under the same lock.
    pub(super) fn push(&self, woken: T) {
        let mut queue = self.woken.lock().expect("nobody panics while holding this lock");
        let Some(tasks) = &mut *queue else { return };
        tasks.push(woken);
        let first = tasks.len() == 1;
        drop(queue);
        if first {
            (self.interrupt)();
        }
    }

    pub(super) fn take(&self, ready: &mut impl Extend<T>) {
        let mut queue = self.woken.lock().expect("nobody panics while holding this lock");
        ready.extend(queue.iter_mut().flat_map(|queue| queue.drain(..)));
    }

    pub(super) fn close(&self) {
        let queue = self.woken.lock().expect("nobody panics while holding this lock").take();
        drop(queue); // after the lock: a waker's drop may run anything
    }
}
// ANCHOR_END: remote

//! Who is to be woken at which deadline.
//!
//! An ordered map, as in chapter 5, with wakers in the place of callbacks. No clock in here:
//! whoever asks what is due says when "now" is.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;
use std::time::Instant;

/// Names a timer. Of two equal deadlines, the one that was asked for first comes first.
pub(super) type TimerKey = (Instant, u64);

/// Deadlines, the earliest first.
#[derive(Default)]
pub(super) struct Timers {
    pub(super) wakers: BTreeMap<TimerKey, Waker>,
    next: u64,
}

impl Timers {
    pub(super) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        let key = (deadline, self.next);
        self.next += 1;
        self.wakers.insert(key, waker);
        key
    }

    // ANCHOR: update
    /// From now on this waker counts: the task may have been moved into another one.
    /// Returns the old one: its drop may run anything.
    pub(super) fn update(&mut self, key: TimerKey, waker: Waker) -> Option<Waker> {
        self.wakers.get_mut(&key).map(|old| mem::replace(old, waker))
    }

    /// A cancelled timer leaves nothing behind.
    pub(super) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        self.wakers.remove(&key)
    }
    // ANCHOR_END: update

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.wakers.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Takes out the earliest timer, if its deadline has passed.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Waker> {
        let earliest = self.wakers.first_entry()?;
        (earliest.key().0 <= now).then(|| earliest.remove())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    /// Writes down when it is woken.
    struct Number(usize, Arc<AtomicUsize>);

    impl Wake for Number {
        fn wake(self: Arc<Self>) {
            // digit by digit: 2, then 24, then 243
            let seen = self.1.load(Ordering::Relaxed);
            self.1.store(seen * 10 + self.0, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_earliest_comes_first_and_equal_deadlines_keep_their_order() {
        let (start, woken) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        for (ms, number) in [(30, 1), (10, 2), (20, 3), (10, 4), (40, 5)] {
            timers.insert(at(ms), Waker::from(Arc::new(Number(number, Arc::clone(&woken)))));
        }
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert!(timers.pop_due(at(9)).is_none());
        while let Some(waker) = timers.pop_due(at(30)) {
            waker.wake();
        }
        assert_eq!(woken.load(Ordering::Relaxed), 2431);
        assert_eq!((timers.wakers.len(), timers.next_deadline()), (1, Some(at(40))));
    }

    #[test]
    fn a_removed_timer_leaves_nothing_behind() {
        let start = Instant::now();
        let mut timers = Timers::default();
        let first = timers.insert(start, Waker::noop().clone());
        let second = timers.insert(start, Waker::noop().clone());
        assert!(timers.remove(first).is_some());
        assert!(timers.remove(first).is_none());
        assert_eq!(timers.wakers.len(), 1);
        assert!(timers.pop_due(start).is_some());
        assert!(timers.remove(second).is_none());
    }
}

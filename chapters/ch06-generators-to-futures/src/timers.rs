//! What becomes ready at a deadline.
//!
//! An ordered set of (deadline, key). Keys are given out in order, so of two equal deadlines the
//! one that was asked for first comes first. No clock in here: whoever asks what is due says when
//! "now" is.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::selector::Key;

/// Deadlines, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: BTreeSet<(Instant, Key)>,
}

impl Timers {
    pub(crate) fn insert(&mut self, deadline: Instant, key: Key) {
        self.deadlines.insert((deadline, key));
    }

    pub(crate) fn remove(&mut self, deadline: Instant, key: Key) {
        self.deadlines.remove(&(deadline, key));
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    // ANCHOR: pop_due
    /// Takes out the earliest timer, if its deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        let (deadline, key) = *self.deadlines.first()?;
        if now < deadline {
            return None;
        }
        self.deadlines.pop_first();
        Some(key)
    }
    // ANCHOR_END: pop_due

    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equal_deadlines_keep_their_order() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        for (ms, key) in [(30, 1), (10, 2), (20, 3), (10, 4), (40, 5)] {
            timers.insert(at(ms), key);
        }
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        let due: Vec<Key> = std::iter::from_fn(|| timers.pop_due(at(30))).collect();
        assert_eq!(due, [2, 4, 3, 1]);
        assert_eq!(timers.next_deadline(), Some(at(40)));
    }

    #[test]
    fn a_removed_timer_leaves_nothing_behind() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.insert(start, 1);
        timers.insert(start, 2);
        timers.remove(start, 1);
        assert_eq!(
            (timers.len(), timers.pop_due(start), timers.pop_due(start)),
            (1, Some(2), None)
        );
    }
}

//! Three places to keep timers: a sorted list, a heap, and a wheel.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// In milliseconds. Whoever asks says when "now" is: no clock on a wall can be set back here.
pub(crate) type Time = u64;
/// Given out in order.
pub(crate) type Key = u64;

pub(crate) trait Timers: Default {
    fn insert(&mut self, deadline: Time, key: Key);
    /// Adds those due to `due`, the earliest first, and of equal deadlines the smallest key. To be
    /// called for each millisecond.
    fn take_due(&mut self, now: Time, due: &mut Vec<Key>);
}

// ANCHOR: list
/// The earliest first.
#[derive(Default)]
pub(crate) struct List(Vec<(Time, Key)>);

impl Timers for List {
    fn insert(&mut self, deadline: Time, key: Key) {
        let place = self.0.partition_point(|timer| *timer < (deadline, key));
        self.0.insert(place, (deadline, key)); // moves all that are later
    }

    fn take_due(&mut self, now: Time, due: &mut Vec<Key>) {
        while self.0.first().is_some_and(|(deadline, _)| *deadline <= now) {
            due.push(self.0.remove(0).1); // moves all
        }
    }
}
// ANCHOR_END: list

#[derive(Default)]
pub(crate) struct Heap(BinaryHeap<Reverse<(Time, Key)>>);

impl Timers for Heap {
    fn insert(&mut self, deadline: Time, key: Key) {
        self.0.push(Reverse((deadline, key)));
    }

    fn take_due(&mut self, now: Time, due: &mut Vec<Key>) {
        while self.0.peek().is_some_and(|Reverse((deadline, _))| *deadline <= now) {
            due.extend(self.0.pop().map(|Reverse((_, key))| key));
        }
    }
}

// ANCHOR: wheel
const SLOTS: usize = 4096;

/// A slot for each of the next 4,096 ms. What is due later lies in the same slots, and is passed by
/// once a round.
pub(crate) struct Wheel(Vec<Vec<(Time, Key)>>);

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel(vec![Vec::new(); SLOTS])
    }
}

impl Timers for Wheel {
    fn insert(&mut self, deadline: Time, key: Key) {
        self.0[deadline as usize % SLOTS].push((deadline, key));
    }

    fn take_due(&mut self, now: Time, due: &mut Vec<Key>) {
        self.0[now as usize % SLOTS].retain(|(deadline, key)| {
            let is_due = *deadline <= now;
            due.extend(is_due.then_some(*key));
            !is_due
        });
    }
}
// ANCHOR_END: wheel

//! Generators by hand: a `for` loop turned inside out.
//!
//! A generator hands its caller a value in the middle of a loop, and goes on there when it is asked
//! for the next one. Stable Rust has no `yield`, so we write the struct that a compiler would make.
//! What were local variables of the loop are its fields. What was one pass of the loop, from one
//! `yield` to the next, is its `next`.

use std::iter::Fuse;

// ANCHOR: countdown
/// Counts down to 1. As a generator the whole of it would be
///
/// ```text
/// while left > 0 {
///     yield left;
///     left -= 1;
/// }
/// ```
///
/// ```
/// use ch06_generators_to_futures::iterator::Countdown;
///
/// assert_eq!(Countdown::from(3).collect::<Vec<_>>(), [3, 2, 1]);
/// ```
#[derive(Debug, Clone)]
pub struct Countdown {
    left: u32,
}

impl Countdown {
    /// Counts from `left` down to 1.
    pub fn from(left: u32) -> Countdown {
        Countdown { left }
    }
}

impl Iterator for Countdown {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.left == 0 {
            return None;
        }
        let value = self.left;
        self.left -= 1; // what stood after the yield has to be done before the return
        Some(value)
    }
}
// ANCHOR_END: countdown

// ANCHOR: countdowns
/// One countdown after another. As a generator it is a loop in a loop:
///
/// ```text
/// for number in numbers {
///     for value in Countdown::from(number) {
///         yield value;
///     }
/// }
/// ```
///
/// The inner loop is a local variable of the outer one, and so the struct of the inner one is a
/// field in the struct of the outer one. Every value passes through both.
///
/// ```
/// use ch06_generators_to_futures::iterator::Countdowns;
///
/// assert_eq!(Countdowns::of([2, 0, 3]).collect::<Vec<_>>(), [2, 1, 3, 2, 1]);
/// ```
#[derive(Debug, Clone)]
pub struct Countdowns<I> {
    /// An iterator may have another value after its end. A loop does not ask it again.
    numbers: Fuse<I>,
    inner: Countdown,
}

impl<I: Iterator<Item = u32>> Countdowns<I> {
    /// A countdown from each of the numbers, in their order.
    pub fn of(numbers: impl IntoIterator<IntoIter = I, Item = u32>) -> Countdowns<I> {
        Countdowns { numbers: numbers.into_iter().fuse(), inner: Countdown::from(0) }
    }
}

impl<I: Iterator<Item = u32>> Iterator for Countdowns<I> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if let Some(value) = self.inner.next() {
                return Some(value);
            }
            self.inner = Countdown::from(self.numbers.next()?);
        }
    }
}
// ANCHOR_END: countdowns

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_before_it_is_asked_for() {
        let mut taken = 0;
        let numbers = [2, 1].into_iter().inspect(|_| taken += 1);
        let mut countdowns = Countdowns::of(numbers);
        assert_eq!([countdowns.next(), countdowns.next()], [Some(2), Some(1)]);
        drop(countdowns);
        assert_eq!(taken, 1, "the second number was not asked for");
    }

    #[test]
    fn after_the_end_it_stays_at_its_end() {
        let mut countdown = Countdown::from(1);
        let values = [countdown.next(), countdown.next(), countdown.next()];
        assert_eq!(values, [Some(1), None, None]);

        let mut asked = 0;
        let mut countdowns = Countdowns::of(std::iter::from_fn(|| {
            asked += 1;
            (asked != 2).then_some(1) // one value, then the end, then more values
        }));
        let values = [countdowns.next(), countdowns.next(), countdowns.next()];
        assert_eq!(values, [Some(1), None, None]);
    }
}

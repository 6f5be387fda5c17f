//! The smallest generator: a loop that stops in its middle, and goes on there.
//!
//! A countdown is made in two ways. One collects all its numbers into a `Vec` and returns that; the
//! other yields them. A consumer takes the numbers from each. Both sides write down what they do.
//! Predict the two orders. And predict, while the consumer holds a number that was yielded: where
//! is the countdown?
//!
//! `cargo run -p ch06-generators-to-futures --example countdown`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, Write};
use std::process::ExitCode;

/// Who did what, in the order in which it happened.
type Trace = RefCell<Vec<String>>;

fn note(trace: &Trace, what: impl Into<String>) {
    trace.borrow_mut().push(what.into());
}

// ANCHOR: collected
/// All numbers at once: the loop runs to its end before anybody sees the first.
fn collected(from: u32, trace: &Trace) -> Vec<u32> {
    let mut numbers = Vec::new();
    note(trace, "countdown: starts");
    let mut n = from;
    while n > 0 {
        note(trace, format!("countdown: has {n}"));
        numbers.push(n);
        n -= 1;
    }
    note(trace, "countdown: ends");
    numbers
}
// ANCHOR_END: collected

// ANCHOR: countdown
/// The same loop, but where it says `numbers.push(n)` it yields:
///
/// ```text
/// starts
/// let mut n = from;
/// while n > 0 {
///     yield n;      <- suspended here, `n` is all that has to be kept
///     n -= 1;
/// }
/// ends
/// ```
enum Countdown {
    /// Before the first line.
    Start { from: u32 },
    /// At the `yield`.
    Suspended { n: u32 },
    /// After the last line.
    Ended,
}
// ANCHOR_END: countdown

// ANCHOR: next
/// A countdown that writes down what it does.
struct Traced<'a> {
    countdown: Countdown,
    trace: &'a Trace,
}

impl Iterator for Traced<'_> {
    type Item = u32;

    /// Runs from where it stopped to the next `yield`, or to the end.
    fn next(&mut self) -> Option<u32> {
        let n = match self.countdown {
            Countdown::Start { from } => {
                note(self.trace, "countdown: starts");
                from
            }
            Countdown::Suspended { n } => n - 1,
            Countdown::Ended => return None,
        };
        if n > 0 {
            note(self.trace, format!("countdown: has {n}"));
            self.countdown = Countdown::Suspended { n };
            Some(n)
        } else {
            note(self.trace, "countdown: ends");
            self.countdown = Countdown::Ended;
            None
        }
    }
}
// ANCHOR_END: next

// ANCHOR: consume
/// Knows nothing of how the numbers are made.
fn consume(numbers: impl IntoIterator<Item = u32>, trace: &Trace) {
    for n in numbers {
        note(trace, format!("           consumer: got {n}"));
    }
}
// ANCHOR_END: consume

/// The two traces: collected first, then yielded one by one.
fn measure() -> (Vec<String>, Vec<String>) {
    let trace = Trace::default();
    consume(collected(3, &trace), &trace);
    let all_at_once = trace.take();
    consume(Traced { countdown: Countdown::Start { from: 3 }, trace: &trace }, &trace);
    (all_at_once, trace.take())
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    let (all_at_once, in_turns) = measure();
    writeln!(out, "collected into a Vec:")?;
    all_at_once.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    writeln!(out, "\nyielded:")?;
    in_turns.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    writeln!(
        out,
        "\nWhile the consumer holds a number, the countdown is a value of {} bytes: \
         no frame on the stack.",
        size_of::<Countdown>()
    )
}

fn main() -> ExitCode {
    command_line::experiment("countdown", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collected_the_producer_ends_before_the_consumer_begins() {
        let expected = [
            "countdown: starts",
            "countdown: has 3",
            "countdown: has 2",
            "countdown: has 1",
            "countdown: ends",
            "           consumer: got 3",
            "           consumer: got 2",
            "           consumer: got 1",
        ];
        assert_eq!(measure().0, expected);
    }

    #[test]
    fn yielded_the_two_take_turns() {
        let expected = [
            "countdown: starts",
            "countdown: has 3",
            "           consumer: got 3",
            "countdown: has 2",
            "           consumer: got 2",
            "countdown: has 1",
            "           consumer: got 1",
            "countdown: ends",
        ];
        assert_eq!(measure().1, expected);
    }

    #[test]
    fn nothing_runs_before_the_first_next_and_nothing_after_the_end() {
        let trace = Trace::default();
        let mut countdown = Traced { countdown: Countdown::Start { from: 1 }, trace: &trace };
        assert_eq!(trace.take(), [] as [&str; 0]);
        assert_eq!((countdown.next(), countdown.next()), (Some(1), None));
        let ran = trace.take();
        assert_eq!(ran, ["countdown: starts", "countdown: has 1", "countdown: ends"]);
        assert_eq!((countdown.next(), countdown.next()), (None, None));
        assert_eq!(trace.take(), [] as [&str; 0]);
    }

    #[test]
    fn a_countdown_that_is_not_asked_again_stays_where_it_is() {
        let trace = Trace::default();
        let first = Traced { countdown: Countdown::Start { from: 3 }, trace: &trace }.next();
        assert_eq!(first, Some(3));
        assert_eq!(trace.take(), ["countdown: starts", "countdown: has 3"]); // and it is dropped
    }
}

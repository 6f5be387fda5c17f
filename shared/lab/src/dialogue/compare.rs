//! When two lines are the same although two runs printed them; and how many hellos a group of them
//! stands for.

use std::borrow::Cow;

use super::parse::{Step, Text};
use crate::wire::{Wire, is_digits};

/// Are the lines the same, but for what differs from run to run?
pub(super) fn same(expected: &str, seen: &str) -> bool {
    is_hello(expected) && is_hello(seen) || timeless(expected) == timeless(seen)
}

/// Is it a hello, at whatever second?
pub(super) fn is_hello(line: &str) -> bool {
    Wire::read(line) == Wire::Hello
}

/// The line with an `N` for each number that another run would print otherwise.
fn timeless(line: &str) -> String {
    let mut words: Vec<Cow<'_, str>> = line.split(' ').map(Cow::from).collect();
    for at in 1..words.len() {
        let takes_a_time = words[at - 1].ends_with("(took")
            && words.get(at + 1).is_some_and(|unit| unit.starts_with("s)"));
        let takes_a_process = matches!(&*words[at - 1], "process" | "pid");
        if takes_a_time && is_decimal(&words[at]) || takes_a_process && is_number(&words[at]) {
            words[at] = "N".into();
        }
    }
    words.join(" ")
}

fn is_decimal(word: &str) -> bool {
    word.split_once('.').is_some_and(|(whole, fraction)| is_digits(whole) && is_digits(fraction))
}

/// A number, perhaps with a comma or the like after it.
fn is_number(word: &str) -> bool {
    is_digits(word.trim_end_matches(|c: char| c.is_ascii_punctuation()))
}

/// A group of hellos with nothing on standard output between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Hellos of the group that have been seen.
    pub(super) seen: usize,
    /// So few are enough, if it is elastic; else exactly so many.
    least: usize,
    /// Two hellos stood directly one after the other, and stand for any number.
    elastic: bool,
}

impl Group {
    /// The group of which `steps` begins with the first hello.
    pub(super) fn beginning(steps: &[Text]) -> Group {
        let mut group = Group::default();
        let mut run = 0;
        for Text { step, .. } in steps {
            match step {
                Step::Out(line) if is_hello(line) => run += 1,
                Step::Out(_) => break,
                _ => group.add(std::mem::take(&mut run)),
            }
        }
        group.add(run);
        group
    }

    fn add(&mut self, run: usize) {
        self.elastic |= run >= 2;
        self.least += run.min(2);
    }

    /// May there be more than the file shows?
    pub(super) fn may_grow(&self) -> bool {
        self.elastic
    }

    /// May the rest of its hellos be missing?
    pub(super) fn is_enough(&self) -> bool {
        self.elastic && self.seen >= self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_process_ids_do_not_count() {
        assert!(same("1 - Hello world!", "1700000000 - Hello world!"));
        assert!(same("fib(30) = 832040 (took 0.004 s)", "fib(30) = 832040 (took 12.500 s)"));
        assert!(same("process 12, born", "process 99, born"));
        assert!(same("worker pid 1: fib", "worker pid 4711: fib"));
    }

    #[test]
    fn everything_else_counts() {
        assert!(!same("fib(30) = 832040 (took 0.004 s)", "fib(30) = 832041 (took 0.004 s)"));
        assert!(!same("fib(30) = 832040 (took 0.004 s)", "fib(30) = 832040 (took 4 ms)"));
        assert!(!same("1 - Hello world!", "1 - Hello  world!"));
        assert!(!same("12 processes", "13 processes"));
        assert!(!same("a ", "a"));
    }

    fn group(lines: &[&str]) -> Group {
        let step = |line: &&str| match line.strip_prefix("< ") {
            Some(typed) => Step::Type(typed.to_owned()),
            None => Step::Out(line.to_string()),
        };
        Group::beginning(
            &lines.iter().map(|line| Text { line: 0, step: step(line) }).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn two_hellos_in_a_row_are_any_number_and_single_ones_are_counted() {
        const HELLO: &str = "1 - Hello world!";
        assert_eq!(group(&[HELLO, "x", HELLO]), Group { seen: 0, least: 1, elastic: false });
        assert_eq!(group(&[HELLO, "< 1", HELLO]), Group { seen: 0, least: 2, elastic: false });
        assert_eq!(group(&[HELLO, HELLO, HELLO, "x"]), Group { seen: 0, least: 2, elastic: true });
        assert_eq!(
            group(&[HELLO, "< 1", HELLO, HELLO]),
            Group { seen: 0, least: 3, elastic: true }
        );
    }
}

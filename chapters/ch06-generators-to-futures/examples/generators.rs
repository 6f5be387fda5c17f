//! Four generators as iterators, and a fifth that is written like its definition and is too dear.
//!
//! "The natural numbers are 0, and then each natural number plus 1." The recursive `naturals` says
//! this and nothing else. Each of its items is asked for with a call of `next`. Predict: how many
//! calls do the first 1,000 items take, all in all?
//!
//! `cargo run -p ch06-generators-to-futures --example generators`

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, Write};
use std::iter;
use std::process::ExitCode;

// ANCHOR: one_liners
/// 0, 1, 2, …: each item follows from the one before it.
fn naturals() -> impl Iterator<Item = u64> {
    iter::successors(Some(0_u64), |n| n.checked_add(1))
}

/// 0, 0, 0, …: each item is what a closure returns.
fn zeros() -> impl Iterator<Item = u64> {
    iter::from_fn(|| Some(0))
}

/// The same item for ever: a closure that keeps it. What a closure captures is the generator's
/// local variables.
fn repeat<T: Clone>(item: T) -> impl Iterator<Item = T> {
    iter::from_fn(move || Some(item.clone()))
}
// ANCHOR_END: one_liners

// ANCHOR: fib
/// The Fibonacci numbers. The fields are the two local variables of the loop that one would write,
/// `None` where a number does not fit 64 bits.
struct Fib {
    this: Option<u64>,
    next: Option<u64>,
}

fn fib() -> Fib {
    Fib { this: Some(0), next: Some(1) }
}

impl Iterator for Fib {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let this = self.this?;
        self.this = self.next;
        self.next = self.next.and_then(|next| next.checked_add(this));
        Some(this)
    }
}
// ANCHOR_END: fib

// ANCHOR: recursive
/// The natural numbers by their definition: 0, and then each of *another* such generator plus 1.
struct Recursive<'a> {
    rest: Option<Box<Recursive<'a>>>,
    cost: &'a Cost,
}

impl Iterator for Recursive<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.cost.enter();
        let item = match &mut self.rest {
            None => {
                self.rest = Some(Box::new(Recursive { rest: None, cost: self.cost }));
                Some(0)
            }
            Some(rest) => rest.next().map(|n| n + 1),
        };
        self.cost.leave();
        item
    }
}
// ANCHOR_END: recursive

/// Counts the calls of `next`, and how many of them are on the stack at once.
#[derive(Debug, Default)]
struct Cost {
    calls: Cell<usize>,
    depth: Cell<usize>,
    deepest: Cell<usize>,
}

impl Cost {
    fn enter(&self) {
        self.calls.set(self.calls.get() + 1);
        self.depth.set(self.depth.get() + 1);
        self.deepest.set(self.deepest.get().max(self.depth.get()));
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }
}

/// What the first `items` items of the recursive generator cost.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    items: usize,
    calls: usize,
    deepest: usize,
}

fn measure(items: usize) -> Row {
    let cost = Cost::default();
    let recursive = Recursive { rest: None, cost: &cost };
    assert!(recursive.take(items).eq(naturals().take(items)), "it gives the same numbers");
    Row { items, calls: cost.calls.get(), deepest: cost.deepest.get() }
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "naturals  {}", first(naturals()))?;
    writeln!(out, "zeros     {}", first(zeros()))?;
    writeln!(out, "repeat    {}", first(repeat("tick")))?;
    writeln!(out, "fib       {}", first(fib()))?;
    writeln!(out, "\nThe recursive naturals:")?;
    writeln!(out, "{:>7}{:>16}{:>16}", "items", "calls of next", "on the stack")?;
    for Row { items, calls, deepest } in [1, 10, 100, 1000].map(measure) {
        writeln!(out, "{items:>7}{calls:>16}{deepest:>16}")?;
    }
    Ok(())
}

/// The beginning of an endless sequence, for a person.
fn first(items: impl Iterator<Item: Display>) -> String {
    items.take(8).map(|item| format!("{item} ")).chain(["…".to_owned()]).collect()
}

fn main() -> ExitCode {
    command_line::experiment("generators", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generator_gives_its_sequence() {
        assert!(naturals().take(100).eq(0..100));
        assert!(zeros().take(3).eq([0, 0, 0]));
        assert!(repeat("tick").take(3).eq(["tick"; 3]));
        assert!(fib().take(10).eq([0, 1, 1, 2, 3, 5, 8, 13, 21, 34]));
    }

    #[test]
    fn fib_ends_with_the_last_that_fits_64_bits() {
        assert_eq!(fib().zip(0..).last(), Some((12_200_160_415_121_876_738, 93)));
    }

    #[test]
    fn item_n_of_the_recursive_one_costs_n_calls() {
        let cost = Cost::default();
        let mut recursive = Recursive { rest: None, cost: &cost };
        for n in 1..=100 {
            let before = cost.calls.get();
            assert_eq!(recursive.next(), naturals().nth(n - 1));
            assert_eq!(cost.calls.get() - before, n);
            assert_eq!(cost.deepest.get(), n, "all of them are on the stack at once");
        }
    }

    #[test]
    fn so_n_items_cost_n_times_n_plus_1_by_2() {
        for items in [1, 2, 10, 100, 200] {
            let expected = Row { items, calls: items * (items + 1) / 2, deepest: items };
            assert_eq!(measure(items), expected);
        }
    }
}

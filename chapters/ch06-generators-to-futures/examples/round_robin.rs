//! A scheduler in ten lines: a queue of coroutines, one step each.
//!
//! Three countdowns share one thread. The scheduler takes the first of the queue, resumes it, and
//! puts it back at the end. Predict the order of their numbers. Then `b` is one that never yields:
//! it counts down from 1,000 in one step. Predict where its numbers stand in that order. (Were it
//! an endless loop, this example would not end, and `a` and `c` would never have a turn again.)
//!
//! `cargo run -p ch06-generators-to-futures --example round_robin`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::process::ExitCode;

use ch06_generators_to_futures::iterator::Countdown;
use ch06_generators_to_futures::state_machine::{Coroutine, Step};

/// Who said which number, in their order.
type Trace = RefCell<Vec<(char, u32)>>;

// ANCHOR: run
/// It is given nothing and yields nothing: what it does in its turns is its own affair.
type Task<'a> = Box<dyn Coroutine<(), Yield = (), Return = ()> + 'a>;

/// Gives each task one step in turn, until all have returned.
fn run(tasks: Vec<Task<'_>>) {
    let mut queue = VecDeque::from(tasks);
    while let Some(mut task) = queue.pop_front() {
        match task.resume(()) {
            Step::Yielded(()) => queue.push_back(task),
            Step::Returned(()) => {}
        }
    }
}
// ANCHOR_END: run

// ANCHOR: polite
/// Says one number, and yields.
struct Polite<'a> {
    name: char,
    numbers: Countdown,
    trace: &'a Trace,
}

impl Coroutine<()> for Polite<'_> {
    type Yield = ();
    type Return = ();

    fn resume(&mut self, (): ()) -> Step<(), ()> {
        let Some(n) = self.numbers.next() else { return Step::Returned(()) };
        self.trace.borrow_mut().push((self.name, n));
        Step::Yielded(())
    }
}
// ANCHOR_END: polite

// ANCHOR: greedy
/// Says all its numbers before anybody else has a turn.
struct Greedy<'a> {
    name: char,
    numbers: Countdown,
    trace: &'a Trace,
}

impl Coroutine<()> for Greedy<'_> {
    type Yield = ();
    type Return = ();

    fn resume(&mut self, (): ()) -> Step<(), ()> {
        for n in &mut self.numbers {
            self.trace.borrow_mut().push((self.name, n));
        }
        Step::Returned(())
    }
}
// ANCHOR_END: greedy

// ANCHOR: measure
fn polite<'a>(name: char, from: u32, trace: &'a Trace) -> Task<'a> {
    Box::new(Polite { name, numbers: Countdown::from(from), trace })
}

fn all_polite() -> Vec<(char, u32)> {
    let trace = Trace::default();
    run(vec![polite('a', 3, &trace), polite('b', 2, &trace), polite('c', 3, &trace)]);
    trace.into_inner()
}

fn one_greedy() -> Vec<(char, u32)> {
    let trace = Trace::default();
    let greedy = Greedy { name: 'b', numbers: Countdown::from(1000), trace: &trace };
    run(vec![polite('a', 3, &trace), Box::new(greedy), polite('c', 3, &trace)]);
    trace.into_inner()
}
// ANCHOR_END: measure

/// One line for each turn: what one task said before another did.
fn print_turns(out: &mut dyn Write, trace: &[(char, u32)]) -> io::Result<()> {
    for turn in trace.chunk_by(|(one, _), (other, _)| one == other) {
        match turn {
            [(name, n)] => writeln!(out, "    {name} says {n}")?,
            [(name, first), .., (_, last)] => {
                writeln!(out, "    {name} says {first} to {last}: {} numbers", turn.len())?
            }
            [] => {} // a chunk has at least one element
        }
    }
    Ok(())
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "all three yield after each number:")?;
    print_turns(out, &all_polite())?;
    writeln!(out, "b never yields:")?;
    print_turns(out, &one_greedy())
}

fn main() -> ExitCode {
    command_line::experiment("round_robin", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_step_in_turn_and_who_has_returned_is_passed_over() {
        let expected =
            [('a', 3), ('b', 2), ('c', 3), ('a', 2), ('b', 1), ('c', 2), ('a', 1), ('c', 1)];
        assert_eq!(all_polite(), expected);
    }

    #[test]
    fn who_never_yields_keeps_all_others_from_their_turns() {
        let mut expected = vec![('a', 3)];
        expected.extend((1..=1000).rev().map(|n| ('b', n)));
        expected.extend([('c', 3), ('a', 2), ('c', 2), ('a', 1), ('c', 1)]);
        assert_eq!(one_greedy(), expected);
    }

    #[test]
    fn no_task_means_no_turn() {
        run(Vec::new());
    }
}

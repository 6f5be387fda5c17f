//! One thread, no data race, and updates are lost all the same.
//!
//! A hundred tasks add 1 to a counter that they share. Each reads the counter, awaits something,
//! and writes what it has read plus 1. Predict the counter at the end, and then again for tasks
//! that await before they read. Last, two tasks borrow a `RefCell`, and the first holds its borrow
//! across an `.await`. Predict what the second one gets. (Its panic also says so on standard
//! error.)
//!
//! `cargo run -p ch07-asyncio --example lost_update`

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;

use ch07_asyncio::runtime::{JoinError, Runtime, spawn, yield_now};

/// How many tasks add 1.
const TASKS: u32 = 100;

// ANCHOR: add
/// Between the read and the write every other task may run, and does.
async fn add_across_an_await(counter: Rc<Cell<u32>>) {
    let count = counter.get();
    yield_now().await; // stands for a question to a database
    counter.set(count + 1);
}

/// No `.await` between the read and the write: no other task runs there. No lock is needed.
async fn add_after_the_await(counter: Rc<Cell<u32>>) {
    yield_now().await;
    counter.set(counter.get() + 1);
}
// ANCHOR_END: add

// ANCHOR: count
/// What the counter says after `TASKS` tasks.
fn count<F>(add: impl Fn(Rc<Cell<u32>>) -> F) -> io::Result<u32>
where
    F: Future<Output = ()> + 'static,
{
    let counter = Rc::new(Cell::new(0));
    Runtime::new()?.block_on(async {
        let tasks: Vec<_> = (0..TASKS).map(|_| spawn(add(Rc::clone(&counter)))).collect();
        for task in tasks {
            task.await.expect("nobody aborts it, and it does not panic");
        }
        Ok(counter.get())
    })
}
// ANCHOR_END: count

// ANCHOR: borrow
type Names = Rc<RefCell<Vec<&'static str>>>;

#[expect(clippy::await_holding_refcell_ref, reason = "the mistake that this example shows")]
async fn push_across_an_await(name: &'static str, names: Names) {
    let mut names = names.borrow_mut();
    yield_now().await;
    names.push(name);
}

/// What became of two tasks, and what is in the list then.
struct Borrowed {
    outcomes: [Result<(), JoinError>; 2],
    names: Vec<&'static str>,
}

/// The panic ends the second task, and nothing else: its handle brings it.
fn borrow() -> io::Result<Borrowed> {
    let names = Names::default();
    let outcomes = Runtime::new()?.block_on(async {
        let first = spawn(push_across_an_await("first", Rc::clone(&names)));
        let second = spawn(push_across_an_await("second", Rc::clone(&names)));
        [first.await, second.await]
    });
    Ok(Borrowed { outcomes, names: names.take() })
}
// ANCHOR_END: borrow

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{TASKS} tasks add 1 to a counter:")?;
    writeln!(out, "{:>5}  when they read, await, write", count(add_across_an_await)?)?;
    writeln!(out, "{:>5}  when they await, read, write", count(add_after_the_await)?)?;
    let Borrowed { outcomes, names } = borrow()?;
    writeln!(out, "two tasks hold a borrow across an await:")?;
    for (task, outcome) in ["first", "second"].iter().zip(outcomes) {
        match outcome {
            Ok(()) => writeln!(out, "    {task:<8}has ended well")?,
            Err(error) => writeln!(out, "    {task:<8}{error}")?,
        }
    }
    writeln!(out, "    in the list: {}", names.join(", "))
}

fn main() -> ExitCode {
    command_line::experiment("lost_update", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_await_between_check_and_act_loses_updates() {
        // All have read 0 before the first of them writes.
        assert_eq!(count(add_across_an_await).expect("the system gives a selector"), 1);
    }

    #[test]
    fn without_an_await_in_between_none_is_lost() {
        assert_eq!(count(add_after_the_await).expect("the system gives a selector"), TASKS);
    }

    #[test]
    fn a_borrow_across_an_await_panics_in_the_task_that_comes_next() {
        let Borrowed { outcomes: [first, second], names } =
            borrow().expect("the system gives a selector");
        assert!(first.is_ok());
        let Err(JoinError::Panicked(payload)) = second else { panic!("it has not panicked") };
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
        assert!(message.is_some_and(|text| text.contains("already")), "{message:?}"); // borrowed
        assert_eq!(names, ["first"]);
    }
}

//! A group of tasks that ends together: all outputs, or the first error and no task left.
//!
//! A dropped `JoinHandle` lets its task go on. `gather` builds the other rule from it: who waits
//! for a group owns it. Three requests, A, B and C, have their answers after 3, 2 and 1 yields.
//! Predict the order of the outputs. Then B fails. Predict which requests clean up, when they do,
//! and how many tasks the runtime has when the error arrives. Last, the one who waits for the group
//! is aborted.
//!
//! `cargo run -p ch07-asyncio --example gather`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll};

use ch07_asyncio::runtime::{JoinError, JoinHandle, Runtime, spawn, yield_now};

// ANCHOR: group
/// A task of a group, or its output.
enum Member<T, E> {
    Running(JoinHandle<Result<T, E>>),
    Ended(T),
}

/// Tasks that do not outlive it.
struct Group<T, E>(Vec<Member<T, E>>);

impl<T, E> Drop for Group<T, E> {
    fn drop(&mut self) {
        for member in &self.0 {
            if let Member::Running(task) = member {
                task.abort();
            }
        }
    }
}
// ANCHOR_END: group

// ANCHOR: gather
/// Runs all, each as a task, and reyields their outputs in the order in which they were given.
///
/// # Errors
///
/// The first that any of them reyields. By then the others have been dropped. Dropped itself,
/// `gather` drops all of them.
///
/// # Panics
///
/// With the panic of any of them.
async fn gather<T: 'static, E: 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T, E>> + 'static>,
) -> Result<Vec<T>, E> {
    let tasks = futures.into_iter().map(|future| Member::Running(spawn(future)));
    let mut group = Group(tasks.collect());
    poll_fn(|cx| group.poll(cx)).await?;
    let ended = |member| match member {
        Member::Ended(output) => Some(output),
        Member::Running(_) => None, // none is: the group is ready
    };
    Ok(group.0.drain(..).filter_map(ended).collect())
}

impl<T, E> Group<T, E> {
    /// Looks at every member that runs. Each of them was left our waker: whoever ends calls it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let mut all_ended = true;
        for member in &mut self.0 {
            let Member::Running(task) = member else { continue };
            match Pin::new(task).poll(cx) {
                Poll::Pending => all_ended = false,
                Poll::Ready(Ok(Ok(output))) => *member = Member::Ended(output),
                Poll::Ready(Ok(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Err(JoinError::Panicked(panic))) => resume_unwind(panic),
                Poll::Ready(Err(JoinError::Cancelled)) => {
                    unreachable!("only the group has the handles")
                }
            }
        }
        if all_ended { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}
// ANCHOR_END: gather

/// What happened, in its order.
type Trace = Rc<RefCell<Vec<String>>>;

fn note(trace: &Trace, what: String) {
    trace.borrow_mut().push(what);
}

type Answer = Result<String, &'static str>;

// ANCHOR: request
/// A local variable of a request: dropped with it, in whatever way that ends.
struct CleanUp(char, Trace);

impl Drop for CleanUp {
    fn drop(&mut self) {
        note(&self.1, format!("{} cleans up", self.0));
    }
}

/// Has its answer after so many yields. It may be an error.
async fn request((name, yields): (char, usize), fails: bool, trace: Trace) -> Answer {
    let _clean_up = CleanUp(name, Rc::clone(&trace));
    for _ in 0..yields {
        yield_now().await;
    }
    note(&trace, format!("{name} has its answer"));
    if fails { Err("no route") } else { Ok(format!("answer to {name}")) }
}
// ANCHOR_END: request

// ANCHOR: measure
const REQUESTS: [(char, usize); 3] = [('A', 3), ('B', 2), ('C', 1)];

/// The three requests, of which one may fail.
fn requests(failing: Option<char>, trace: &Trace) -> [impl Future<Output = Answer> + use<>; 3] {
    REQUESTS.map(|(name, yields)| request((name, yields), failing == Some(name), Rc::clone(trace)))
}

fn measure(failing: Option<char>) -> io::Result<Vec<String>> {
    let (runtime, trace) = (Runtime::new()?, Trace::default());
    runtime.block_on(async {
        let gathered = gather(requests(failing, &trace)).await;
        note(&trace, format!("gathered: {gathered:?}; {runtime:?}"));
    });
    Ok(trace.take())
}

/// The one who waits for the group is a task too, and is aborted after a few yields.
fn measure_abort() -> io::Result<Vec<String>> {
    let (runtime, trace) = (Runtime::new()?, Trace::default());
    runtime.block_on(async {
        let gathering = spawn(gather(requests(None, &trace)));
        for _ in 0..3 {
            yield_now().await;
        }
        note(&trace, format!("aborting; {runtime:?}"));
        gathering.abort();
        note(&trace, format!("aborted: {:?}; {runtime:?}", gathering.await));
    });
    Ok(trace.take())
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    for (title, trace) in [
        ("all succeed:", measure(None)?),
        ("B fails:", measure(Some('B'))?),
        ("who waits is aborted:", measure_abort()?),
    ] {
        writeln!(out, "{title}")?;
        trace.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("gather", print)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use ch07_asyncio::runtime::timeout;
    use lab::inside::PATIENCE;

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        Runtime::new().expect("the system gives a selector").block_on(future)
    }

    fn trace(failing: Option<char>) -> Vec<String> {
        measure(failing).expect("the system gives a selector")
    }

    #[test]
    fn the_outputs_come_in_the_order_of_the_futures() {
        let trace = trace(None);
        let answers: Vec<_> = trace.iter().filter(|line| line.ends_with("answer")).collect();
        assert_eq!(answers, ["C has its answer", "B has its answer", "A has its answer"]);
        let last = trace.last().expect("it was noted");
        let expected = "gathered: Ok([\"answer to A\", \"answer to B\", \"answer to C\"]);";
        assert!(last.starts_with(expected), "{last}");
        assert!(last.contains("tasks: 0"), "{last}");
    }

    #[test]
    fn when_the_first_error_arrives_the_others_have_cleaned_up_and_no_task_is_left() {
        let trace = trace(Some('B'));
        let (last, before) = trace.split_last().expect("it was noted");
        let expected = [
            "C has its answer",
            "C cleans up",
            "B has its answer",
            "B cleans up",
            "A cleans up", // and never had its answer
        ];
        assert_eq!(before, expected);
        assert!(last.starts_with("gathered: Err(\"no route\");"), "{last}");
        assert!(last.contains("tasks: 0"), "{last}");
    }

    #[test]
    fn who_waits_for_a_group_takes_it_along() {
        let trace = measure_abort().expect("the system gives a selector");
        let aborting = trace.iter().position(|line| line.starts_with("aborting"));
        let (before, after) = trace.split_at(aborting.expect("it was noted"));
        assert_eq!(before, ["C has its answer", "C cleans up"]);
        assert!(after[0].contains("tasks: 3"), "{after:?}"); // A, B, and the one who waits
        assert_eq!(after[1..3], ["A cleans up", "B cleans up"]);
        assert!(after[3].starts_with("aborted: Err(Cancelled)"), "{after:?}");
        assert!(after[3].contains("tasks: 0"), "{after:?}");
    }

    #[test]
    fn an_error_does_not_wait_for_those_before_it() {
        let one = async |error: Option<i32>| match error {
            Some(error) => Err::<(), i32>(error),
            None => pending().await,
        };
        let futures = [one(None), one(Some(7))];
        assert_eq!(block_on(timeout(PATIENCE, gather(futures))), Ok(Err(7)));
    }

    #[test]
    fn a_group_of_none_is_ready_at_once() {
        let none: [std::future::Ready<Result<(), ()>>; 0] = [];
        assert_eq!(block_on(gather(none)), Ok(vec![]));
    }

    #[test]
    fn a_panic_of_one_is_a_panic_of_gather() {
        let panics = async { if true { panic!("on purpose") } else { Ok::<(), ()>(()) } };
        let panic = catch_unwind(AssertUnwindSafe(|| block_on(gather([panics]))));
        let payload = panic.expect_err("it panicked");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}

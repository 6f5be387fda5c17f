//! Three requests on one thread: one after another, and spawned.
//!
//! A request computes (set-up), waits for its answer, and computes again (tear-down). Predict how
//! many waits long three of them take when each is awaited before the next is made, and when all
//! are spawned first. And predict how many waits are open at once in the second case: a well-known
//! picture of this says "two at most".
//!
//! `cargo run -p ch07-asyncio --example three_tasks`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{Runtime, sleep, spawn};
use fib_timing::fib;

/// How long the other side takes to answer.
const WAIT: Duration = Duration::from_millis(100);

/// The CPU work of a set-up, and of a tear-down: fib of this.
const WORK: u32 = 20;

const REQUESTS: usize = 3;

/// What begins and ends, in its order.
type Trace = Rc<RefCell<Vec<Event>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Event {
    request: usize,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    ComputeBegins,
    ComputeEnds,
    WaitBegins,
    WaitEnds,
}

// ANCHOR: request
async fn request(request: usize, wait: Duration, trace: Trace) {
    let note = |step| trace.borrow_mut().push(Event { request, step });
    let compute = || {
        note(Step::ComputeBegins);
        std::hint::black_box(fib(WORK));
        note(Step::ComputeEnds);
    };
    compute();
    note(Step::WaitBegins);
    sleep(wait).await;
    note(Step::WaitEnds);
    compute();
}
// ANCHOR_END: request

// ANCHOR: one_after_another
/// `.await` runs nothing in the background: the next request is not even made before the last has
/// ended.
async fn one_after_another(wait: Duration, trace: Trace) {
    for number in 1..=REQUESTS {
        request(number, wait, Rc::clone(&trace)).await;
    }
}
// ANCHOR_END: one_after_another

// ANCHOR: spawned
/// A task runs whether somebody awaits it or not. So all are started before the first is awaited.
async fn spawned(wait: Duration, trace: Trace) {
    let spawn_one = |number| spawn(request(number, wait, Rc::clone(&trace)));
    let tasks: Vec<_> = (1..=REQUESTS).map(spawn_one).collect();
    for task in tasks {
        task.await.expect("nobody aborts it, and it does not panic");
    }
}
// ANCHOR_END: spawned

// ANCHOR: measure
struct Run {
    events: Vec<Event>,
    took: Duration,
}

fn measure<F: Future<Output = ()>>(requests: impl FnOnce(Trace) -> F) -> io::Result<Run> {
    let (trace, start) = (Trace::default(), Instant::now());
    Runtime::new()?.block_on(requests(Rc::clone(&trace)));
    Ok(Run { events: trace.take(), took: start.elapsed() })
}

/// How many waits are open after each event.
fn open_waits(events: &[Event]) -> Vec<usize> {
    let open = events.iter().scan(0, |open, event| {
        match event.step {
            Step::WaitBegins => *open += 1,
            Step::WaitEnds => *open -= 1,
            Step::ComputeBegins | Step::ComputeEnds => {}
        }
        Some(*open)
    });
    open.collect()
}
// ANCHOR_END: measure

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::ComputeBegins => "computes …",
            Step::ComputeEnds => "… has computed",
            Step::WaitBegins => "waits …",
            Step::WaitEnds => "… has waited",
        };
        write!(f, "{}{} {step}", " ".repeat(4 * (self.request - 1)), self.request)
    }
}

fn print_run(out: &mut dyn Write, title: &str, run: &Run) -> io::Result<()> {
    writeln!(out, "{title}: {:.1} waits long", run.took.as_secs_f64() / WAIT.as_secs_f64())?;
    for (event, open) in run.events.iter().zip(open_waits(&run.events)) {
        writeln!(out, "    {:<30}{open} open", event.to_string())?;
    }
    Ok(())
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    let run = measure(|trace| one_after_another(WAIT, trace))?;
    print_run(out, "awaited one after another", &run)?;
    print_run(out, "spawned, then awaited", &measure(|trace| spawned(WAIT, trace))?)
}

fn main() -> ExitCode {
    command_line::experiment("three_tasks", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than three set-ups take, on any machine.
    const LONG: Duration = Duration::from_millis(500);

    fn run<F: Future<Output = ()>>(requests: impl FnOnce(Trace) -> F) -> Run {
        measure(requests).expect("the system gives a selector")
    }

    fn events_of(request: usize) -> [Event; 6] {
        use Step::*;
        [ComputeBegins, ComputeEnds, WaitBegins, WaitEnds, ComputeBegins, ComputeEnds]
            .map(|step| Event { request, step })
    }

    /// No event of another request stands between the beginning and the end of a computation.
    fn assert_computations_do_not_overlap(events: &[Event]) {
        let begins = |pair: &&[Event]| pair[0].step == Step::ComputeBegins;
        let computations: Vec<_> = events.windows(2).filter(begins).collect();
        assert_eq!(computations.len(), 2 * REQUESTS);
        for pair in computations {
            assert_eq!(pair[1], Event { request: pair[0].request, step: Step::ComputeEnds });
        }
    }

    #[test]
    fn awaited_one_after_another_the_waits_add_up() {
        let wait = Duration::from_millis(10);
        let run = run(|trace| one_after_another(wait, trace));
        let expected: Vec<Event> = (1..=REQUESTS).flat_map(events_of).collect();
        assert_eq!(run.events, expected);
        assert_eq!(open_waits(&run.events).into_iter().max(), Some(1));
        assert!(run.took >= wait * 3, "{:?}", run.took);
    }

    #[test]
    fn spawned_all_three_waits_are_open_at_once_and_no_two_computations_overlap() {
        let run = run(|trace| spawned(LONG, trace));
        assert_computations_do_not_overlap(&run.events);
        let begun = |event: &Event| *event == Event { request: 3, step: Step::WaitBegins };
        let third = run.events.iter().position(begun).expect("it has waited");
        assert_eq!(open_waits(&run.events)[third], REQUESTS);
        assert!(run.took >= LONG, "{:?}", run.took);
    }

    #[test]
    fn spawned_they_begin_and_end_in_their_order() {
        let run = run(|trace| spawned(LONG, trace));
        let requests: Vec<usize> = run.events.iter().map(|event| event.request).collect();
        assert_eq!(requests, [1, 1, 1, 2, 2, 2, 3, 3, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    }
}

//! Who runs next: an `.await` alone does not decide it.
//!
//! Two tasks, `a` and `b`, say their name three times, with an `.await` after each. Predict the six
//! letters when the awaited future is ready at once, and when it is `yield_now()`. Then `a` and `b`
//! become one task that polls both (a join), and task `c` stands beside it: does a yield of `a` let
//! `c` run, or `b`? Last, a timer is due, and a task goes on awaiting: how often does it await
//! until the timer's task runs?
//!
//! `cargo run -p ch07-asyncio --example coop`

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{JoinHandle, POLLS_A_TURN, Runtime, sleep_until, spawn, yield_now};

/// Who spoke, in that order.
type Trace = Rc<RefCell<String>>;

// ANCHOR: await_ready
/// Says its name three times. What it awaits is ready: no `.await` gives the thread away.
async fn await_ready(name: char, trace: Trace) {
    for _ in 0..3 {
        trace.borrow_mut().push(name);
        ready(()).await;
    }
}
// ANCHOR_END: await_ready

// ANCHOR: await_yield
/// The same. Each `.await` sends its task to the end of the ready queue.
async fn await_yield(name: char, trace: Trace) {
    for _ in 0..3 {
        trace.borrow_mut().push(name);
        yield_now().await;
    }
}
// ANCHOR_END: await_yield

// ANCHOR: join
/// Polls both whenever its task is polled, until both are ready.
async fn join(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut one_ended, mut other_ended) = (false, false);
    poll_fn(|cx| {
        one_ended = one_ended || one.as_mut().poll(cx).is_ready();
        other_ended = other_ended || other.as_mut().poll(cx).is_ready();
        if one_ended && other_ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
// ANCHOR_END: join

// ANCHOR: orders
/// Spawns some tasks, waits for them, and says in which order they spoke.
fn order(start: impl FnOnce(&Trace) -> Vec<JoinHandle<()>>) -> io::Result<String> {
    let trace = Trace::default();
    Runtime::new()?.block_on(async {
        for task in start(&trace) {
            task.await.expect("nobody aborts it, and it does not panic");
        }
        Ok(trace.take())
    })
}

fn ready_tasks(trace: &Trace) -> Vec<JoinHandle<()>> {
    ['a', 'b'].map(|name| spawn(await_ready(name, Rc::clone(trace)))).into()
}

fn yielding_tasks(trace: &Trace) -> Vec<JoinHandle<()>> {
    ['a', 'b'].map(|name| spawn(await_yield(name, Rc::clone(trace)))).into()
}

fn three_tasks(trace: &Trace) -> Vec<JoinHandle<()>> {
    ['a', 'c', 'b'].map(|name| spawn(await_yield(name, Rc::clone(trace)))).into()
}

fn a_join_and_a_task(trace: &Trace) -> Vec<JoinHandle<()>> {
    let [a, b, c] = ['a', 'b', 'c'].map(|name| await_yield(name, Rc::clone(trace)));
    vec![spawn(join(a, b)), spawn(c)]
}
// ANCHOR_END: orders

/// Where the awaits of the last experiment end.
const AWAITS: usize = 10_000;

/// When its timer falls due.
const SOON: Duration = Duration::from_millis(20);

// ANCHOR: late_timer
/// A timer falls due, and then a task awaits `AWAITS` times. Says how many of these were over when
/// the timer's task ran.
///
/// The loop looks at its timers between two turns, and a turn ends after `POLLS_A_TURN` polls. But
/// it does not end inside of a poll. (tokio has a budget for that: after 128 operations in one
/// poll, its own sockets, channels and timers are pending although they are ready. A future that
/// is none of tokio's does not ask the budget.)
fn late_timer<F: Future<Output = ()>>(awaited: impl Fn() -> F + 'static) -> io::Result<usize> {
    let (awaits, due) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    Runtime::new()?.block_on(async {
        let timer = spawn({
            let (awaits, due) = (Rc::clone(&awaits), Rc::clone(&due));
            async move {
                let deadline = Instant::now() + SOON;
                due.set(Some(deadline));
                sleep_until(deadline).await;
                awaits.get()
            }
        });
        spawn(async move {
            while Some(Instant::now()) < due.get() {} // from here on the timer is due
            for _ in 0..AWAITS {
                awaited().await;
                awaits.set(awaits.get() + 1);
            }
        });
        Ok(timer.await.expect("nobody aborts it, and it does not panic"))
    })
}
// ANCHOR_END: late_timer

fn print(out: &mut dyn Write) -> io::Result<()> {
    let two = "two tasks, a and b";
    writeln!(out, "{two:<38}await what is ready   {}", order(ready_tasks)?)?;
    writeln!(out, "{two:<38}await yield_now()     {}", order(yielding_tasks)?)?;
    let (three, join) = ("three tasks, a, c and b", "a and b joined in one task, c beside");
    writeln!(out, "{three:<38}await yield_now()     {}", order(three_tasks)?)?;
    writeln!(out, "{join:<38}await yield_now()     {}", order(a_join_and_a_task)?)?;
    writeln!(out)?;
    writeln!(out, "awaits of one task while another one's timer is due, of {AWAITS}:")?;
    writeln!(out, "{:>8}  when what it awaits is ready", late_timer(|| ready(()))?)?;
    let yielding = late_timer(yield_now)?;
    writeln!(out, "{yielding:>8}  when it awaits yield_now() ({POLLS_A_TURN} polls a turn)")
}

fn main() -> ExitCode {
    command_line::experiment("coop", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_of(start: fn(&Trace) -> Vec<JoinHandle<()>>) -> String {
        order(start).expect("the system gives a selector")
    }

    #[test]
    fn to_await_what_is_ready_yields_to_nobody() {
        assert_eq!(order_of(ready_tasks), "aaabbb");
    }

    #[test]
    fn yield_now_goes_to_the_end_of_the_queue() {
        assert_eq!(order_of(yielding_tasks), "ababab");
        assert_eq!(order_of(three_tasks), "acbacbacb");
    }

    #[test]
    fn inside_of_a_join_yield_now_goes_to_the_sibling_before_the_queue() {
        assert_eq!(order_of(a_join_and_a_task), "abcabcabc");
    }

    #[test]
    fn a_due_timer_waits_for_the_whole_poll_of_a_task_that_awaits_what_is_ready() {
        let awaits = late_timer(|| ready(())).expect("the system gives a selector");
        assert_eq!(awaits, AWAITS);
    }

    #[test]
    fn a_due_timer_waits_for_one_turn_of_tasks_that_yield() {
        let awaits = late_timer(yield_now).expect("the system gives a selector");
        assert!((1..=POLLS_A_TURN).contains(&awaits), "{awaits}");
    }
}

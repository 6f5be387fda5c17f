//! The tests. `run` and `spawn` are those of the step.

use std::sync::mpsc;
use std::task::Poll;
use std::{future, thread};

use ch07_asyncio::runtime::yield_now;

use super::super::instruments::{OnDrop, Probe, Trace, yield_until};
use super::{run, spawn};

#[test]
fn the_ready_queue_is_first_in_first_out() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        for name in ["a", "b", "c"] {
            let trace = its_trace.clone();
            drop(spawn(async move { trace.add(name) }));
        }
        yield_now().await;
        its_trace.add("main");
    });
    trace.expect(&["a", "b", "c", "main"]);
}

#[test]
fn to_spawn_is_not_to_poll() {
    run(|| async {
        let probe = Probe::default();
        let task = spawn(probe.future());
        probe.expect(0, 0);
        probe.end();
        task.await;
        probe.expect(1, 1);
    });
}

#[test]
fn a_task_runs_though_nobody_awaits_it() {
    run(|| async {
        let probe = Probe::default();
        drop(spawn(probe.future()));
        yield_now().await;
        probe.expect(1, 0);
        probe.end();
        probe.wake();
        yield_now().await;
        probe.expect(2, 1);
    });
}

#[test]
fn the_output_comes_to_who_waits_and_to_who_asks_later() {
    run(|| async {
        let early = spawn(async {
            yield_now().await;
            "waited for"
        });
        assert_eq!(early.await, "waited for");

        let probe = Probe::default();
        probe.end();
        let its_end = probe.future();
        let late = spawn(async {
            its_end.await;
            "there already"
        });
        yield_now().await;
        probe.expect(1, 1);
        assert_eq!(late.await, "there already");
    });
}

#[test]
fn two_tasks_that_yield_take_turns() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let tasks = ["a", "b"].map(|name| {
            let trace = its_trace.clone();
            spawn(async move {
                for _ in 0..3 {
                    trace.add(name);
                    yield_now().await;
                }
            })
        });
        for task in tasks {
            task.await;
        }
    });
    trace.expect(&["a", "b", "a", "b", "a", "b"]);
}

/// Each yield of the main future is one round of the ready queue.
#[test]
fn a_task_is_polled_when_it_was_woken_and_never_else() {
    run(|| async {
        let probe = Probe::default();
        let task = spawn(probe.future());
        yield_now().await;
        probe.expect(1, 0);
        yield_now().await;
        probe.expect(1, 0); // nobody has woken it

        probe.wake();
        probe.expect(1, 0); // to wake is not to poll
        yield_now().await;
        probe.expect(2, 0);

        for _ in 0..3 {
            probe.wake();
        }
        yield_now().await;
        probe.expect(3, 0); // woken three times, polled once
        yield_now().await;
        probe.expect(3, 0);

        probe.end();
        probe.wake();
        probe.expect(3, 0);
        yield_now().await;
        probe.expect(4, 1); // dropped when it has ended, not when it is joined
        task.await;
        probe.expect(4, 1);
    });
}

#[test]
fn what_is_woken_while_it_is_polled_is_polled_again() {
    run(|| async {
        let probe = Probe::default();
        probe.wake_in_the_next_poll();
        let task = spawn(probe.future());
        yield_now().await;
        probe.expect(1, 0); // not at once: it has its turn behind the others
        yield_now().await;
        probe.expect(2, 0);
        yield_now().await;
        probe.expect(2, 0);

        probe.end();
        probe.wake();
        task.await;
        probe.expect(3, 1);
    });
}

/// The wake-up comes from another thread, and between the begin of the poll and its end.
#[test]
fn what_another_thread_wakes_while_it_is_polled_is_polled_again() {
    let polls = run(|| async {
        let mut polls = 0;
        spawn(future::poll_fn(move |cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(polls);
            }
            let waker = cx.waker().clone();
            thread::spawn(|| waker.wake()).join().expect("a wake-up does not panic");
            Poll::Pending
        }))
        .await
    });
    assert_eq!(polls, 2);
}

/// The first poll after the end of one that woke its own task, and was ready.
#[test]
fn what_wakes_itself_and_ends_is_not_polled_again() {
    run(|| async {
        let probe = Probe::default();
        probe.wake_in_the_next_poll();
        probe.end();
        spawn(probe.future()).await;
        probe.expect(1, 1);
        yield_now().await;
        probe.expect(1, 1);
    });
}

#[test]
fn a_waker_that_is_left_over_wakes_nobody() {
    run(|| async {
        let probe = Probe::default();
        let task = spawn(probe.future());
        yield_now().await;
        let waker = probe.waker();
        probe.end();
        waker.wake_by_ref();
        task.await;
        probe.expect(2, 1);

        let next = Probe::default(); // it may lie where the other one lay
        let next_task = spawn(next.future());
        yield_now().await;
        next.expect(1, 0);
        for _ in 0..3 {
            waker.wake_by_ref();
        }
        thread::spawn(|| waker.wake()).join().expect("a wake-up does not panic");
        // As many rounds as another thread's wake-up can take to be seen, and more.
        for _ in 0..200 {
            yield_now().await;
        }
        probe.expect(2, 1);
        next.expect(1, 0);
        next.end();
        next.wake();
        next_task.await;
    });
}

#[test]
fn another_thread_s_wake_ups_are_one_poll() {
    run(|| async {
        let probe = Probe::default();
        let task = spawn(probe.future());
        yield_now().await;
        let (first, second) = (probe.waker(), probe.waker());
        let wakes = || {
            first.wake();
            second.wake();
        };
        thread::spawn(wakes).join().expect("a wake-up does not panic");
        let its_probe = probe.clone();
        yield_until(move || its_probe.polls() == 2).await;
        for _ in 0..200 {
            yield_now().await;
        }
        probe.expect(2, 0);
        probe.end();
        probe.wake();
        task.await;
    });
}

/// Nothing is ready in between: the loop sleeps, or is about to, and every wake-up must end that.
#[test]
fn no_wake_up_from_another_thread_is_lost() {
    const ROUNDS: usize = 2000;
    let (ask, asked) = mpsc::channel::<std::task::Waker>();
    let thread = thread::spawn(move || asked.into_iter().map(|waker| waker.wake()).count());
    let mut polls = 0;
    run(move || {
        future::poll_fn(move |cx| {
            polls += 1;
            if polls > ROUNDS {
                return Poll::Ready(());
            }
            ask.send(cx.waker().clone()).expect("the thread listens");
            Poll::Pending
        })
    });
    assert_eq!(thread.join().expect("a wake-up does not panic"), ROUNDS);
}

#[test]
fn a_task_may_spawn_and_its_tasks_too() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        its_trace.add("main begins");
        let trace = its_trace.clone();
        spawn(async move {
            trace.add("a begins");
            let its_trace = trace.clone();
            let b = spawn(async move {
                its_trace.add("b begins");
                let trace = its_trace.clone();
                let c = spawn(async move { trace.add("c") });
                c.await;
                its_trace.add("b ends");
            });
            trace.add("a has spawned b");
            b.await;
            trace.add("a ends");
        })
        .await;
        its_trace.add("main ends");
    });
    trace.expect(&[
        "main begins",
        "a begins",
        "a has spawned b",
        "b begins",
        "c",
        "b ends",
        "a ends",
        "main ends",
    ]);
}

/// A task that ends wakes who waits for it: at the end of the queue, and once.
#[test]
fn who_waits_for_a_task_has_its_turn_behind_those_who_were_ready() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let (a_trace, b_trace) = (its_trace.clone(), its_trace.clone());
        let a = spawn(async move { a_trace.add("a") });
        let b = spawn(async move { b_trace.add("b") });
        a.await;
        its_trace.add("main");
        b.await;
    });
    trace.expect(&["a", "b", "main"]);
}

#[test]
fn a_future_is_dropped_before_its_end_is_told() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let held = OnDrop(its_trace.clone(), "what the future held");
        let task = spawn(async move {
            yield_now().await;
            drop(held);
        });
        task.await;
        its_trace.add("told");
    });
    trace.expect(&["what the future held", "told"]);
}

#[test]
fn an_output_is_dropped_once_and_as_soon_as_nobody_can_want_it() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let output = OnDrop(its_trace.clone(), "detached");
        drop(spawn(async move { output }));
        yield_now().await;
        its_trace.expect(&["detached"]);

        let output = OnDrop(its_trace.clone(), "not awaited");
        let task = spawn(async move { output });
        yield_now().await;
        its_trace.expect(&[]);
        drop(task);
        its_trace.expect(&["not awaited"]);

        let output = OnDrop(its_trace.clone(), "awaited");
        let output = spawn(async move { output }).await;
        its_trace.expect(&[]);
        drop(output);
        its_trace.expect(&["awaited"]);
    });
    trace.expect(&[]);
}

/// Ten thousand tasks, each of which waits for the one before it.
#[test]
fn a_long_chain_of_tasks_is_no_deep_stack() {
    let probe = Probe::default();
    let its_probe = probe.clone();
    let sum = run(|| async move {
        let first = its_probe.future();
        let mut last = spawn(async move {
            first.await;
            0
        });
        for _ in 0..10_000 {
            let before = last;
            last = spawn(async move { before.await + 1 });
        }
        yield_until(|| its_probe.polls() == 1).await;
        its_probe.end();
        its_probe.wake();
        last.await
    });
    assert_eq!(sum, 10_000);
    probe.expect(2, 1);
}

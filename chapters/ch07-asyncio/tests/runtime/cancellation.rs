//! To cancel is to drop, at once.

use std::cell::RefCell;
use std::rc::Rc;

use ch07_asyncio::runtime::{JoinHandle, spawn, yield_now};

use super::run;
use crate::instruments::{OnDrop, Probe, Trace};

#[test]
fn a_task_that_waits_is_dropped_by_its_abort() {
    run(|| async {
        let probe = Probe::default();
        let task = spawn(probe.future());
        yield_now().await;
        probe.expect(1, 0);
        task.abort();
        probe.expect(1, 1);
        assert!(task.is_finished());
        probe.wake();
        yield_now().await;
        probe.expect(1, 1);
        task.abort(); // a second time, it changes nothing
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
    });
}

#[test]
fn a_task_that_is_queued_is_dropped_by_its_abort_and_never_polled() {
    run(|| async {
        let new = Probe::default();
        let new_task = spawn(new.future());
        assert!(!new_task.is_finished());
        new_task.abort();
        new.expect(0, 1);

        let woken = Probe::default();
        let woken_task = spawn(woken.future());
        yield_now().await;
        woken.wake();
        woken_task.abort();
        woken.expect(1, 1);

        yield_now().await;
        new.expect(0, 1);
        woken.expect(1, 1);
        assert!(new_task.await.is_err_and(|error| error.is_cancelled()));
        assert!(woken_task.await.is_err_and(|error| error.is_cancelled()));
    });
}

/// A task that aborts itself runs on to its next `.await`, and no further.
#[test]
fn a_task_that_runs_is_dropped_when_its_poll_returns() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let itself = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let (own_handle, trace) = (Rc::clone(&itself), its_trace.clone());
        *itself.borrow_mut() = Some(spawn(async move {
            let _held = OnDrop(trace.clone(), "dropped");
            let handle = own_handle.take().expect("it was put there before the first poll");
            handle.abort();
            trace.add(format!("runs on, finished: {}", handle.is_finished()));
            own_handle.replace(Some(handle));
            yield_now().await;
            trace.add("never reached");
        }));
        yield_now().await;
        its_trace.add("main");
        let task = itself.take().expect("it was put back");
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
    });
    trace.expect(&["runs on, finished: false", "dropped", "main"]);
}

#[test]
fn an_abort_that_comes_after_the_last_await_comes_too_late() {
    run(|| async {
        let itself = Rc::new(RefCell::new(None::<JoinHandle<u32>>));
        let own_handle = Rc::clone(&itself);
        *itself.borrow_mut() = Some(spawn(async move {
            own_handle.borrow().as_ref().expect("it was put there").abort();
            7
        }));
        yield_now().await;
        let task = itself.take().expect("nobody has taken it");
        assert_eq!(task.await.expect("it has ended by itself"), 7);
    });
}

#[test]
fn a_task_that_has_ended_is_not_changed_by_its_abort() {
    run(|| async {
        let task = spawn(async { 7 });
        yield_now().await;
        assert!(task.is_finished());
        task.abort();
        assert_eq!(task.await.expect("it has ended by itself"), 7);
    });
}

/// The place in the table is given out again. An old handle must not find the new task there.
#[test]
fn the_handle_of_an_ended_task_does_not_abort_the_next_one() {
    run(|| async {
        let old = spawn(async {});
        yield_now().await;
        let probe = Probe::default();
        let new = spawn(probe.future());
        old.abort();
        yield_now().await;
        old.abort();
        probe.expect(1, 0);
        probe.end();
        probe.wake();
        new.await.expect("nobody has aborted this one");
    });
}

#[test]
fn a_task_that_aborts_the_next_in_the_queue_keeps_it_from_being_polled() {
    run(|| async {
        let probe = Probe::default();
        let victim = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let its_victim = Rc::clone(&victim);
        let aborts = spawn(async move {
            its_victim.borrow().as_ref().expect("it was put there").abort();
        });
        victim.replace(Some(spawn(probe.future())));
        aborts.await.expect("nobody has aborted this one");
        probe.expect(0, 1);
    });
}

/// Whoever waits for the aborted task is told, but is not aborted with it.
#[test]
fn an_abort_wakes_who_waits_for_the_task_and_cancels_nobody_else() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let probe = Probe::default();
        let inner = spawn(probe.future());
        let inner = Rc::new(RefCell::new(inner));
        let (waits_for, trace) = (Rc::clone(&inner), its_trace.clone());
        let outer = spawn(async move {
            let join = std::future::poll_fn(|cx| {
                std::pin::Pin::new(&mut *waits_for.borrow_mut()).poll(cx)
            });
            trace.add(join.await.expect_err("it is aborted").to_string());
            "the outer one ends"
        });
        yield_now().await;
        inner.borrow().abort();
        its_trace.add("aborted");
        its_trace.add(outer.await.expect("nobody has aborted the outer one"));
    });
    trace.expect(&["aborted", "the task was cancelled", "the outer one ends"]);
}

#[test]
fn a_drop_may_abort_spawn_and_wake() {
    struct Busy(Option<JoinHandle<()>>, Probe, Trace);
    impl Drop for Busy {
        fn drop(&mut self) {
            self.1.wake();
            self.0.take().expect("it is dropped once").abort();
            let trace = self.2.clone();
            drop(spawn(async move { trace.add("spawned by a drop") }));
        }
    }
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let (aborted, woken) = (Probe::default(), Probe::default());
        let aborted_task = spawn(aborted.future());
        let woken_task = spawn(woken.future());
        yield_now().await;
        let busy = Busy(Some(aborted_task), woken.clone(), its_trace.clone());
        let task = spawn(async move {
            let _busy = busy;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        task.abort();
        aborted.expect(1, 1);
        its_trace.expect(&[]);
        yield_now().await;
        woken.expect(2, 0);
        its_trace.expect(&["spawned by a drop"]);
        woken_task.abort();
    });
}

#[test]
#[should_panic(expected = "this JoinHandle was polled after it was ready")]
fn an_output_is_given_away_once() {
    run(|| async {
        let mut task = spawn(async { 7 });
        assert_eq!((&mut task).await.expect("it has ended by itself"), 7);
        let _ = task.await;
    });
}

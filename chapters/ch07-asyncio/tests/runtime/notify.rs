//! The signal without a value.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use ch07_asyncio::runtime::{JoinHandle, Notify, spawn, yield_now};

use super::run;
use crate::instruments::Trace;

/// Polls a future once, with the waker of the task that calls this.
async fn is_ready(mut future: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

/// A task that waits and says its name.
fn waiter(notify: &Rc<Notify>, trace: &Trace, name: &'static str) -> JoinHandle<()> {
    let (notify, trace) = (Rc::clone(notify), trace.clone());
    spawn(async move {
        notify.notified().await;
        trace.add(name);
    })
}

#[test]
fn a_notification_that_nobody_waits_for_is_kept_once() {
    run(|| async {
        let notify = Notify::new();
        notify.notify_one();
        notify.notify_one(); // together they count as one
        assert!(is_ready(Box::pin(notify.notified()).as_mut()).await);
        assert!(!is_ready(Box::pin(notify.notified()).as_mut()).await);
        // The wait that was given up has left nothing behind.
        notify.notify_one();
        assert!(is_ready(Box::pin(notify.notified()).as_mut()).await);
    });
}

#[test]
fn waiters_are_notified_one_by_one_in_order() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let notify = Rc::new(Notify::new());
        let waiters = ["a", "b", "c"].map(|name| waiter(&notify, &its_trace, name));
        yield_now().await;
        notify.notify_one();
        yield_now().await;
        its_trace.expect(&["a"]);
        notify.notify_one();
        notify.notify_one(); // two in a row reach two
        yield_now().await;
        its_trace.expect(&["b", "c"]);
        for waiter in waiters {
            waiter.await.expect("it does not panic");
        }
        assert!(!is_ready(Box::pin(notify.notified()).as_mut()).await, "no permit is left");
    });
}

#[test]
fn a_waiter_that_is_dropped_passes_its_notification_on() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let notify = Rc::new(Notify::new());
        let [a, b, c] = ["a", "b", "c"].map(|name| waiter(&notify, &its_trace, name));
        yield_now().await;
        b.abort(); // not notified: it leaves the queue
        notify.notify_one();
        a.abort(); // notified, and not yet back
        yield_now().await;
        its_trace.expect(&["c"]);
        c.await.expect("it does not panic");

        // Nobody is left who waits: then the next one does not have to.
        let d = waiter(&notify, &its_trace, "d");
        yield_now().await;
        notify.notify_one();
        d.abort();
        assert!(is_ready(Box::pin(notify.notified()).as_mut()).await);
        its_trace.expect(&[]);
    });
    trace.expect(&[]);
}

#[test]
fn to_notify_all_reaches_those_who_wait_now_and_nobody_else() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let notify = Rc::new(Notify::new());
        notify.notify_waiters(); // nobody waits
        let early = ["a", "b"].map(|name| waiter(&notify, &its_trace, name));
        yield_now().await;
        its_trace.expect(&[]);
        notify.notify_waiters();
        let late = waiter(&notify, &its_trace, "late");
        for task in early {
            task.await.expect("it does not panic");
        }
        yield_now().await;
        its_trace.expect(&["a", "b"]);
        notify.notify_one();
        late.await.expect("it does not panic");
        its_trace.expect(&["late"]);
    });
}

/// Of a notification to all nothing is passed on: it was for those who waited.
#[test]
fn a_waiter_of_many_that_is_dropped_leaves_no_permit() {
    run(|| async {
        let notify = Notify::new();
        let mut waits = Box::pin(notify.notified());
        assert!(!is_ready(waits.as_mut()).await);
        notify.notify_waiters();
        drop(waits);
        assert!(!is_ready(Box::pin(notify.notified()).as_mut()).await);
    });
}

#[test]
fn a_wait_begins_with_its_first_poll() {
    run(|| async {
        let notify = Notify::new();
        let mut waits = Box::pin(notify.notified());
        notify.notify_waiters();
        assert!(!is_ready(waits.as_mut()).await);
        notify.notify_one();
        assert!(is_ready(waits.as_mut()).await);
    });
}

#[test]
fn another_thread_may_notify() {
    const ROUNDS: usize = 1000;
    run(|| async {
        let (ask, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (asked, answers) = (Arc::clone(&ask), Arc::clone(&answer));
        let thread = thread::spawn(move || {
            super::runtime().block_on(async move {
                for _ in 0..ROUNDS {
                    asked.notified().await;
                    answers.notify_one();
                }
            });
        });
        for _ in 0..ROUNDS {
            ask.notify_one();
            answer.notified().await;
        }
        thread.join().expect("it does not panic");
    });
}

#[test]
fn to_notify_all_does_not_swallow_what_one_was_given_before() {
    run(|| async {
        let notify = Notify::new();
        let mut first = Box::pin(notify.notified());
        assert!(!is_ready(first.as_mut()).await);
        notify.notify_one(); // for the first
        notify.notify_waiters();
        let mut second = Box::pin(notify.notified());
        assert!(!is_ready(second.as_mut()).await);
        drop(first); // it did not come back for its notification
        assert!(is_ready(second.as_mut()).await, "it was passed on");
    });
}

/// A future that was polled in one task may be moved into another one.
#[test]
fn the_newest_waker_is_called() {
    run(|| async {
        let notify = Rc::new(Notify::new());
        let mut notified = Box::pin({
            let notify = Rc::clone(&notify);
            async move { notify.notified().await }
        });
        assert!(!is_ready(notified.as_mut()).await); // with the waker of this task
        let moved = spawn(notified); // and then with that one's
        yield_now().await;
        notify.notify_one();
        moved.await.expect("it does not panic");
    });
}

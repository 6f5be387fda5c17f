//! Every order in which threads can meet in `remote.rs`, tried by a model checker.
//!
//! `cargo test -p ch07-asyncio --features loom --test loom`
//!
//! It runs each model once for each order of its steps, and where an atomic value is read, once for
//! each value that the memory order allows. A wake-up that is lost shows as a deadlock. Each model
//! says with which change of `remote.rs` it was seen to fail.

/// What `remote.rs` is made of here.
mod primitives {
    pub(super) use loom::sync::Mutex;
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
}

#[path = "../src/runtime/remote.rs"]
mod remote;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use remote::{Remote, Scheduled};

/// A queue, and the loop's sleep, which an interrupt ends, also one that came before it.
fn remote<T: 'static>() -> (Arc<Remote<T>>, Arc<Notify>) {
    let sleep = Arc::new(Notify::new());
    let interrupt = Arc::clone(&sleep);
    (Arc::new(Remote::new(move || interrupt.notify())), sleep)
}

/// Takes what was woken. While that is nothing, it sleeps.
fn wait_and_take<T>(remote: &Remote<T>, sleep: &Notify) -> Vec<T> {
    let mut ready = Vec::new();
    loop {
        remote.take(&mut ready);
        if !ready.is_empty() {
            return ready;
        }
        sleep.wait();
    }
}

/// Fails if the interrupt comes before the push, and if `push` asks under one lock whether the
/// queue is empty and pushes under the next.
#[test]
fn no_wake_up_is_lost_though_only_the_first_one_interrupts() {
    loom::model(|| {
        let (remote, sleep) = remote();
        let threads = [1, 2].map(|number| {
            let remote = Arc::clone(&remote);
            thread::spawn(move || remote.push(number))
        });
        let mut woken = Vec::new();
        while woken.len() < 2 {
            woken.extend(wait_and_take(&remote, &sleep));
        }
        woken.sort_unstable();
        assert_eq!(woken, [1, 2]);
        for thread in threads {
            thread.join().expect("it does not panic");
        }
    });
}

/// Fails if `set` is a load and then a store.
#[test]
fn what_is_woken_twice_is_queued_once() {
    loom::model(|| {
        let (remote, _sleep) = remote();
        let scheduled = Arc::new(Scheduled::new());
        scheduled.clear();
        let threads = [(); 2].map(|()| {
            let (remote, scheduled) = (Arc::clone(&remote), Arc::clone(&scheduled));
            thread::spawn(move || wake(&scheduled, &remote))
        });
        for thread in threads {
            thread.join().expect("it does not panic");
        }
        let mut woken = Vec::new();
        remote.take(&mut woken);
        assert_eq!(woken.len(), 1);
    });
}

/// What the waker of a task does. Says whether it has queued the task.
fn wake(scheduled: &Scheduled, remote: &Remote<()>) -> bool {
    let queues = !scheduled.set();
    if queues {
        remote.push(());
    }
    queues
}

/// The task is in the queue already, and about to be polled. A thread writes something and wakes
/// it. Either the task is queued again, or this poll sees what was written.
///
/// Fails if `clear` is a store, and if either swap is relaxed.
#[test]
fn a_poll_sees_what_was_written_before_a_wake_up_that_queued_nothing() {
    loom::model(|| {
        let (remote, _sleep) = remote();
        let scheduled = Arc::new(Scheduled::new());
        let written = Arc::new(AtomicUsize::new(0));
        let thread = {
            let (scheduled, written) = (Arc::clone(&scheduled), Arc::clone(&written));
            thread::spawn(move || {
                written.store(1, Ordering::Relaxed);
                wake(&scheduled, &remote)
            })
        };
        scheduled.clear();
        let seen = written.load(Ordering::Relaxed); // the poll
        let queued = thread.join().expect("it does not panic");
        assert!(queued || seen == 1, "neither seen nor queued: the wake-up is lost");
    });
}

/// The loop itself: polls a task until it has seen what a thread has written.
///
/// Fails if `clear` comes after the poll, and with most of the changes above.
#[test]
fn a_task_is_polled_until_it_has_seen_everything() {
    loom::model(|| {
        let (remote, sleep) = remote();
        let scheduled = Arc::new(Scheduled::new());
        let written = Arc::new(AtomicUsize::new(0));
        let thread = {
            let (remote, scheduled) = (Arc::clone(&remote), Arc::clone(&scheduled));
            let written = Arc::clone(&written);
            thread::spawn(move || {
                written.store(1, Ordering::Relaxed);
                wake(&scheduled, &remote);
            })
        };
        loop {
            scheduled.clear();
            if written.load(Ordering::Relaxed) == 1 {
                break;
            }
            wait_and_take(&remote, &sleep);
        }
        thread.join().expect("it does not panic");
    });
}

/// Fails if `close` empties the queue and leaves it open.
#[test]
fn what_is_pushed_before_or_after_the_close_is_dropped() {
    loom::model(|| {
        let (remote, _sleep) = remote();
        let value = std::sync::Arc::new(());
        let thread = {
            let (remote, value) = (Arc::clone(&remote), std::sync::Arc::clone(&value));
            thread::spawn(move || remote.push(value))
        };
        remote.close();
        thread.join().expect("it does not panic");
        assert_eq!(std::sync::Arc::strong_count(&value), 1);
        let mut woken = Vec::new();
        remote.take(&mut woken);
        assert!(woken.is_empty());
    });
}

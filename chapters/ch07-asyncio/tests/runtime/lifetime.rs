//! What becomes of tasks when `block_on` returns, and when the runtime is dropped.

use std::cell::RefCell;
use std::future::pending;
use std::sync::{Arc, mpsc};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use ch07_asyncio::runtime::{Notify, Runtime, sleep, spawn, spawn_blocking, yield_now};

use super::runtime;
use crate::instruments::{OnDrop, Probe, Trace, watched};

#[test]
fn block_on_may_be_called_again_and_goes_on_with_the_tasks() {
    watched(|| {
        let (runtime, probe) = (runtime(), Probe::default());
        let task = runtime.spawn(probe.future());
        probe.expect(0, 0);
        assert_eq!(runtime.block_on(async { 1 }), 1); // the task was queued before it
        probe.expect(1, 0);
        probe.wake(); // while no loop runs
        probe.wake();
        runtime.block_on(yield_now());
        runtime.block_on(async { crate::instruments::yield_until(|| probe.polls() == 2).await });
        probe.expect(2, 0);
        probe.end();
        probe.wake();
        runtime.block_on(task).expect("nobody has aborted it");
        probe.expect(3, 1);
    });
}

/// What the main future has left in the queue is nobody's waker in the next `block_on`.
#[test]
fn a_waker_of_an_earlier_main_future_wakes_nobody() {
    watched(|| {
        let runtime = runtime();
        let first = Probe::default();
        first.wake_in_the_next_poll();
        first.end();
        runtime.block_on(first.future());
        let second = Probe::default();
        let wakes = runtime.spawn({
            let (first, second) = (first.clone(), second.clone());
            async move {
                first.wake();
                for _ in 0..3 {
                    yield_now().await;
                }
                second.expect(1, 0);
                second.end();
                second.wake();
            }
        });
        runtime.block_on(second.future());
        second.expect(2, 1);
        runtime.block_on(wakes).expect("the second was polled twice");
    });
}

#[test]
fn a_runtime_that_is_dropped_drops_every_future() {
    watched(|| {
        let runtime = runtime();
        let [new, waiting, woken] = [(); 3].map(|()| Probe::default());
        let tasks = [&waiting, &woken].map(|probe| runtime.spawn(probe.future()));
        runtime.block_on(yield_now());
        woken.wake();
        drop(runtime.spawn(new.future()));
        drop(runtime);
        new.expect(0, 1);
        waiting.expect(1, 1);
        woken.expect(1, 1);
        for task in tasks {
            task.abort(); // of what is no more: nothing
            assert!(task.is_finished());
            let outcome = self::runtime().block_on(task);
            assert!(outcome.is_err_and(|error| error.is_cancelled()));
        }
    });
}

#[test]
fn what_a_drop_spawns_is_dropped_too() {
    struct SpawnsOnDrop(u32, Trace);
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            self.1.add(self.0.to_string());
            if self.0 > 0 {
                let next = SpawnsOnDrop(self.0 - 1, self.1.clone());
                drop(spawn(async { drop(next) }));
            }
        }
    }
    watched(|| {
        let trace = Trace::default();
        let first = SpawnsOnDrop(3, trace.clone());
        let runtime = runtime();
        drop(runtime.spawn(async move {
            let _first = first;
            pending::<()>().await;
        }));
        runtime.block_on(yield_now());
        trace.expect(&[]);
        drop(runtime);
        trace.expect(&["3", "2", "1", "0"]);
    });
}

/// Futures hold their runtime, and the runtime its futures. If that circle stayed closed, nothing
/// of it would ever be dropped: neither a timer, nor a job of the pool.
#[test]
fn a_runtime_with_timers_and_jobs_leaves_nothing_behind() {
    watched(|| {
        let job_holds = Arc::new(());
        let (open, gate) = mpsc::channel::<()>();
        let (start, started) = mpsc::channel();
        let runtime = Runtime::with_blocking_threads(1).expect("a descriptor is free");
        let its_hold = Arc::clone(&job_holds);
        runtime.block_on(async move {
            drop(spawn(sleep(Duration::from_secs(3600))));
            drop(spawn_blocking(move || {
                start.send(()).expect("the test listens");
                let _ = gate.recv(); // until the test has seen what it wants to see
            }));
            drop(spawn_blocking(move || drop(its_hold)));
            yield_now().await;
        });
        started.recv().expect("the first job begins");
        assert_eq!(Arc::strong_count(&job_holds), 2);
        drop(runtime); // returns, though a job runs
        assert_eq!(Arc::strong_count(&job_holds), 1, "the job that had not begun is dropped");
        drop(open);
    });
}

#[test]
fn a_waker_may_outlive_its_runtime() {
    watched(|| {
        let (runtime, probe) = (runtime(), Probe::default());
        drop(runtime.spawn(probe.future()));
        runtime.block_on(yield_now());
        let waker = probe.waker();
        drop(runtime);
        probe.expect(1, 1);
        waker.wake_by_ref();
        let cloned = waker.clone();
        thread::spawn(|| cloned.wake()).join().expect("a wake-up does not panic");
        self::runtime().block_on(async {
            waker.wake(); // in another runtime
            yield_now().await;
        });
        probe.expect(1, 1);
    });
}

/// A timer belongs to the runtime in which it was polled first. It may be dropped anywhere.
#[test]
fn a_sleep_may_outlive_its_runtime() {
    watched(|| {
        let runtime = runtime();
        let mut sleep = sleep(Duration::from_secs(3600));
        runtime.block_on(std::future::poll_fn(|cx| {
            assert!(std::pin::Pin::new(&mut sleep).poll(cx).is_pending());
            std::task::Poll::Ready(())
        }));
        assert!(format!("{runtime:?}").contains("timers: 1"), "{runtime:?}");
        drop(runtime);
        drop(sleep);
    });
}

#[test]
fn two_runtimes_on_two_threads_wake_each_other() {
    const ROUNDS: usize = 1000;
    let count = watched(|| {
        let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (its_ping, its_pong) = (Arc::clone(&ping), Arc::clone(&pong));
        let other = thread::spawn(move || {
            runtime().block_on(async move {
                for _ in 0..ROUNDS {
                    its_ping.notified().await;
                    its_pong.notify_one();
                }
            });
        });
        let count = runtime().block_on(async move {
            let mut count = 0;
            for _ in 0..ROUNDS {
                ping.notify_one();
                pong.notified().await;
                count += 1;
            }
            count
        });
        other.join().expect("the other one does not panic");
        count
    });
    assert_eq!(count, ROUNDS);
}

/// At the end of a thread its thread-local values are dropped, and one of them may wake.
#[test]
fn a_wake_up_at_the_end_of_a_thread_counts() {
    struct WakesOnDrop(Waker);
    impl Drop for WakesOnDrop {
        fn drop(&mut self) {
            self.0.wake_by_ref();
        }
    }
    thread_local! {
        static LAST: RefCell<Option<WakesOnDrop>> = const { RefCell::new(None) };
    }
    watched(|| {
        let probe = Probe::default();
        let its_probe = probe.clone();
        runtime().block_on(async move {
            let task = spawn(its_probe.future());
            yield_now().await;
            its_probe.end();
            let waker = its_probe.waker();
            let thread = thread::spawn(move || {
                LAST.set(Some(WakesOnDrop(waker)));
                // A runtime on this thread, so that its own thread-local value is in use as well.
                runtime().block_on(async {});
            });
            thread.join().expect("it does not panic");
            task.await.expect("it was woken");
        });
        probe.expect(2, 1);
    });
}

#[test]
fn the_runtime_says_what_it_has() {
    watched(|| {
        let (runtime, trace) = (runtime(), Trace::default());
        let held = OnDrop(trace.clone(), "dropped");
        let task = runtime.spawn(async move {
            let _held = held;
            sleep(Duration::from_secs(3600)).await;
        });
        let says = |runtime: &Runtime| format!("{runtime:?}");
        assert_eq!(says(&runtime), "Runtime { tasks: 1, timers: 0, descriptors: 0, .. }");
        runtime.block_on(yield_now());
        assert_eq!(says(&runtime), "Runtime { tasks: 1, timers: 1, descriptors: 0, .. }");
        task.abort();
        trace.expect(&["dropped"]);
        assert_eq!(says(&runtime), "Runtime { tasks: 0, timers: 0, descriptors: 0, .. }");
    });
}

/// The destructors of a thread's variables run in an order that nobody chooses.
#[test]
fn a_runtime_may_be_a_variable_of_its_thread() {
    thread_local! {
        static RUNTIME: Runtime = Runtime::new().expect("a descriptor is free");
    }
    let ended = thread::spawn(|| {
        RUNTIME.with(|runtime| {
            runtime.block_on(async { drop(spawn(std::future::pending::<()>())) });
        });
    });
    ended.join().expect("the end of the thread drops the runtime, and nothing panics");
}

//! A panic reaches the handle of its task, and nobody else.

use std::any::Any;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ch07_asyncio::runtime::{JoinError, Runtime, spawn, yield_now};

use super::{run, runtime};
use crate::instruments::{Probe, watched};

struct PanicsOnDrop(&'static str);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).expect("it is a text")
}

#[track_caller]
fn expect_panic<T>(result: Result<T, JoinError>, message: &str) {
    let Err(JoinError::Panicked(payload)) = result else { panic!("it has not panicked") };
    assert_eq!(text(payload.as_ref()), message);
}

#[test]
fn the_panic_of_a_task_reaches_its_handle_and_nobody_else() {
    run(|| async {
        let probe = Probe::default();
        let other = spawn(probe.future());
        let task = spawn(async { panic!("in a task") });
        drop(spawn(async { panic!("of whom nobody hears") }));
        yield_now().await;
        expect_panic(task.await, "in a task");
        probe.expect(1, 0);
        probe.end();
        probe.wake();
        other.await.expect("this one has not panicked");
    });
}

#[test]
fn the_payload_comes_back() {
    run(|| async {
        let task = spawn(async { std::panic::panic_any(7_u32) });
        let Err(JoinError::Panicked(payload)) = task.await else { panic!("it has not panicked") };
        assert_eq!(payload.downcast_ref::<u32>(), Some(&7));
    });
}

#[test]
fn what_a_task_held_is_dropped_by_its_panic() {
    run(|| async {
        let probe = Probe::default();
        let held = probe.future();
        let task = spawn(async move {
            let _held = held;
            yield_now().await;
            panic!("with something in its hands");
        });
        yield_now().await;
        probe.expect(0, 0);
        yield_now().await;
        probe.expect(0, 1); // though nobody has awaited the handle
        expect_panic(task.await, "with something in its hands");
    });
}

#[test]
fn the_panic_of_a_future_s_drop_reaches_its_handle_and_nobody_else() {
    run(|| async {
        // By an abort: whoever aborts does not panic.
        let held = PanicsOnDrop("in the drop of the aborted");
        let aborted = spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        yield_now().await;
        aborted.abort();
        expect_panic(aborted.await, "in the drop of the aborted");

        // After its end.
        struct Ready(#[expect(dead_code, reason = "it is there to be dropped")] PanicsOnDrop);
        impl Future for Ready {
            type Output = ();
            fn poll(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<()> {
                std::task::Poll::Ready(())
            }
        }
        let ended = spawn(Ready(PanicsOnDrop("in the drop of the ended")));
        yield_now().await;
        expect_panic(ended.await, "in the drop of the ended");
    });
}

#[test]
fn the_panic_of_an_output_that_nobody_wants_reaches_nobody() {
    run(|| async {
        drop(spawn(async { PanicsOnDrop("of whom nobody hears") }));
        yield_now().await;
        spawn(async {}).await.expect("the loop goes on");
    });
}

#[test]
fn the_panic_of_a_drop_does_not_keep_the_runtime_from_dropping_the_others() {
    watched(|| {
        let (runtime, before, after) = (runtime(), Probe::default(), Probe::default());
        let held = PanicsOnDrop("when the runtime is dropped");
        let (first, last) = (runtime.spawn(before.future()), runtime.spawn(after.future()));
        let task = runtime.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(runtime);
        before.expect(0, 1);
        after.expect(0, 1);
        let outcomes = async || (first.await, task.await, last.await);
        let (first, task, last) = self::runtime().block_on(outcomes());
        assert!(first.is_err_and(|error| error.is_cancelled()));
        expect_panic(task, "when the runtime is dropped");
        assert!(last.is_err_and(|error| error.is_cancelled()));
    });
}

#[test]
fn after_a_panic_in_the_main_future_the_runtime_is_usable() {
    watched(|| {
        let (runtime, probe) = (runtime(), Probe::default());
        let task = runtime.spawn(probe.future());
        let panics = || {
            runtime.block_on(async {
                yield_now().await;
                panic!("in the main future")
            })
        };
        let panic = catch_unwind(AssertUnwindSafe(panics)).expect_err("it panics");
        assert_eq!(panic.downcast_ref(), Some(&"in the main future"));
        probe.expect(1, 0);
        probe.end();
        probe.wake();
        runtime.block_on(task).expect("the task goes on");
        probe.expect(2, 1);
    });
}

/// What a panic says must help: where it was called from, and what to do instead.
#[track_caller]
fn message(panics: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(panics)).expect_err("it panics");
    text(panic.as_ref()).to_owned()
}

#[test]
fn a_nested_block_on_panics_with_a_clear_message_and_harms_nothing() {
    run(|| async {
        let expected = "a runtime runs on this thread already: `.await` instead";
        let other = runtime();
        assert_eq!(message(|| other.block_on(async {})), expected);
        let nested = spawn(async { runtime().block_on(async {}) });
        expect_panic(nested.await, expected);
        spawn(async {}).await.expect("the outer one goes on");
    });
}

#[test]
fn use_outside_of_a_runtime_panics_with_a_clear_message() {
    fn poll_once(future: impl Future) {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = std::pin::pin!(future).poll(&mut cx);
    }
    use ch07_asyncio::runtime::{TcpListener, sleep, spawn_blocking};
    let hour = std::time::Duration::from_secs(3600);
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let expected =
        "no ch07 runtime runs on this thread: call this inside of its `Runtime::block_on`";
    let calls: [fn(std::time::Duration, std::net::SocketAddr); 4] = [
        |_, _| drop(spawn(async {})),
        |_, _| drop(spawn_blocking(|| {})),
        |hour, _| poll_once(sleep(hour)),
        |_, loopback| drop(TcpListener::bind(loopback)),
    ];
    for call in calls {
        assert_eq!(message(|| call(hour, loopback)), expected);
    }
    runtime().block_on(async {});
    assert_eq!(message(|| drop(spawn(async {}))), expected, "after the runtime");
}

#[test]
#[should_panic(expected = "a pool without a thread would run nothing")]
fn a_pool_without_a_thread_is_refused() {
    let _ = Runtime::with_blocking_threads(0);
}

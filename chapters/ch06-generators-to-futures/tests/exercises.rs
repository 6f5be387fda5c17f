//! The exercises of this chapter's page. Each test fails until you have solved its exercise.
//!
//! `cargo test -p ch06-generators-to-futures --test exercises -- --ignored NAME_OF_TEST`
#![cfg(unix)]

use std::future::{pending, poll_fn};
use std::io;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ch06_generators_to_futures::block_on;
use ch06_generators_to_futures::future::sleep;
use ch06_generators_to_futures::state_machine::{Area, Coroutine, Step};

#[test]
#[ignore = "exercise: a number over 1,000 is asked for again"]
fn a_number_that_is_too_large_is_asked_for_again() {
    let mut area = Area::Start;
    let steps = [0, 6, 1_001, u64::MAX, 1_000].map(|answer| area.resume(answer));
    let height = Step::Yielded("height?");
    assert_eq!(steps, [Step::Yielded("width?"), height, height, height, Step::Returned(6_000)]);

    let mut area = Area::Start;
    let steps = [0, 5_000, 1_000, 2_000, 0].map(|answer| area.resume(answer));
    let width = Step::Yielded("width?");
    assert_eq!(steps, [width, width, height, height, Step::Returned(0)]);
    assert_eq!(area, Area::End);
}

/// Long enough for an error that is there at once. Only a test that fails waits that long.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
#[ignore = "exercise: block_on returns an error when nobody is left who could wake its future"]
fn a_future_that_nobody_can_wake_is_an_error() {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        let lost = block_on(async {
            sleep(Duration::from_millis(1)).await; // somebody can wake this one
            woken_by_a_thread().await; // and this one
            pending::<()>().await; // and this one nobody can
        });
        ended.send(lost.map_err(|error| error.kind()))
    });
    assert_eq!(end.recv_timeout(PATIENCE), Ok(Err(io::ErrorKind::Deadlock)), "it still sleeps");
}

async fn woken_by_a_thread() {
    let mut waking: Option<thread::JoinHandle<()>> = None;
    poll_fn(|context| {
        if let Some(waking) = waking.take() {
            // `wake` sets the flag before it drops the waker: the next future has to find it gone.
            waking.join().expect("a waker does not panic");
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        waking = Some(thread::spawn(move || waker.wake()));
        Poll::Pending
    })
    .await;
}

//! The exercises of this chapter's page. Each test fails until you have solved its exercise.
//!
//! `cargo test -p ch07-asyncio --test exercises -- --ignored NAME_OF_TEST`

use std::cell::Cell;
use std::rc::Rc;

use ch07_asyncio::runtime::{Runtime, channel, spawn, yield_now};

fn runtime() -> Runtime {
    Runtime::new().expect("a descriptor is free")
}

#[test]
#[ignore = "exercise: the runtime counts the panics that nobody hears of"]
fn the_runtime_counts_the_panics_that_nobody_hears_of() {
    let runtime = runtime();
    runtime.block_on(async {
        let heard = spawn(async { panic!("somebody waits for this task") });
        assert!(heard.await.is_err(), "the handle still hears of it");
        drop(spawn(async {})); // nobody hears of this end either, but it is no panic
        for _ in 0..3 {
            drop(spawn(async { panic!("nobody waits for this task") }));
        }
        yield_now().await;
    });
    let seen = format!("{runtime:?}");
    assert!(seen.contains("unheard: 3"), "{seen}");
}

const VALUES: usize = 10_000;

/// As many awaits as tokio grants to one poll.
const BUDGET: usize = 128;

#[test]
#[ignore = "exercise: a task whose awaits are all ready yields after a while"]
fn a_task_whose_awaits_are_all_ready_yields_after_a_while() {
    let (received, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (its_received, its_seen) = (Rc::clone(&received), Rc::clone(&seen));
    runtime().block_on(async move {
        let (sender, mut receiver) = channel(VALUES);
        for value in 0..VALUES {
            sender.try_send(value).expect("there is room");
        }
        drop(sender);
        let receives = Rc::clone(&its_received);
        let reader = spawn(async move {
            while receiver.recv().await.is_some() {
                receives.set(receives.get() + 1);
            }
        });
        let neighbour = spawn(async move { its_seen.set(its_received.get()) });
        reader.await.expect("it does not panic");
        neighbour.await.expect("it does not panic");
    });
    assert_eq!(received.get(), VALUES, "no value is lost");
    let seen = seen.get();
    assert!(seen <= BUDGET, "the neighbour ran after {seen} values");
}

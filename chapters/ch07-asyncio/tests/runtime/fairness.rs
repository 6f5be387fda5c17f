//! Tasks that never wait cannot keep the loop from its timers, its descriptors and other threads.
//!
//! Counted in polls: how many of the busy tasks' polls fit between the event and the poll of the
//! task that waited for it.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{Notify, POLLS_A_TURN, sleep_until, spawn, yield_now};

use super::run;

/// What can be polled between an event and its task: the rest of a turn, and once more every task
/// that was ready before it.
const POLLS_MAX: usize = POLLS_A_TURN + 2;

/// Polls of busy tasks, and when the last hundred thousand of them began.
#[derive(Clone, Default)]
struct Polls(Rc<RefCell<Vec<Instant>>>);

impl Polls {
    fn count(&self) {
        self.0.borrow_mut().push(Instant::now());
    }

    fn since(&self, time: Instant) -> usize {
        self.0.borrow().iter().rev().take_while(|begun| **begun >= time).count()
    }
}

/// Never waits.
async fn wakes_itself(polls: Polls) {
    loop {
        polls.count();
        yield_now().await;
    }
}

/// Waits, but for a task that waits for it.
async fn wakes_another(polls: Polls, own: Rc<Notify>, other: Rc<Notify>) {
    loop {
        own.notified().await;
        polls.count();
        other.notify_one();
    }
}

fn spawn_two_that_wake_each_other(polls: &Polls) {
    let (ping, pong) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
    ping.notify_one();
    spawn(wakes_another(polls.clone(), Rc::clone(&ping), Rc::clone(&pong)));
    spawn(wakes_another(polls.clone(), pong, ping));
}

/// Both kinds of busy tasks, one after the other.
fn beside_busy_tasks<F: Future<Output = ()> + 'static>(test: fn(Polls) -> F) {
    run(move || async move {
        let polls = Polls::default();
        spawn(wakes_itself(polls.clone()));
        test(polls).await;
    });
    run(move || async move {
        let polls = Polls::default();
        spawn_two_that_wake_each_other(&polls);
        test(polls).await;
    });
}

#[test]
fn a_timer_is_served() {
    beside_busy_tasks(|polls| async move {
        for _ in 0..20 {
            let deadline = Instant::now() + Duration::from_millis(1);
            sleep_until(deadline).await;
            let between = polls.since(deadline);
            assert!(between <= POLLS_MAX, "{between} polls after the deadline");
        }
        assert!(polls.0.borrow().len() > 20, "the busy tasks were polled meanwhile");
    });
}

#[test]
#[cfg(unix)]
fn a_readable_descriptor_is_served() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use ch07_asyncio::runtime::AsyncFd;

    beside_busy_tasks(|polls| async move {
        let (reader, mut writer) = UnixStream::pair().expect("two descriptors are free");
        reader.set_nonblocking(true).expect("a socket can be non-blocking");
        let reader = AsyncFd::new(reader).expect("epoll takes a socket");
        let readable = Rc::new(Cell::new(None));
        for _ in 0..20 {
            let its_readable = Rc::clone(&readable);
            let its_writer = writer.try_clone().expect("a descriptor is free");
            let writes = spawn(async move {
                for _ in 0..10 {
                    yield_now().await; // so that it happens in the middle of a turn
                }
                let mut writer = its_writer;
                writer.write_all(b"x").expect("there is room");
                its_readable.set(Some(Instant::now()));
            });
            reader.read_with(|mut reader| reader.read(&mut [0])).await.expect("it is open");
            let readable = readable.take().expect("nothing comes before it was written");
            let between = polls.since(readable);
            assert!(between <= POLLS_MAX, "{between} polls after it was readable");
            writes.await.expect("it does not panic");
        }
        writer.flush().expect("it is open");
    });
}

#[test]
fn a_wake_up_from_another_thread_is_served() {
    beside_busy_tasks(|polls| async move {
        for _ in 0..20 {
            let mut woken = None;
            let woken = poll_fn(|cx| {
                if let Some(woken) = woken {
                    return Poll::Ready(woken);
                }
                let waker: Waker = cx.waker().clone();
                thread::spawn(|| waker.wake()).join().expect("a wake-up does not panic");
                woken = Some(Instant::now());
                Poll::Pending
            });
            let woken = woken.await;
            let between = polls.since(woken);
            assert!(between <= POLLS_MAX, "{between} polls after the wake-up");
        }
    });
}

/// More tasks than a turn has polls: each of them has its turn all the same, in order.
#[test]
fn many_ready_tasks_are_polled_round_by_round() {
    const TASKS: usize = POLLS_A_TURN * 3 + 7;
    const ROUNDS: usize = 5;
    let order = run(|| async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let done = Rc::new(Notify::new());
        for task in 0..TASKS {
            let (order, done) = (Rc::clone(&order), Rc::clone(&done));
            spawn(async move {
                for _ in 0..ROUNDS {
                    order.borrow_mut().push(task);
                    yield_now().await;
                }
                if task == TASKS - 1 {
                    done.notify_one();
                }
            });
        }
        done.notified().await;
        order.take()
    });
    let round: Vec<usize> = (0..TASKS).collect();
    assert_eq!(order, round.repeat(ROUNDS));
}

/// The main future has its turn in the same queue.
#[test]
fn the_main_future_is_served_too() {
    run(|| async {
        let polls = Polls::default();
        spawn(wakes_itself(polls.clone()));
        spawn_two_that_wake_each_other(&polls);
        let never_ready = Arc::new(());
        let holds = Arc::clone(&never_ready);
        drop(spawn(async move {
            pending::<()>().await;
            drop(holds);
        }));
        for round in 1..=1000 {
            yield_now().await;
            let polls = polls.0.borrow().len();
            assert!(polls <= round * 3, "{polls} polls of the others in {round} rounds");
        }
    });
}

//! The bounded channel: it loses nothing, it keeps the order, and its end reaches everybody.

use std::pin::pin;
use std::task::{Context, Poll};
use std::thread;

use ch07_asyncio::runtime::{Receiver, SendError, Sender, TrySendError, channel, spawn, yield_now};

use super::run;
use crate::instruments::{OnDrop, Trace};

/// How often two threads are given the chance to meet in a bad moment.
const ROUNDS_WITH_THREADS: usize = 5000;

/// Polls a future once, with the waker of the task that calls this.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx: &mut Context<'_>| Poll::Ready(future.as_mut().poll(cx))).await
}

#[test]
fn a_fast_sender_has_to_wait() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let (sender, mut receiver) = channel(2);
        let trace = its_trace.clone();
        let sends = spawn(async move {
            for k in 1..=4 {
                sender.send(k).await.expect("somebody receives");
                trace.add(format!("sent {k}"));
            }
        });
        for _ in 0..10 {
            yield_now().await;
        }
        its_trace.expect(&["sent 1", "sent 2"]);
        assert_eq!(receiver.recv().await, Some(1));
        for _ in 0..10 {
            yield_now().await;
        }
        its_trace.expect(&["sent 3"]);
        for k in 2..=4 {
            assert_eq!(receiver.recv().await, Some(k));
        }
        assert_eq!(receiver.recv().await, None);
        sends.await.expect("it does not panic");
    });
}

#[test]
fn what_does_not_fit_comes_back() {
    run(|| async {
        let (sender, mut receiver) = channel(1);
        assert_eq!(receiver.try_recv(), None);
        assert!(sender.try_send(1).is_ok());
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        assert_eq!(receiver.try_recv(), Some(1));
        assert!(sender.try_send(3).is_ok());
        drop(receiver);
        assert_eq!(sender.try_send(4), Err(TrySendError::Closed(4)));
        assert_eq!(sender.send(5).await, Err(SendError(5)));
        let elsewhere = thread::spawn(move || sender.blocking_send(6));
        assert_eq!(elsewhere.join().expect("it does not panic"), Err(SendError(6)));
    });
}

#[test]
fn a_receive_that_is_dropped_takes_nothing() {
    run(|| async {
        let (sender, mut receiver) = channel(1);
        {
            let mut recv = pin!(receiver.recv());
            assert!(poll_once(recv.as_mut()).await.is_pending());
            sender.try_send(7).expect("there is room"); // it is woken, and then dropped
        }
        assert_eq!(receiver.recv().await, Some(7));
    });
}

#[test]
fn a_send_that_is_dropped_sends_nothing_and_passes_its_turn_on() {
    run(|| async {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).expect("there is room");
        {
            let mut first = Box::pin(sender.send(1));
            let mut second = Box::pin(sender.send(2));
            let mut third = Box::pin(sender.send(3));
            for send in [&mut first, &mut second, &mut third] {
                assert!(poll_once(send.as_mut()).await.is_pending());
            }
            drop(second); // it leaves the queue
            assert_eq!(receiver.try_recv(), Some(0)); // the first is called
            drop(first); // it passes on to the third
            assert_eq!(poll_once(third.as_mut()).await, Poll::Ready(Ok(())));
        }
        assert_eq!(receiver.try_recv(), Some(3));
        assert_eq!(receiver.try_recv(), None);
        sender.try_send(4).expect("no room is kept for those who have left");
    });
}

/// The turn that is passed on wakes a task that sleeps.
#[test]
fn the_one_who_gets_the_turn_is_woken() {
    run(|| async {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).expect("there is room");
        let senders = [1, 2].map(|k| {
            let sender = sender.clone();
            spawn(async move { sender.send(k).await.expect("somebody receives") })
        });
        yield_now().await; // both wait
        assert_eq!(receiver.try_recv(), Some(0));
        senders[0].abort(); // called, and not yet back
        let [_, second] = senders;
        second.await.expect("it was woken");
        assert_eq!(receiver.try_recv(), Some(2));
    });
}

#[test]
fn senders_that_wait_are_served_in_order() {
    run(|| async {
        let (sender, mut receiver) = channel(1);
        for k in 0..50 {
            let sender = sender.clone();
            spawn(async move { sender.send(k).await.expect("somebody receives") });
        }
        drop(sender);
        for k in 0..50 {
            assert_eq!(receiver.recv().await, Some(k));
        }
        assert_eq!(receiver.recv().await, None);
    });
}

#[test]
fn the_end_of_the_receiver_reaches_every_sender_and_the_value_comes_back() {
    run(|| async {
        let (sender, receiver) = channel(1);
        sender.try_send(0).expect("there is room");
        let senders: Vec<_> = (1..=3)
            .map(|k| {
                let sender = sender.clone();
                spawn(async move { sender.send(k).await })
            })
            .collect();
        yield_now().await; // all of them wait
        drop(receiver);
        for (k, task) in (1..=3).zip(senders) {
            assert_eq!(task.await.expect("it does not panic"), Err(SendError(k)));
        }
    });
}

#[test]
fn the_end_of_the_last_sender_reaches_the_receiver_behind_what_was_sent() {
    run(|| async {
        let (sender, mut receiver) = channel(2);
        let other = sender.clone();
        sender.try_send(1).expect("there is room");
        drop(sender);
        assert_eq!(receiver.recv().await, Some(1));
        let receives = spawn(async move { (receiver.recv().await, receiver.recv().await) });
        yield_now().await; // it waits
        other.try_send(2).expect("there is room");
        drop(other);
        assert_eq!(receives.await.expect("it does not panic"), (Some(2), None));

        let (sender, mut receiver) = channel::<()>(1);
        let waits = spawn(async move { receiver.recv().await });
        yield_now().await;
        drop(sender); // nothing was sent: the end alone wakes it
        assert_eq!(waits.await.expect("it does not panic"), None);
    });
}

#[test]
fn what_nobody_receives_is_dropped_with_the_receiver() {
    let trace = Trace::default();
    let (sender, receiver) = channel(3);
    for name in ["first", "second"] {
        sender.try_send(OnDrop(trace.clone(), name)).expect("there is room");
    }
    trace.expect(&[]);
    drop(receiver);
    trace.expect(&["first", "second"]);
}

/// The drop of a value may use the channel in which it lies.
#[test]
fn a_value_may_hold_its_own_sender() {
    struct Holds(#[expect(dead_code, reason = "it is there to be dropped")] Sender<Holds>);
    crate::instruments::watched(|| {
        let (sender, receiver): (Sender<Holds>, Receiver<Holds>) = channel(1);
        assert!(sender.try_send(Holds(sender.clone())).is_ok());
        drop(receiver);
    });
}

/// Four threads and four tasks send, one task receives: all arrive, and those of one in its order.
#[test]
fn many_senders_on_many_threads_lose_nothing() {
    const EACH: usize = 500;
    run(|| async {
        let (sender, mut receiver) = channel(3);
        let threads: Vec<_> = (0..4)
            .map(|who| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for k in 0..EACH {
                        sender.blocking_send((who, k)).expect("somebody receives");
                    }
                })
            })
            .collect();
        for who in 4..8 {
            let sender = sender.clone();
            spawn(async move {
                for k in 0..EACH {
                    sender.send((who, k)).await.expect("somebody receives");
                }
            });
        }
        drop(sender);
        let mut next = [0; 8];
        while let Some((who, k)) = receiver.recv().await {
            assert_eq!(k, next[who], "of sender {who}");
            next[who] += 1;
        }
        assert_eq!(next, [EACH; 8]);
        for thread in threads {
            thread.join().expect("it does not panic");
        }
    });
}

#[test]
fn a_thread_may_receive() {
    const COUNT: usize = 2000;
    run(|| async {
        let (sender, mut receiver) = channel(1);
        let thread = thread::spawn(move || {
            let mut received = Vec::new();
            while let Some(k) = receiver.blocking_recv() {
                received.push(k);
            }
            received
        });
        for k in 0..COUNT {
            sender.send(k).await.expect("the thread receives");
        }
        drop(sender);
        let received = thread.join().expect("it does not panic");
        assert!(received.into_iter().eq(0..COUNT));
    });
}

/// A thread that waits is told of the end, from both sides.
#[test]
fn the_end_reaches_threads_that_wait() {
    crate::instruments::watched(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(1).expect("there is room");
        let sends = thread::spawn(move || sender.blocking_send(2));
        drop(receiver); // before, while or after it waits
        assert_eq!(sends.join().expect("it does not panic"), Err(SendError(2)));

        let (sender, mut receiver) = channel::<()>(1);
        let receives = thread::spawn(move || receiver.blocking_recv());
        drop(sender);
        assert_eq!(receives.join().expect("it does not panic"), None);
    });
}

/// Two values are taken while two threads are about to wait, or wait already. Both have room then,
/// and both must find it, though nothing is taken any more.
#[test]
fn as_many_senders_as_there_is_room_need_not_wait() {
    crate::instruments::watched(|| {
        for _ in 0..ROUNDS_WITH_THREADS {
            let (sender, mut receiver) = channel(2);
            sender.try_send(0).expect("there is room");
            sender.try_send(1).expect("there is room");
            let threads = [2, 3].map(|k| {
                let sender = sender.clone();
                thread::spawn(move || sender.blocking_send(k))
            });
            assert_eq!((receiver.blocking_recv(), receiver.blocking_recv()), (Some(0), Some(1)));
            for thread in threads {
                assert_eq!(thread.join().expect("it does not panic"), Ok(()));
            }
        }
    });
}

#[test]
#[should_panic(expected = "a channel needs room for one value at least")]
fn a_channel_without_room_is_refused() {
    channel::<()>(0);
}

/// It would keep the loop, and with it the receiver, from going on.
#[test]
#[should_panic(expected = "this would block the runtime on this thread")]
fn a_task_must_not_block_for_room() {
    run(|| async {
        let (sender, _receiver) = channel(1);
        let _ = sender.blocking_send(1);
    });
}

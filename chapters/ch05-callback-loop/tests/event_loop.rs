//! The event loop by itself: what is called, in which order, and when it ends.
#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ch05_callback_loop::{EventLoop, RemoteCall};

fn event_loop() -> EventLoop {
    EventLoop::new().expect("two descriptors are free")
}

fn run(event_loop: &EventLoop) {
    event_loop.run_forever().expect("our own descriptors can be polled");
}

/// What happened, in order.
#[derive(Debug, Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    fn add(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    /// A callback that adds its name.
    fn callback(&self, name: &'static str) -> impl FnOnce(&EventLoop) + use<> {
        let trace = self.clone();
        move |_| trace.add(name)
    }

    #[track_caller]
    fn expect(&self, expected: &[&str]) {
        assert_eq!(*self.0.borrow(), expected);
    }
}

fn pipe() -> (Rc<io::PipeReader>, io::PipeWriter) {
    let (reader, writer) = io::pipe().expect("two descriptors are free");
    (Rc::new(reader), writer)
}

#[test]
fn a_loop_with_nothing_to_do_ends_at_once() {
    run(&event_loop());
}

#[test]
fn the_ready_queue_is_first_in_first_out() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    for name in ["a", "b", "c"] {
        event_loop.call_soon(trace.callback(name));
    }
    run(&event_loop);
    trace.expect(&["a", "b", "c"]);
}

#[test]
fn timers_are_called_by_deadline_and_equal_deadlines_in_order() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let now = Instant::now();
    for (ms, name) in [(3, "3"), (1, "1"), (2, "2 first"), (2, "2 second"), (0, "0")] {
        event_loop.call_at(now + Duration::from_millis(ms), trace.callback(name));
    }
    run(&event_loop);
    trace.expect(&["0", "1", "2 first", "2 second", "3"]);
}

#[test]
fn no_timer_is_early() {
    let event_loop = event_loop();
    let early = Rc::new(Cell::new(0));
    for microseconds in 1..200 {
        let deadline = Instant::now() + Duration::from_micros(microseconds * 17);
        let early = Rc::clone(&early);
        event_loop.call_at(deadline, move |_| {
            early.set(early.get() + usize::from(Instant::now() < deadline));
        });
    }
    run(&event_loop);
    assert_eq!(early.get(), 0);
}

/// The one line between busy and deaf: what a callback makes ready runs in the next turn. Here one
/// queues itself for ever, and the timer and the reader still have their turn.
#[test]
fn a_callback_that_queues_itself_starves_nobody() {
    fn again(event_loop: &EventLoop, turns: Rc<Cell<u64>>) {
        turns.set(turns.get() + 1);
        event_loop.call_soon(move |event_loop| again(event_loop, turns));
    }
    let (event_loop, trace, turns) = (event_loop(), Trace::default(), Rc::default());
    again(&event_loop, Rc::clone(&turns));
    let (reader, mut writer) = pipe();
    let its_trace = trace.clone();
    event_loop.add_reader(Rc::clone(&reader) as Rc<dyn AsFd>, move |event_loop, handle| {
        its_trace.add("reader");
        event_loop.cancel(handle);
        let trace = its_trace.clone();
        event_loop.call_later(Duration::from_millis(1), move |event_loop| {
            trace.add("timer");
            event_loop.stop();
        });
    });
    writer.write_all(b"x").expect("the pipe is empty");
    run(&event_loop);
    trace.expect(&["reader", "timer"]);
    assert!(turns.get() > 2, "it went on in each turn: {turns:?}");
}

/// The order of the phases: what was queued with `call_soon` runs before a timer that fell due
/// earlier; what was queued with `call_later(0)` takes its place among the timers.
#[test]
fn call_soon_overtakes_a_due_timer_and_call_later_zero_does_not() {
    for (soon, expected) in [(true, ["next", "due"]), (false, ["due", "next"])] {
        let (event_loop, trace) = (event_loop(), Trace::default());
        let (due, next) = (trace.callback("due"), trace.callback("next"));
        event_loop.call_soon(move |event_loop| {
            event_loop.call_at(Instant::now(), due); // due now, and found in phase 3
            if soon {
                event_loop.call_soon(next);
            } else {
                event_loop.call_later(Duration::ZERO, next);
            }
        });
        run(&event_loop);
        trace.expect(&expected);
    }
}

#[test]
fn what_was_cancelled_is_not_called() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let soon = event_loop.call_soon(trace.callback("soon"));
    let later = event_loop.call_later(Duration::from_secs(1_000), trace.callback("later"));
    assert!(event_loop.cancel(soon) && event_loop.cancel(later));
    assert!(!event_loop.cancel(soon), "it was cancelled before");
    run(&event_loop); // and does not wait for a thousand seconds
    trace.expect(&[]);
}

#[test]
fn a_callback_can_cancel_one_that_is_ready_in_the_same_turn() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let victim = Rc::new(Cell::new(None));
    let its_victim = Rc::clone(&victim);
    let cancelled = trace.clone();
    event_loop.call_soon(move |event_loop| {
        let victim = its_victim.get().expect("it was set before the loop ran");
        cancelled.add(format!("cancelled: {}", event_loop.cancel(victim)));
    });
    victim.set(Some(event_loop.call_soon(trace.callback("victim"))));
    event_loop.call_soon(trace.callback("last"));
    run(&event_loop);
    trace.expect(&["cancelled: true", "last"]);
}

#[test]
fn a_callback_that_was_called_can_not_be_cancelled() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let handle = event_loop.call_later(Duration::ZERO, trace.callback("called"));
    run(&event_loop);
    assert!(!event_loop.cancel(handle));
}

#[test]
fn cancelled_timers_leave_nothing_behind() {
    let event_loop = event_loop();
    let held = Rc::new(());
    for _ in 0..100_000 {
        let held = Rc::clone(&held);
        let handle = event_loop.call_later(Duration::from_secs(1_000), move |_| drop(held));
        event_loop.cancel(handle);
    }
    assert_eq!(Rc::strong_count(&held), 1, "the callbacks are gone");
    let debug = format!("{event_loop:?}");
    assert!(debug.contains("callbacks: 0, ready: 0, timers: 0"), "{debug}");
}

#[test]
fn a_reader_is_called_in_each_turn_until_it_is_cancelled() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let (reader, mut writer) = pipe();
    writer.write_all(b"xyz").expect("the pipe is empty");
    drop(writer);
    let (source, its_trace) = (Rc::clone(&reader), trace.clone());
    event_loop.add_reader(reader, move |event_loop, handle| {
        let mut byte = [0];
        match (&*source).read(&mut byte).expect("it is ready") {
            0 => {
                its_trace.add("end");
                assert!(event_loop.cancel(handle));
            }
            _ => its_trace.add(char::from(byte[0])),
        }
    });
    run(&event_loop); // and ends, since nothing is left
    trace.expect(&["x", "y", "z", "end"]);
}

#[test]
fn the_loop_keeps_a_descriptor_open_while_it_waits_for_it() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let (reader, mut writer) = pipe();
    let gone = Rc::downgrade(&reader);
    let its_trace = trace.clone();
    event_loop.add_reader(reader, move |event_loop, handle| {
        its_trace.add("ready");
        event_loop.cancel(handle);
    });
    writer.write_all(b"x").expect("the reading end is open");
    run(&event_loop);
    trace.expect(&["ready"]);
    assert!(gone.upgrade().is_none(), "and lets it go afterwards");
}

#[test]
fn stop_ends_the_run_after_this_turn_and_keeps_what_is_left() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    event_loop.call_soon(|event_loop| event_loop.stop());
    event_loop.call_soon(trace.callback("same turn"));
    event_loop.call_later(Duration::from_millis(1), trace.callback("later"));
    run(&event_loop);
    trace.expect(&["same turn"]);
    run(&event_loop);
    trace.expect(&["same turn", "later"]);
}

#[test]
fn stop_before_the_run_lets_it_have_one_turn_without_waiting() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    event_loop.stop();
    event_loop.call_later(Duration::from_secs(1_000), trace.callback("later"));
    run(&event_loop);
    trace.expect(&[]);
}

#[test]
fn a_panic_leaves_the_queue_intact_and_the_loop_can_run_again() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    event_loop.call_soon(trace.callback("before"));
    event_loop.call_soon(|_| panic!("in a callback"));
    event_loop.call_soon(trace.callback("after"));
    event_loop.call_later(Duration::from_millis(1), trace.callback("timer"));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| event_loop.run_forever()));
    assert!(outcome.is_err(), "the panic leaves run_forever");
    trace.expect(&["before"]);
    run(&event_loop);
    trace.expect(&["before", "after", "timer"]);
}

#[test]
fn a_reader_that_panics_is_still_registered() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").expect("the pipe is empty");
    let its_trace = trace.clone();
    let mut first = true;
    event_loop.add_reader(reader, move |event_loop, handle| {
        its_trace.add("ready");
        assert!(!std::mem::take(&mut first), "the first time");
        event_loop.cancel(handle);
    });
    assert!(panic::catch_unwind(AssertUnwindSafe(|| event_loop.run_forever())).is_err());
    run(&event_loop);
    trace.expect(&["ready", "ready"]);
}

#[test]
fn a_loop_that_runs_cannot_be_run_from_a_callback() {
    let event_loop = event_loop();
    event_loop.call_soon(|event_loop| {
        let _ = event_loop.run_forever();
    });
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| event_loop.run_forever()));
    let panic = outcome.expect_err("it is running already");
    assert_eq!(panic.downcast_ref(), Some(&"this event loop is running already"));
    run(&event_loop);
}

#[test]
fn another_thread_wakes_a_loop_that_sleeps() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let its_trace = trace.clone(); // an Rc: the callback may hold it, since it stays on this thread
    let call: RemoteCall<u32> = event_loop.call_soon_threadsafe(move |_, value| {
        its_trace.add(format!("{value:?}"));
    });
    let other = thread::spawn(move || call.call(7));
    run(&event_loop); // no timer, no reader: only the call can end it
    trace.expect(&["Some(7)"]);
    other.join().expect("calling does not panic");
}

#[test]
fn a_call_that_is_dropped_gives_none() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let its_trace = trace.clone();
    let call: RemoteCall<u32> = event_loop.call_soon_threadsafe(move |_, value| {
        its_trace.add(format!("{value:?}"));
    });
    let other = thread::spawn(move || {
        let _call = call;
        panic!("this thread fails before it calls");
    });
    run(&event_loop);
    trace.expect(&["None"]);
    assert!(other.join().is_err());
}

#[test]
fn no_wake_up_is_lost() {
    const CALLS: usize = 10_000;
    let event_loop = event_loop();
    let called = Rc::new(Cell::new(0));
    let calls: Vec<RemoteCall<()>> = (0..CALLS)
        .map(|_| {
            let called = Rc::clone(&called);
            event_loop.call_soon_threadsafe(move |_, _| called.set(called.get() + 1))
        })
        .collect();
    let mut calls = calls.into_iter();
    let (one, other): (Vec<_>, Vec<_>) =
        (calls.by_ref().take(CALLS / 2).collect(), calls.collect());
    let threads = [one, other]
        .map(|calls| thread::spawn(move || calls.into_iter().for_each(|call| call.call(()))));
    run(&event_loop); // returns when all were called: a lost wake-up would make it sleep for ever
    assert_eq!(called.get(), CALLS);
    for thread in threads {
        thread.join().expect("calling does not panic");
    }
}

#[test]
fn a_call_may_outlive_its_loop() {
    let event_loop = event_loop();
    let call: RemoteCall<u32> = event_loop.call_soon_threadsafe(|_, _| unreachable!());
    drop(event_loop);
    call.call(7);
}

#[test]
fn dropping_the_loop_drops_every_callback() {
    let event_loop = event_loop();
    let held = Rc::new(());
    let hold = || {
        let held = Rc::clone(&held);
        move |_: &EventLoop| drop(held)
    };
    event_loop.call_soon(hold());
    event_loop.call_later(Duration::from_secs(1_000), hold());
    let (reader, _writer) = pipe();
    let its_held = Rc::clone(&held);
    event_loop.add_reader(reader, move |_, _| {
        let _ = &its_held;
    });
    drop(event_loop);
    assert_eq!(Rc::strong_count(&held), 1);
}

/// A descriptor that counts how often it is waited for.
struct Counted {
    pipe: io::PipeReader,
    waits: Rc<Cell<usize>>,
}

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waits.set(self.waits.get() + 1);
        self.pipe.as_fd()
    }
}

/// Phase 1 computes how long to sleep: with ten timers there are ten waits, not thousands. A call
/// from outside before that must not leave a byte behind, which would end every wait.
#[test]
fn it_wakes_once_a_timer() {
    let event_loop = event_loop();
    event_loop.call_soon_threadsafe(|_, _| {}).call(());
    run(&event_loop);
    let (pipe, _writer) = io::pipe().expect("two descriptors are free");
    let waits = Rc::new(Cell::new(0));
    let counted = Counted { pipe, waits: Rc::clone(&waits) };
    let reader = event_loop.add_reader(Rc::new(counted), |_, _| unreachable!("it is silent"));
    for n in 1..=10 {
        event_loop.call_later(Duration::from_millis(n * 5), move |event_loop| {
            if n == 10 {
                event_loop.cancel(reader);
            }
        });
    }
    run(&event_loop);
    assert!(waits.get() <= 10, "{} waits for ten timers", waits.get());
}

/// Phase 3 has an order, and takes all that is due.
#[test]
fn other_threads_then_descriptors_then_timers() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").expect("the pipe is empty");
    let (first, next) = (trace.clone(), trace.callback("next turn"));
    event_loop.call_at(Instant::now(), move |event_loop| {
        first.add("timer 1");
        event_loop.call_soon(next);
    });
    event_loop.call_at(Instant::now(), trace.callback("timer 2"));
    let its_trace = trace.clone();
    event_loop.add_reader(reader, move |event_loop, handle| {
        its_trace.add("reader");
        event_loop.cancel(handle);
    });
    let its_trace = trace.clone();
    event_loop.call_soon_threadsafe(move |_, _: Option<()>| its_trace.add("thread")).call(());
    run(&event_loop);
    trace.expect(&["thread", "reader", "timer 1", "timer 2", "next turn"]);
}

/// One byte stands for any number of calls. A byte for each would fill the pipe, and the caller
/// would block while the loop waits for the lock that it holds.
#[test]
fn more_calls_than_a_pipe_can_hold_do_not_block() {
    const CALLS: usize = 70_000; // a pipe of Linux holds 65,536 bytes
    let event_loop = event_loop();
    let called = Rc::new(Cell::new(0));
    for _ in 0..CALLS {
        let called = Rc::clone(&called);
        event_loop.call_soon_threadsafe(move |_, _| called.set(called.get() + 1)).call(());
    }
    run(&event_loop);
    assert_eq!(called.get(), CALLS);
}

/// A panic in a turn leaves the key of a ready reader in the queue. The next poll reports it again.
#[test]
fn after_a_panic_a_reader_is_called_once_a_turn() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").expect("the pipe is empty");
    event_loop.call_soon(|event_loop| {
        // In the turn after this one both are ready, and the panic comes first.
        event_loop.call_soon(|_| panic!("in a callback"));
    });
    let (source, its_trace) = (Rc::clone(&reader), trace.clone());
    let mut turns = 0;
    event_loop.add_reader(reader, move |event_loop, handle| {
        turns += 1;
        if turns == 1 {
            return; // not read in the first turn, so that it is ready in the second
        }
        its_trace.add("read");
        (&*source).read_exact(&mut [0]).expect("it is ready"); // a second time it would block
        if turns == 2 {
            event_loop.cancel(handle);
        }
    });
    assert!(panic::catch_unwind(AssertUnwindSafe(|| event_loop.run_forever())).is_err());
    run(&event_loop);
    trace.expect(&["read"]);
}

#[test]
fn a_stop_does_not_survive_a_panic() {
    let (event_loop, trace) = (event_loop(), Trace::default());
    event_loop.call_soon(|event_loop| event_loop.stop());
    event_loop.call_soon(|_| panic!("in a callback"));
    event_loop.call_later(Duration::from_millis(1), trace.callback("timer"));
    assert!(panic::catch_unwind(AssertUnwindSafe(|| event_loop.run_forever())).is_err());
    run(&event_loop);
    trace.expect(&["timer"]);
}

/// A source may use the loop while it is dropped.
#[test]
fn a_source_is_dropped_outside_of_the_loop_s_own_borrows() {
    struct Asks(io::PipeReader, Rc<EventLoop>);
    impl AsFd for Asks {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
    impl Drop for Asks {
        fn drop(&mut self) {
            let (reader, _writer) = io::pipe().expect("two descriptors are free");
            let handle = self.1.add_reader(Rc::new(reader), |_, _| {});
            self.1.cancel(handle);
        }
    }
    let event_loop = Rc::new(event_loop());
    let (reader, _writer) = io::pipe().expect("two descriptors are free");
    let asks = Asks(reader, Rc::clone(&event_loop));
    let handle = event_loop.add_reader(Rc::new(asks), |_, _| {});
    assert!(event_loop.cancel(handle));
    run(&event_loop);
}

//! Executor and reactor by themselves: what is polled and woken, how often, and in which order.
#![cfg(unix)]

mod patience;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ch06_generators_to_futures::future::{
    Either, Elapsed, first_to_end, join, readable, select, sleep, sleep_until, timeout, yield_now,
};
use ch06_generators_to_futures::reactor::{Waiting, waiting};
use patience::within_patience;

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(100_000);
const SHORT: Duration = Duration::from_millis(2);
const NOTHING: Waiting = Waiting { timers: 0, descriptors: 0 };

fn block_on<F: Future>(future: F) -> F::Output {
    ch06_generators_to_futures::block_on(future).expect("our own descriptors can be polled")
}

fn pipe() -> (Rc<OwnedFd>, io::PipeWriter) {
    let (reader, writer) = io::pipe().expect("two descriptors are free");
    (Rc::new(OwnedFd::from(reader)), writer)
}

fn spin_until(deadline: Instant) {
    while Instant::now() < deadline {
        thread::yield_now(); // the passing of the deadline is the event that is waited for
    }
}

/// What happened, in order.
#[derive(Debug, Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().expect("nobody panics under this lock").push(what.into());
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics under this lock").clone()
    }

    #[track_caller]
    fn expect(&self, expected: &[&str]) {
        assert_eq!(self.seen(), expected);
    }
}

/// A future that says when it is polled, ready, and dropped.
struct Traced<F> {
    future: Pin<Box<F>>,
    name: &'static str,
    trace: Trace,
}

impl<F: Future> Future for Traced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.trace.add(format!("{} polled", self.name));
        let result = self.future.as_mut().poll(context);
        if result.is_ready() {
            self.trace.add(format!("{} ready", self.name));
        }
        result
    }
}

impl<F> Drop for Traced<F> {
    fn drop(&mut self) {
        self.trace.add(format!("{} dropped", self.name));
    }
}

impl Trace {
    fn future<F: Future>(&self, name: &'static str, future: F) -> Traced<F> {
        Traced { future: Box::pin(future), name, trace: self.clone() }
    }
}

/// Counts how often the future is polled.
async fn counted<F: Future>(polls: &Cell<u32>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(context)
    })
    .await
}

async fn yields(times: u32) {
    for _ in 0..times {
        yield_now().await;
    }
}

// Polls

#[test]
fn a_future_is_polled_once_and_again_only_when_it_was_woken() {
    within_patience(|| {
        let (descriptor, mut writer) = pipe();
        writer.write_all(b"x").expect("the pipe is empty");
        let polls_of = |future: Pin<Box<dyn Future<Output = ()>>>| {
            let polls = Cell::new(0);
            block_on(counted(&polls, future));
            polls.get()
        };
        assert_eq!(polls_of(Box::pin(ready(()))), 1);
        assert_eq!(polls_of(Box::pin(yields(1))), 2);
        assert_eq!(polls_of(Box::pin(yields(5))), 6);
        assert_eq!(polls_of(Box::pin(readable(&descriptor))), 2);
        assert_eq!(polls_of(Box::pin(sleep(Duration::ZERO))), 1, "due already");
        assert!(polls_of(Box::pin(sleep(SHORT * 10))) <= 2, "1 where the machine is that slow");
    });
}

/// The reactor has a turn, and somebody else's waker is called in it. That is no reason to poll.
#[test]
fn a_turn_in_which_its_own_waker_was_not_called_is_not_followed_by_a_poll() {
    within_patience(|| {
        let start = Instant::now();
        let mut others = Box::pin(sleep_until(start + SHORT * 10));
        let mut own = Box::pin(sleep_until(start + SHORT * 20));
        let polls = Cell::new(0);
        block_on(poll_fn(|context| {
            polls.set(polls.get() + 1);
            let _ = others.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            own.as_mut().poll(context)
        }));
        assert!(polls.get() <= 2, "1 where the machine is that slow: {polls:?}");
    });
}

#[test]
fn wakes_before_the_next_poll_count_as_one() {
    let polls = Cell::new(0);
    block_on(poll_fn(|context| {
        polls.set(polls.get() + 1);
        if polls.get() > 1 {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let many = thread::spawn(move || (0..1_000).for_each(|_| waker.wake_by_ref()));
        many.join().expect("a waker does not panic");
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(polls.get(), 2);
}

/// The polls that somebody else asked for find the sleep as it was, and leave one timer.
#[test]
fn a_poll_too_many_changes_nothing_for_a_sleep_or_a_descriptor() {
    let polls = Cell::new(0);
    let (silent, _writer) = pipe();
    let both = select(sleep(FOR_EVER), readable(&silent));
    let waits = select(counted(&polls, both), async {
        for _ in 0..3 {
            yield_now().await;
            assert_eq!(waiting(), Waiting { timers: 1, descriptors: 1 });
            assert_eq!(Rc::strong_count(&silent), 3, "ours, the future's, the reactor's");
        }
    });
    assert!(matches!(block_on(waits), Either::Right(())));
    assert_eq!(polls.get(), 4, "the first, and one for each yield");
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    within_patience(|| {
        let (asked, questions) = mpsc::channel::<Waker>();
        let (answer, answers) = mpsc::channel();
        let other = thread::spawn(move || {
            for waker in questions {
                answer.send("answer").expect("the other end is open");
                waker.wake();
            }
        });
        let mut asked = Some(asked);
        let polls = Cell::new(0);
        let answer = block_on(poll_fn(|context| {
            polls.set(polls.get() + 1);
            if let Some(asked) = asked.take() {
                asked.send(context.waker().clone()).expect("the thread listens");
                return Poll::Pending;
            }
            Poll::Ready(answers.try_recv().expect("it was sent before the wake"))
        }));
        assert_eq!((answer, polls.get()), ("answer", 2));
        other.join().expect("it does not panic");
    });
}

#[test]
fn a_waker_that_is_kept_wakes_nobody_afterwards() {
    within_patience(|| {
        let kept = block_on(poll_fn(|context| Poll::Ready(context.waker().clone())));
        kept.wake_by_ref();
        let polls = Cell::new(0);
        block_on(counted(&polls, async {
            sleep(SHORT).await;
            kept.wake_by_ref();
            sleep(SHORT).await;
        }));
        assert!(polls.get() <= 3, "one at the start and one for each sleep: {polls:?}");
        let clone = kept.clone();
        thread::spawn(move || clone.wake()).join().expect("a waker does not panic");
        drop(kept);
    });
}

// Nested

/// The outer future was woken, and then calls `block_on` in the same poll. If both had one signal,
/// the inner call would take what was meant for the outer one, which would then wait for ever.
#[test]
fn a_nested_block_on_does_not_take_what_wakes_the_outer_one() {
    within_patience(|| {
        let trace = Trace::default();
        let mut first = true;
        block_on(trace.future(
            "outer",
            poll_fn(|context| {
                if !first {
                    return Poll::Ready(());
                }
                first = false;
                context.waker().wake_by_ref();
                block_on(trace.future("inner", yield_now()));
                Poll::Pending
            }),
        ));
        trace.expect(&[
            "outer polled",
            "inner polled",
            "inner polled",
            "inner ready",
            "inner dropped",
            "outer polled",
            "outer ready",
            "outer dropped",
        ]);
    });
}

#[test]
fn while_a_nested_block_on_runs_the_outer_future_stands_still() {
    within_patience(|| {
        let (descriptor, mut writer) = pipe();
        let trace = Trace::default();
        let outer = async {
            readable(&descriptor).await;
            trace.add("outer");
        };
        let nested = async {
            assert_eq!(waiting(), Waiting { timers: 0, descriptors: 1 });
            writer.write_all(b"x").expect("the pipe is empty");
            block_on(async {
                assert_eq!(waiting(), NOTHING, "a reactor of its own");
                sleep(SHORT).await;
            });
            trace.add("nested");
        };
        block_on(join(outer, nested));
        trace.expect(&["nested", "outer"]);
    });
}

/// Polls it once, which begins it.
async fn begin<F: Future>(future: Pin<&mut F>) {
    assert!(matches!(select(future, ready(())).await, Either::Right(())), "it is ready already");
}

#[test]
fn a_future_that_was_begun_outside_can_be_finished_inside_or_after() {
    within_patience(|| {
        let (descriptor, mut writer) = pipe();
        let mut waits = Box::pin(select(sleep(FOR_EVER), readable(&descriptor)));
        let mut nap = Box::pin(sleep(SHORT * 10));
        block_on(async {
            begin(waits.as_mut()).await;
            assert_eq!(waiting(), Waiting { timers: 1, descriptors: 1 });
            block_on(begin(waits.as_mut()));
            assert_eq!(waiting(), NOTHING, "it has left the outer reactor");
            let _ = select(nap.as_mut(), ready(())).await;
            block_on(nap);
        });
        assert_eq!(Rc::strong_count(&descriptor), 2, "the reactors are gone, and hold nothing");
        block_on(begin(waits.as_mut())); // that its reactor has gone does not make it ready
        writer.write_all(b"x").expect("the pipe is empty");
        assert_eq!(block_on(waits), Either::Right(()));
        assert_eq!(Rc::strong_count(&descriptor), 1);
    });
}

/// Polls its future only when the waker that it gave to it was called, as those do that hold many.
struct Selective<F> {
    future: Pin<Box<F>>,
    called: Arc<Called>,
}

#[derive(Default)]
struct Called {
    called: AtomicBool,
    parent: Mutex<Option<Waker>>,
}

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.called.store(true, Ordering::SeqCst);
        let parent = self.parent.lock().expect("nobody panics under this lock").take();
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl<F: Future> Future for Selective<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let parent = context.waker().clone();
        *self.called.parent.lock().expect("nobody panics under this lock") = Some(parent);
        if !self.called.called.swap(false, Ordering::SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.called));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// Its first poll polls the future: that needs no call.
fn selective<F: Future>(future: F) -> Selective<F> {
    let called = Called { called: AtomicBool::new(true), ..Called::default() };
    Selective { future: Box::pin(future), called: Arc::new(called) }
}

/// Its deadline is in no reactor between the two. If the first one did not say so, the second would
/// never poll the sleep, and so would not hear of its deadline.
#[test]
fn who_is_polled_only_when_it_was_woken_is_woken_when_its_reactor_ends() {
    within_patience(|| {
        let (descriptor, mut writer) = pipe();
        let mut nap = pin!(selective(sleep(SHORT * 10)));
        let mut input = pin!(selective(readable(&descriptor)));
        block_on(begin(input.as_mut()));
        let _ = block_on(select(nap.as_mut(), ready(())));
        writer.write_all(b"x").expect("the pipe is empty");
        block_on(join(nap, input));
    });
}

/// An inner reactor has the outer future's waker, and ends: the outer one has to poll again.
#[test]
fn a_waker_that_was_left_in_a_nested_reactor_is_called_when_that_ends() {
    within_patience(|| {
        let mut nap = pin!(sleep(SHORT * 10));
        block_on(poll_fn(|outer| {
            let nested = poll_fn(|_| Poll::Ready(nap.as_mut().poll(outer)));
            block_on(nested)
        }));
    });
}

// The reactor

/// A waker that says its name, and wakes another one.
struct Named(&'static str, Trace, Waker);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.add(self.0);
        self.2.wake_by_ref();
    }
}

type Unit = Pin<Box<dyn Future<Output = ()>>>;

/// Polls each future once, with a waker of its own, then waits until each waker was called. Returns
/// how many turns that took. Where the machine is so busy that one is ready before all were polled,
/// nothing can be said: `None`.
fn expect_wakes(mut futures: Vec<(&'static str, Unit)>, expected: &[&str]) -> Option<u32> {
    let trace = Trace::default();
    let (mut pending, mut polls) = (None, 0);
    block_on(poll_fn(|context| {
        polls += 1;
        let woken = trace.seen().len();
        let pending = *pending.get_or_insert_with(|| {
            let pending = futures.iter_mut().map(|(name, future)| {
                let named = Named(name, trace.clone(), context.waker().clone());
                let waker = Waker::from(Arc::new(named));
                future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            pending.filter(|pending| *pending).count()
        });
        if woken < pending { Poll::Pending } else { Poll::Ready(()) }
    }));
    if pending < Some(futures.len()) {
        println!("not judged: the machine is too busy");
        return None;
    }
    trace.expect(expected);
    Some(polls - 1)
}

#[test]
fn wakers_are_called_by_deadline_and_equal_deadlines_in_order() {
    within_patience(|| {
        // So late that all of them are polled before the first is due.
        let start = Instant::now() + Duration::from_millis(50);
        let at = |ms| Box::pin(sleep_until(start + Duration::from_millis(ms))) as Unit;
        expect_wakes(
            vec![("3", at(3)), ("1", at(1)), ("2 first", at(2)), ("2 second", at(2)), ("0", at(0))],
            &["0", "1", "2 first", "2 second", "3"],
        );
    });
}

/// As in chapter 5: everything that is due in the same turn, and descriptors first.
#[test]
fn what_is_due_in_one_turn_is_woken_in_one_turn_descriptors_first() {
    within_patience(|| {
        let (descriptor, mut writer) = pipe();
        writer.write_all(b"x").expect("the pipe is empty");
        let deadline = Instant::now() + Duration::from_millis(50);
        let passes = poll_fn(move |context| {
            spin_until(deadline);
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let turns = expect_wakes(
            vec![
                ("timer", Box::pin(sleep_until(deadline))),
                ("descriptor", Box::pin(readable(&descriptor))),
                ("timer too", Box::pin(sleep_until(deadline))),
                ("now", Box::pin(passes)),
            ],
            &["now", "descriptor", "timer", "timer too"],
        );
        assert!(matches!(turns, Some(1) | None), "{turns:?}");
    });
}

#[test]
fn no_sleep_is_early() {
    within_patience(|| {
        for microseconds in 1..200 {
            let deadline = Instant::now() + Duration::from_micros(microseconds);
            block_on(sleep_until(deadline));
            assert!(Instant::now() >= deadline);
        }
        let limit = Duration::from_millis(3);
        let start = Instant::now();
        block_on(sleep(limit));
        assert!(start.elapsed() >= limit);
    });
}

#[test]
fn a_sleep_counts_from_the_call_and_not_from_the_first_poll() {
    let polls = Cell::new(0);
    let (nap, limited) = (sleep(SHORT), timeout(SHORT, pending::<()>()));
    spin_until(Instant::now() + SHORT);
    let both = block_on(counted(&polls, join(nap, limited)));
    assert_eq!((both, polls.get()), (((), Err(Elapsed)), 1));
}

#[test]
fn a_descriptor_is_readable_as_long_as_nobody_has_read_it_and_at_its_end() {
    within_patience(|| {
        let (descriptor, mut writer) = pipe();
        block_on(async {
            writer.write_all(b"x").expect("the pipe is empty");
            readable(&descriptor).await;
            readable(&descriptor).await; // level-triggered
            rustix::io::read(&*descriptor, &mut [0; 1]).expect("it is ready");
            let mut again = Box::pin(readable(&descriptor));
            assert_eq!(select(again.as_mut(), yields(2)).await, Either::Right(()));
            drop(writer);
            again.await; // HUP, without IN
        });
        let folder = std::fs::File::open(env!("CARGO_MANIFEST_DIR")).expect("it exists");
        block_on(readable(&Rc::new(OwnedFd::from(folder)))); // and what is no pipe, always
    });
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    within_patience(|| {
        let (descriptor, mut writer) = pipe();
        block_on(async {
            assert_eq!(waiting(), NOTHING);
            let mut waits =
                Box::pin(join(sleep(FOR_EVER), join(sleep(FOR_EVER), readable(&descriptor))));
            begin(waits.as_mut()).await;
            assert_eq!(waiting(), Waiting { timers: 2, descriptors: 1 });
            drop(waits);
            assert_eq!(waiting(), NOTHING);
            assert_eq!(Rc::strong_count(&descriptor), 1, "the reactor has let it go");

            // A sleep that is ready before the reactor has noticed takes its timer out.
            let deadline = Instant::now() + SHORT;
            let mut nap = Box::pin(sleep_until(deadline));
            let _ = select(nap.as_mut(), ready(())).await;
            spin_until(deadline);
            nap.as_mut().await;
            assert_eq!(waiting(), NOTHING);

            // Also if it is dropped when it was woken and not polled since.
            writer.write_all(b"x").expect("the pipe is empty");
            let deadline = Instant::now() + SHORT;
            let mut waits = Box::pin(join(sleep_until(deadline), readable(&descriptor)));
            begin(waits.as_mut()).await;
            spin_until(deadline);
            yield_now().await; // a turn
            assert_eq!(waiting(), NOTHING);
            drop(waits);
            assert_eq!(waiting(), NOTHING);
            assert_eq!(Rc::strong_count(&descriptor), 1);
        });
    });
}

#[test]
#[should_panic(expected = "poll it inside block_on")]
fn a_sleep_that_is_polled_outside_says_what_to_do() {
    let _ = pin!(sleep(FOR_EVER)).poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
#[should_panic(expected = "poll it inside block_on")]
fn after_block_on_there_is_no_reactor() {
    within_patience(|| {
        block_on(sleep(SHORT));
        let panicked = panic::catch_unwind(|| block_on(async { panic!("in a future") }));
        assert!(panicked.is_err());
        waiting();
    });
}

#[test]
fn a_panic_leaves_the_outer_reactor_and_the_next_one_usable() {
    within_patience(|| {
        block_on(async {
            let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
                block_on(join(sleep(FOR_EVER), async {
                    yield_now().await;
                    panic!("in a future")
                }))
            }));
            assert!(panicked.is_err());
            assert_eq!(waiting(), NOTHING, "this is the outer one again");
            sleep(SHORT).await;
            let panicked = AssertUnwindSafe(async {
                let mut panics = Box::pin(async {
                    sleep(Duration::from_micros(1)).await;
                    panic!("in a future, in the middle")
                });
                poll_fn(|context| {
                    let poll = AssertUnwindSafe(|| panics.as_mut().poll(context));
                    match panic::catch_unwind(poll) {
                        Ok(poll) => poll.map(|()| false),
                        Err(_) => Poll::Ready(true),
                    }
                })
                .await
            });
            assert!(panicked.0.await);
            assert_eq!(waiting(), NOTHING);
            sleep(SHORT).await;
        });
    });
}

// Two futures

#[test]
fn yield_now_lets_the_other_one_run_first() {
    within_patience(|| {
        let said = RefCell::new(Vec::new());
        let say_twice = async |one, other| {
            said.borrow_mut().push(one);
            yield_now().await;
            said.borrow_mut().push(other);
        };
        block_on(join(say_twice("a1", "a2"), say_twice("b1", "b2")));
        assert_eq!(*said.borrow(), ["a1", "b1", "a2", "b2"]);
    });
}

#[test]
fn yield_now_wakes_once() {
    let trace = Trace::default();
    let named = Named("woken", trace.clone(), Waker::noop().clone());
    let waker = Waker::from(Arc::new(named));
    let mut context = Context::from_waker(&waker);
    let mut yields = pin!(yield_now());
    assert!(yields.as_mut().poll(&mut context).is_pending());
    trace.expect(&["woken"]);
    assert!(yields.as_mut().poll(&mut context).is_ready());
    trace.expect(&["woken"]);
}

#[test]
fn join_polls_both_in_order_and_none_that_is_ready() {
    within_patience(|| {
        let trace = Trace::default();
        let a = trace.future("a", async { "of a" });
        let b = trace.future("b", async {
            yield_now().await;
            "of b"
        });
        assert_eq!(block_on(join(a, b)), ("of a", "of b"));
        trace.expect(&[
            "a polled",
            "a ready",
            "a dropped",
            "b polled",
            "b polled",
            "b ready",
            "b dropped",
        ]);
    });
}

#[test]
fn select_drops_the_loser_before_anybody_sees_the_value() {
    let trace = Trace::default();
    let a = trace.future("a", pending::<()>());
    let b = trace.future("b", yield_now());
    let mut first = select(a, b); // not dropped before the end of this test
    assert_eq!(block_on(&mut first), Either::Right(()));
    trace.add("value seen");
    trace.expect(&[
        "a polled",
        "b polled",
        "a polled",
        "b polled",
        "b ready",
        "a dropped",
        "b dropped",
        "value seen",
    ]);
}

#[test]
fn of_two_that_are_ready_select_takes_the_first_and_does_not_poll_the_second() {
    let trace = Trace::default();
    let (a, b) = (trace.future("a", ready(1)), trace.future("b", ready(2)));
    assert_eq!(block_on(select(a, b)), Either::Left(1));
    trace.expect(&["a polled", "a ready", "a dropped", "b dropped"]);
    assert_eq!(block_on(first_to_end(ready(1), ready(2))), 1);
    assert_eq!(block_on(first_to_end(pending(), ready(2))), 2);
}

#[test]
fn what_lost_leaves_no_timer() {
    within_patience(|| {
        block_on(async {
            assert_eq!(timeout(FOR_EVER, yields(2)).await, Ok(()));
            assert_eq!(waiting(), NOTHING, "of the time limit");
            assert_eq!(timeout(SHORT, sleep(FOR_EVER)).await, Err(Elapsed));
            assert_eq!(waiting(), NOTHING, "of what took too long");
        });
    });
}

#[test]
fn timeout_drops_what_took_too_long_and_prefers_what_is_ready() {
    let trace = Trace::default();
    let slow = trace.future("slow", pending::<()>());
    assert_eq!(block_on(timeout(Duration::ZERO, slow)), Err(Elapsed));
    trace.expect(&["slow polled", "slow dropped"]);
    assert_eq!(block_on(timeout(Duration::ZERO, ready(7))), Ok(7));
}

#[test]
fn join_begins_all_before_it_waits_for_any() {
    block_on(async {
        let mut three = Box::pin(join(sleep(FOR_EVER), join(sleep(FOR_EVER), sleep(FOR_EVER))));
        begin(three.as_mut()).await;
        assert_eq!(waiting().timers, 3);
    });
}

#[test]
#[should_panic(expected = "polled again after it was ready")]
fn a_join_is_not_polled_after_its_end() {
    let mut both = join(ready(()), ready(()));
    block_on(&mut both);
    block_on(both);
}

#[test]
#[should_panic(expected = "polled again after it was ready")]
fn a_select_is_not_polled_after_its_end() {
    let mut first = select(ready(()), ready(()));
    block_on(&mut first);
    block_on(first);
}

//! Deadlines. No test waits longer than a few milliseconds, and none asks how long it took.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ch07_asyncio::runtime::{
    Elapsed, Notify, Sleep, interval, sleep, sleep_until, spawn, timeout, yield_now,
};

use super::{run, runtime};
use crate::instruments::{OnDrop, Probe, Trace, watched};

/// How far in the future a test sets its timers. The first is long enough, mostly.
const MARGINS: [Duration; 3] = [ms(5), ms(50), ms(2000)];

const HOUR: Duration = Duration::from_secs(3600);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Whether all timers were set before the first of them was due: only then there is an order. On a
/// slow machine the next margin is tried.
async fn set_and_trace(margin: Duration, trace: &Trace) -> bool {
    let start = Instant::now() + margin;
    let timers = [(3, "3"), (1, "1"), (2, "2 first"), (2, "2 second"), (0, "0")];
    let tasks = timers.map(|(milliseconds, name)| {
        let trace = trace.clone();
        spawn(async move {
            sleep_until(start + ms(milliseconds)).await;
            trace.add(name);
        })
    });
    yield_now().await; // now all of them wait
    let in_time = Instant::now() < start;
    for task in tasks {
        task.await.expect("it does not panic");
    }
    in_time
}

#[test]
fn tasks_are_woken_by_deadline_and_equal_deadlines_in_order() {
    run(|| async {
        for margin in MARGINS {
            let trace = Trace::default();
            if set_and_trace(margin, &trace).await {
                return trace.expect(&["0", "1", "2 first", "2 second", "3"]);
            }
        }
        println!("not judged: the machine is too slow to set five timers in time");
    });
}

#[test]
fn no_timer_is_early() {
    run(|| async {
        for microseconds in (17..3000).step_by(97) {
            let deadline = Instant::now() + Duration::from_micros(microseconds);
            sleep_until(deadline).await;
            assert!(Instant::now() >= deadline);
        }
    });
}

/// A deadline that has passed is no wait: the task is not even taken from its turn.
#[test]
fn a_deadline_that_has_passed_is_ready_at_the_first_poll() {
    run(|| async {
        let polled = Probe::default();
        drop(spawn(polled.future()));
        sleep(Duration::ZERO).await;
        sleep_until(Instant::now()).await;
        polled.expect(0, 0); // nobody else had a turn
    });
}

#[test]
fn a_timer_that_is_cancelled_or_over_leaves_nothing_behind() {
    watched(|| {
        let runtime = runtime();
        let timers = |count| {
            let says = format!("{runtime:?}");
            assert!(says.contains(&format!("timers: {count},")), "{count}: {says}");
        };
        runtime.block_on(async {
            timers(0);
            let task = spawn(sleep(HOUR));
            yield_now().await;
            timers(1);
            task.abort();
            timers(0);
            assert_eq!(timeout(ms(1), sleep(HOUR)).await, Err(Elapsed));
            timers(0);
            assert_eq!(timeout(HOUR, sleep(ms(1))).await, Ok(()));
            timers(0);
            let never_polled = sleep(HOUR);
            timers(0);
            drop(never_polled);
            let mut over = sleep(ms(1));
            (&mut over).await; // and it is not dropped
            timers(0);
            drop(over);
        });
    });
}

/// Counts how often it is called.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The sleep is polled with one waker and then awaited with another one: the newest counts.
#[test]
fn a_sleep_that_moves_to_another_task_wakes_that_one() {
    run(|| async {
        for margin in MARGINS {
            let mut sleep = sleep(margin);
            let calls = Arc::new(Calls::default());
            let old = Waker::from(Arc::clone(&calls));
            let waits = Pin::new(&mut sleep).poll(&mut Context::from_waker(&old)).is_pending();
            let still_waits = poll_fn(|cx| Poll::Ready(Pin::new(&mut sleep).poll(cx).is_pending()));
            if waits && still_waits.await {
                sleep.await;
                assert_eq!(
                    calls.0.load(Ordering::SeqCst),
                    0,
                    "the old one has nothing to wait for"
                );
                return;
            }
        }
        println!("not judged: the machine is too slow to poll a timer twice in time");
    });
}

/// One timer, polled again and again by the same task, stays one timer.
#[test]
fn a_sleep_that_is_polled_again_is_still_one_timer() {
    watched(|| {
        let runtime = runtime();
        runtime.block_on(async {
            let mut sleep = sleep(HOUR);
            for _ in 0..100 {
                poll_fn(|cx| {
                    assert!(Pin::new(&mut sleep).poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            assert!(format!("{runtime:?}").contains("timers: 1,"), "{runtime:?}");
        });
    });
}

#[test]
fn an_interval_keeps_to_its_grid_and_skips_what_it_missed() {
    run(|| async {
        let period = ms(2);
        let mut interval = interval(period);
        let start = interval.tick().await;
        let stall_ends = start + period * 5 + period / 2;
        while Instant::now() < stall_ends {
            std::hint::spin_loop(); // the stall: five points pass
        }
        assert_eq!(interval.tick().await, start + period, "one late tick");
        let mut last = stall_ends;
        for _ in 0..5 {
            let before = Instant::now();
            let tick = interval.tick().await;
            assert!(tick > last, "a tick of the past");
            assert!(Instant::now() >= tick, "a tick that is early");
            let passed = (tick - start).as_nanos();
            assert_eq!(passed % period.as_nanos(), 0, "it is on the grid");
            last = before.max(tick);
        }
    });
}

#[test]
fn a_tick_that_is_dropped_is_not_lost() {
    run(|| async {
        let mut interval = interval(HOUR);
        let start = interval.tick().await;
        assert_eq!(timeout(ms(1), interval.tick()).await, Err(Elapsed));
        let mut quick = ch07_asyncio::runtime::interval(ms(3));
        let quick_start = quick.tick().await;
        let _ = timeout(Duration::ZERO, quick.tick()).await;
        let tick = quick.tick().await;
        assert!(tick >= quick_start + ms(3) && start <= quick_start);
    });
}

#[test]
fn a_timeout_drops_the_loser() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run(|| async move {
        let held = OnDrop(its_trace.clone(), "loser");
        let loser = async move {
            let _held = held;
            pending::<()>().await;
        };
        let result = timeout(ms(1), loser).await;
        its_trace.add("told");
        assert_eq!(result, Err(Elapsed));
    });
    trace.expect(&["loser", "told"]);
}

#[test]
fn a_future_that_is_ready_is_asked_before_the_time() {
    run(|| async {
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        assert_eq!(timeout(Duration::ZERO, pending::<()>()).await, Err(Elapsed));
    });
}

/// A future that nests time limits ends with the shortest.
#[test]
fn the_shorter_of_two_time_limits_counts() {
    run(|| async {
        assert_eq!(timeout(HOUR, timeout(ms(1), pending::<()>())).await, Ok(Err(Elapsed)));
        assert_eq!(timeout(ms(1), timeout(HOUR, pending::<()>())).await, Err(Elapsed));
    });
}

/// A deadline beyond what one wait of the selector can last, and a wake-up that ends it.
#[test]
fn a_very_long_sleep_can_be_ended() {
    run(|| async {
        let notify = Rc::new(Notify::new());
        let notified = Rc::clone(&notify);
        let years = Duration::from_secs(100 * 365 * 24 * 3600);
        let task = spawn(async move { timeout(years, notified.notified()).await });
        sleep(ms(1)).await;
        notify.notify_one();
        assert_eq!(task.await.expect("it does not panic"), Ok(()));
    });
}

/// How many timers the next test has.
const MANY: usize = 400_000;

/// If one timer cost as much as there are others, this would take hours.
#[test]
fn very_many_timers_are_set_and_cancelled_or_fire() {
    watched(|| {
        let runtime = runtime();
        let timers = |count: usize| {
            let says = format!("{runtime:?}");
            assert!(says.contains(&format!("timers: {count},")), "{count}: {says}");
        };
        runtime.block_on(async {
            let start = Instant::now();
            // In an order that is neither that of the deadlines nor the reverse.
            let deadline = |k: usize| {
                let nanoseconds = (k * 7919) % MANY;
                start + HOUR + Duration::from_nanos(nanoseconds as u64)
            };
            let mut sleeps: Vec<Sleep> = (0..MANY).map(|k| sleep_until(deadline(k))).collect();
            poll_all(&mut sleeps).await;
            timers(MANY);
            drop(sleeps);
            timers(0);

            let soon = Instant::now() + ms(20);
            let mut sleeps: Vec<Sleep> = (0..MANY / 10).map(|_| sleep_until(soon)).collect();
            poll_all(&mut sleeps).await;
            sleep_until(soon).await;
            assert_eq!(poll_all(&mut sleeps).await, MANY / 10, "all of them are over");
            timers(0);
        });
    });
}

/// Polls each of them once, and says how many are over.
async fn poll_all(sleeps: &mut [Sleep]) -> usize {
    poll_fn(|cx| {
        let over = sleeps.iter_mut().filter_map(|sleep| match Pin::new(sleep).poll(cx) {
            Poll::Ready(()) => Some(()),
            Poll::Pending => None,
        });
        Poll::Ready(over.count())
    })
    .await
}

/// Its waker must lie in the timers of the loop that runs.
#[test]
fn a_sleep_that_moves_to_another_runtime_is_woken_there() {
    watched(|| {
        let (first, second) = (runtime(), runtime());
        let mut nap = Box::pin(sleep(Duration::from_millis(20)));
        first.block_on(poll_fn(|cx| Poll::Ready(nap.as_mut().poll(cx).is_pending())));
        second.block_on(nap);
        let left = format!("{first:?}");
        assert!(left.contains("timers: 0"), "{left}");
    });
}

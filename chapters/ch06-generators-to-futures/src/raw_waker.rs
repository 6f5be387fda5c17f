//! What a waker is made of: a pointer, and a table of four functions.
//!
//! `Waker` has no type parameter, so that every future takes every executor's waker. So it can hold
//! the executor's part only as a pointer that has lost its type, with functions that know the type
//! again. Here the pointer is an `Arc<Signal>`, and the four functions say by hand what
//! `Waker::from(Arc<Signal>)` says for us. The program uses the latter: it is safe code.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::signal::Signal;

// ANCHOR: waker
/// A waker that sets `signal`.
pub fn waker(signal: Arc<Signal>) -> Waker {
    let pointer = Arc::into_raw(signal).cast::<()>(); // the count is now the waker's
    // SAFETY: the pointer comes from `Arc::into_raw` and owns one count of it, which is what each
    // function of VTABLE asks for. They may be called on any thread, since `Signal` is Send and
    // Sync (`Waker::from` asks the compiler for that; here the line below this function does).
    unsafe { Waker::new(pointer, &VTABLE) }
}

const _: () = is_send_and_sync::<Signal>();
const fn is_send_and_sync<T: Send + Sync>() {}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);
// ANCHOR_END: waker

// ANCHOR: vtable
/// The count of this waker as an `Arc` again.
///
/// # Safety
///
/// `pointer` comes from `Arc::<Signal>::into_raw`, and the count that it owns was not given back.
unsafe fn arc(pointer: *const ()) -> Arc<Signal> {
    // SAFETY: that is what our caller promises.
    unsafe { Arc::from_raw(pointer.cast()) }
}

/// One more waker: one more count.
unsafe fn clone(pointer: *const ()) -> RawWaker {
    // SAFETY: `Waker` calls this with the pointer it was made with, before it calls `release` or
    // `wake`. ManuallyDrop, because the waker that is cloned keeps its own count.
    let signal = ManuallyDrop::new(unsafe { arc(pointer) });
    RawWaker::new(Arc::into_raw(Arc::clone(&signal)).cast(), &VTABLE)
}

/// `Waker::wake` consumes the waker: the count is given back here, and `release` is not called.
unsafe fn wake(pointer: *const ()) {
    // SAFETY: as in `clone`; and this is the last call with this waker's count.
    unsafe { arc(pointer) }.set();
}

/// `Waker::wake_by_ref` only borrows it: the count stays.
unsafe fn wake_by_ref(pointer: *const ()) {
    // SAFETY: as in `clone`. ManuallyDrop, because the waker keeps its count.
    ManuallyDrop::new(unsafe { arc(pointer) }).set();
}

/// The waker is dropped: its count is given back.
unsafe fn release(pointer: *const ()) {
    // SAFETY: as in `clone`; and this is the last call with this waker's count.
    drop(unsafe { arc(pointer) });
}
// ANCHOR_END: vtable

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::ptr;
    use std::task::{Context, Poll};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::block_on;
    use crate::block_on::poll_until_ready;
    use crate::future::sleep;
    use crate::patience::within_patience;
    use crate::reactor::waiting;

    fn signal() -> Arc<Signal> {
        Arc::new(Signal::new().expect("two descriptors are free"))
    }

    fn is_set(signal: &Signal) -> bool {
        signal.take().expect("our own pipe can be read")
    }

    #[test]
    fn each_waker_has_one_count_and_gives_it_back_once() {
        let signal = signal();
        let counts = |expected| assert_eq!(Arc::strong_count(&signal), expected);
        let first = waker(Arc::clone(&signal));
        counts(2);
        let second = first.clone();
        counts(3);
        assert!(first.will_wake(&second), "a clone is the same waker");
        first.wake_by_ref();
        counts(3);
        drop(first);
        counts(2);
        second.wake(); // consumes it
        counts(1);
    }

    #[test]
    fn the_last_waker_takes_the_signal_with_it() {
        let signal = signal();
        let alive = Arc::downgrade(&signal);
        let waker = waker(signal);
        let other = waker.clone();
        waker.wake();
        assert!(alive.upgrade().is_some(), "one waker is left");
        drop(other);
        assert!(alive.upgrade().is_none());
    }

    #[test]
    fn both_ways_to_wake_set_the_signal_and_nothing_else_does() {
        let signal = signal();
        let waker = waker(Arc::clone(&signal));
        drop(waker.clone());
        assert!(!is_set(&signal));
        waker.wake_by_ref();
        assert!(is_set(&signal));
        waker.wake();
        assert!(is_set(&signal));
    }

    /// Is ready when another thread has called the waker that it was given.
    async fn woken_by_a_thread() -> u32 {
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(polls);
            }
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        })
        .await
    }

    #[test]
    fn block_on_waits_in_the_same_way_with_either_waker() {
        within_patience(|| {
            for make in [waker, Waker::from] {
                let signal = signal();
                let waker = make(Arc::clone(&signal));
                let polls = poll_until_ready(woken_by_a_thread(), &signal, &waker);
                assert_eq!(polls.expect("our own pipe can be polled"), 2);
                drop(waker);
                while Arc::strong_count(&signal) > 1 {
                    thread::yield_now(); // the thread's own waker is on its way out
                }
            }
        });
    }

    /// All four functions are somebody else's code, `clone` too. This one looks into the reactor.
    #[test]
    fn a_waker_may_use_the_reactor_while_it_is_cloned() {
        static LOOKS: RawWakerVTable = RawWakerVTable::new(look, nothing, nothing, nothing);
        fn look(_: *const ()) -> RawWaker {
            waiting();
            RawWaker::new(ptr::null(), &LOOKS)
        }
        fn nothing(_: *const ()) {}
        // SAFETY: no function of LOOKS uses its pointer, and each may be called on any thread.
        let waker = unsafe { Waker::new(ptr::null(), &LOOKS) };
        let left = block_on(async {
            let mut nap = pin!(sleep(Duration::from_secs(1_000)));
            assert!(nap.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            waiting().timers
        });
        assert_eq!(left.expect("our own pipe can be polled"), 1);
    }
}

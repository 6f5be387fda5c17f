//! A signal without a value: somebody tells somebody to look again.
//!
//! A wake-up must not be lost with the one who got it. A future that was notified and is dropped
//! before it was polled again (the loser of a `timeout`) passes the notification on.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

// ANCHOR: notify
/// Wakes those who wait, first come, first served. Any thread may notify.
#[derive(Debug, Default)]
pub struct Notify {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody notified, and nobody was waiting: the next one does not wait.
    permit: bool,
    /// A ticket for each that waits, in order, and its waker until it is notified.
    waiting: VecDeque<(u64, Option<Waker>)>,
    next_ticket: u64,
}

impl Notify {
    /// Nobody was notified yet.
    pub fn new() -> Notify {
        Notify::default()
    }

    /// Wakes the one that has waited longest. If nobody waits, the next one will not have to: two
    /// notifications without a wait between them count as one.
    pub fn notify_one(&self) {
        let notified = self.lock().notify_one();
        notified.into_iter().for_each(Waker::wake); // after the lock
    }

    /// Wakes all that wait now, and leaves nothing for those who come later.
    pub fn notify_waiters(&self) {
        let mut state = self.lock();
        let called = state.first_to_call();
        let waiting = state.waiting.split_off(called);
        drop(state);
        waiting.into_iter().filter_map(|(_, waker)| waker).for_each(Waker::wake);
    }

    /// Waits to be notified. It waits from its first poll on, not from this call.
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, ticket: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding this lock")
    }
}

impl State {
    fn notify_one(&mut self) -> Option<Waker> {
        let first = self.first_to_call();
        let waker = self.waiting.get_mut(first).and_then(|(_, waker)| waker.take());
        self.permit |= waker.is_none();
        waker
    }

    /// Those that were notified one by one, and have not come back yet, stand before all others.
    fn first_to_call(&self) -> usize {
        self.waiting.partition_point(|(_, waker)| waker.is_none())
    }

    /// `None` when everybody was notified.
    fn place(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()
    }
}
// ANCHOR_END: notify

// ANCHOR: notified
/// Returned by [`Notify::notified`].
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    ticket: Option<u64>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.notify.lock();
        let Some(ticket) = self.ticket else {
            if mem::take(&mut state.permit) {
                return Poll::Ready(());
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.push_back((ticket, Some(cx.waker().clone())));
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        if let Some(place) = state.place(ticket) {
            if let Some(waker) = &mut state.waiting[place].1 {
                let _old = mem::replace(waker, cx.waker().clone()); // the newest counts
                drop(state); // before the old one, whose drop may run anything
                return Poll::Pending;
            }
            state.waiting.remove(place);
        }
        self.ticket = None;
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.notify.lock();
        let Some(place) = state.place(ticket) else { return };
        let left = state.waiting.remove(place);
        let in_vain = matches!(left, Some((_, None))); // it was notified
        let next = if in_vain { state.notify_one() } else { None };
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }
}
// ANCHOR_END: notified

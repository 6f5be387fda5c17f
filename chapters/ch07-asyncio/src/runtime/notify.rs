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
    /// Tickets are given out in order, so this queue is sorted.
    waiting: VecDeque<(u64, Waker)>,
    /// The tickets that were notified, one at a time, and have not come back yet.
    notified: Vec<u64>,
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
        let waiting = mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
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
        let Some((ticket, waker)) = self.waiting.pop_front() else {
            self.permit = true;
            return None;
        };
        self.notified.push(ticket);
        Some(waker)
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
            state.waiting.push_back((ticket, cx.waker().clone()));
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        if let Ok(place) = state.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket) {
            state.waiting[place].1.clone_from(cx.waker()); // the newest counts
            return Poll::Pending;
        }
        state.notified.retain(|notified| *notified != ticket);
        self.ticket = None;
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.notify.lock();
        let next = match state.notified.iter().position(|notified| *notified == ticket) {
            Some(place) => {
                state.notified.swap_remove(place);
                state.notify_one()
            }
            None => {
                state.waiting.retain(|(waiting, _)| *waiting != ticket);
                None
            }
        };
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }
}
// ANCHOR_END: notified

//! The executor: it owns the tasks, and polls those that were woken.
//!
//! Every task lies in one table. A waker holds only the task's number, so it may outlive the task,
//! be cloned, and travel to another thread, where the task itself must not go: what lies in the
//! table need not be `Send`. A number that is left over somewhere wakes nothing. (Chapter 5 kept
//! its callbacks in the same way.)

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use super::current;
use super::remote::{Remote, Scheduled};

// ANCHOR: task
/// A future that the executor owns. Its output goes to its `JoinHandle`, so here it has none.
pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Names a task. A place in the table is used again, a number never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskId {
    place: usize,
    number: u64,
}

/// No place in the table.
pub(super) const MAIN: usize = usize::MAX;

pub(super) struct Slot {
    number: u64,
    /// Taken out while it is polled, so that the table is not borrowed meanwhile.
    task: Option<Task>,
}
// ANCHOR_END: task

// ANCHOR: executor
/// The tasks, and the queue of those that are to be polled.
pub(super) struct Executor {
    pub(super) tasks: RefCell<Slab<Slot>>,
    /// First in, first out. Only this thread uses it, so it needs no lock.
    pub(super) ready: RefCell<VecDeque<Arc<TaskWaker>>>,
    /// The same, for wake-ups from other threads.
    remote: Arc<Remote<Arc<TaskWaker>>>,
    next_number: Cell<u64>,
}
// ANCHOR_END: executor

// ANCHOR: waker
/// What is inside a task's `Waker`.
pub(super) struct TaskWaker {
    id: TaskId,
    /// Whether it is in a queue already: woken twice, a task is polled once.
    scheduled: Scheduled,
    /// The way from another thread, or from this one while its loop does not run.
    pub(super) remote: Arc<Remote<Arc<TaskWaker>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.scheduled.set() {
            current::schedule(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.scheduled.set() {
            current::schedule(Arc::clone(self));
        }
    }
}
// ANCHOR_END: waker

// ANCHOR: new
impl Executor {
    pub(super) fn new(remote: Remote<Arc<TaskWaker>>) -> Executor {
        let (tasks, ready) = (RefCell::default(), RefCell::default());
        Executor { tasks, ready, remote: Arc::new(remote), next_number: Cell::new(0) }
    }
    // ANCHOR_END: new

    // ANCHOR: spawn
    /// Puts a task into the table, and into the ready queue: it is polled for the first time when
    /// its place in the queue comes, not here.
    pub(super) fn spawn(&self, task: Task) -> TaskId {
        let mut tasks = self.tasks.borrow_mut();
        let id = self.schedule_new(tasks.vacant_key()).id;
        tasks.insert(Slot { number: id.number, task: Some(task) });
        id
    }
    // ANCHOR_END: spawn

    // ANCHOR: schedule_new
    /// A new waker, in the ready queue. It belongs to a place in the table, or to the future that
    /// `block_on` holds itself, outside of it ([`MAIN`]): it stands in the same queue.
    pub(super) fn schedule_new(&self, place: usize) -> Arc<TaskWaker> {
        let id = TaskId { place, number: self.next_number.get() };
        self.next_number.set(id.number + 1);
        let (scheduled, remote) = (Scheduled::new(), Arc::clone(&self.remote));
        let waker = Arc::new(TaskWaker { id, scheduled, remote });
        self.ready.borrow_mut().push_back(Arc::clone(&waker));
        waker
    }
    // ANCHOR_END: schedule_new

    // ANCHOR: schedule
    /// Queues what was woken on this thread. What belongs to another executor is given back.
    pub(super) fn schedule(&self, woken: Arc<TaskWaker>) -> Result<(), Arc<TaskWaker>> {
        if !Arc::ptr_eq(&self.remote, &woken.remote) {
            return Err(woken);
        }
        self.ready.borrow_mut().push_back(woken);
        Ok(())
    }

    /// Queues what other threads have woken.
    pub(super) fn take_remote(&self) {
        self.remote.take(&mut *self.ready.borrow_mut());
    }
    // ANCHOR_END: schedule

    // ANCHOR: poll
    /// Polls the task that was woken, unless it has ended meanwhile.
    pub(super) fn poll(&self, woken: Arc<TaskWaker>) {
        let id = woken.id;
        let Some(mut task) = self.slot(id).and_then(|mut slot| slot.task.take()) else { return };
        if poll_woken(task.as_mut(), woken).is_ready() {
            self.cancel(id); // it has told its outcome; what is left is its slot
        } else if let Some(mut slot) = self.slot(id) {
            slot.task = Some(task);
        } // else it was cancelled while it ran, by itself or by what it called: dropped here
    }

    fn slot(&self, id: TaskId) -> Option<RefMut<'_, Slot>> {
        let slot = RefMut::filter_map(self.tasks.borrow_mut(), |tasks| tasks.get_mut(id.place));
        slot.ok().filter(|slot| slot.number == id.number)
    }
    // ANCHOR_END: poll

    // ANCHOR: cancel
    /// Cancelling is dropping: takes the task out of the table, and drops it. While it is being
    /// polled it is not there; then it is dropped when that poll returns.
    pub(super) fn cancel(&self, id: TaskId) {
        if self.slot(id).is_some() {
            let slot = self.tasks.borrow_mut().remove(id.place);
            drop(slot); // after the borrow: its drop may use this executor
        }
    }

    /// Drops every task, also those that a drop has spawned. Wakers that are left wake nobody.
    pub(super) fn close(&self) {
        while !self.tasks.borrow().is_empty() {
            drop(self.tasks.take()); // after the borrow
        }
        self.ready.take();
        self.remote.close();
    }
    // ANCHOR_END: cancel
}

// ANCHOR: poll_woken
/// Polls a future with the waker that brought it here.
///
/// The flag is cleared *before* the poll: a wake-up that comes while the future is being polled
/// queues it again, since nobody knows whether the poll has still seen what it was woken for.
pub(super) fn poll_woken<F: Future + ?Sized>(
    future: Pin<&mut F>,
    woken: Arc<TaskWaker>,
) -> Poll<F::Output> {
    woken.scheduled.clear();
    let waker = Waker::from(woken);
    future.poll(&mut Context::from_waker(&waker))
}
// ANCHOR_END: poll_woken

//! Step 1: an executor, and nothing else.
//!
//! A task is a future behind a counted pointer. Its waker is that pointer, and to wake it is to
//! push it into a queue. It has no timers and no descriptors, so tasks can wait for each other and
//! for other threads. A task cannot be cancelled, a panic of one goes through `block_on`, and a
//! runtime that is dropped leaves its tasks behind. It costs a lock for every push, pop and poll,
//! and every future must be `Send`, because the waker that holds it may travel to another thread.
//!
//! `runtime/executor.rs` is step 2. The same tests hold for both (`tests/scheduler.rs`).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

// ANCHOR: executor
// ANCHOR: task
struct Task {
    /// `None` when it has ended: a waker may be called late.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    scheduled: AtomicBool,
    queue: Arc<Queue>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            let queue = Arc::clone(&self.queue);
            lock(&queue.ready).push_back(self);
            queue.filled.notify_one();
        }
    }
}
// ANCHOR_END: task

// ANCHOR: poll
impl Task {
    fn poll(self: &Arc<Self>) {
        self.scheduled.swap(false, Ordering::AcqRel);
        let waker = Waker::from(Arc::clone(self));
        let mut future = lock(&self.future);
        if let Some(running) = &mut *future
            && running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            *future = None;
        }
    }
}
// ANCHOR_END: poll

// ANCHOR: queue
#[derive(Default)]
struct Queue {
    ready: Mutex<VecDeque<Arc<Task>>>,
    filled: Condvar,
}

impl Queue {
    /// Sleeps while nothing is ready, and polls the first that is.
    fn run_one(&self) {
        let empty = |ready: &mut VecDeque<Arc<Task>>| ready.is_empty();
        let ready = self.filled.wait_while(lock(&self.ready), empty);
        let task = ready.unwrap_or_else(PoisonError::into_inner).pop_front();
        task.expect("it was waited for").poll();
    }
}
// ANCHOR_END: queue
// ANCHOR_END: executor

// ANCHOR: lock
/// A task that panicked leaves its lock poisoned. What it guards is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
// ANCHOR_END: lock

// ANCHOR: current
thread_local! {
    static CURRENT: RefCell<Option<Arc<Queue>>> = const { RefCell::new(None) };
}
// ANCHOR_END: current

// ANCHOR: runtime
/// A queue of tasks, and the thread that calls `block_on`.
#[derive(Default)]
pub struct Runtime {
    queue: Arc<Queue>,
}

impl Runtime {
    /// A runtime without a task.
    pub fn new() -> Runtime {
        Runtime::default()
    }

    /// Polls tasks until `future`, which is one of them, is ready.
    ///
    /// # Panics
    ///
    /// With the panic of any task.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        CURRENT.set(Some(Arc::clone(&self.queue)));
        let main = spawn(future);
        loop {
            if let Some(output) = lock(&main.shared).output.take() {
                return output;
            }
            self.queue.run_one();
        }
    }
}

/// Makes a task of `future`, in the runtime whose `block_on` ran last on this thread.
///
/// # Panics
///
/// When there is none.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let queue = CURRENT.with_borrow(Clone::clone).expect("call this inside of `block_on`");
    let shared = Arc::new(Mutex::new(Outcome { output: None, joiner: None }));
    let handle = JoinHandle { shared: Arc::clone(&shared) };
    let future = async move {
        let output = future.await;
        let mut outcome = lock(&shared);
        outcome.output = Some(output);
        let joiner = outcome.joiner.take();
        drop(outcome);
        joiner.into_iter().for_each(Waker::wake);
    };
    let future = Mutex::new(Some(Box::pin(future) as Pin<Box<_>>));
    let task = Task { future, scheduled: AtomicBool::new(true), queue: Arc::clone(&queue) };
    lock(&queue.ready).push_back(Arc::new(task));
    handle
}
// ANCHOR_END: runtime

// ANCHOR: join_handle
/// The right to wait for a task's output.
pub struct JoinHandle<T> {
    shared: Arc<Mutex<Outcome<T>>>,
}

struct Outcome<T> {
    output: Option<T>,
    joiner: Option<Waker>,
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut outcome = lock(&self.shared);
        match outcome.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                outcome.joiner = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
// ANCHOR_END: join_handle

// ANCHOR: debug
impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("ready", &lock(&self.queue.ready).len()).finish()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}
// ANCHOR_END: debug

//! What comes back from a task: its output, its panic, or the news that it was cancelled.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::Core;
use super::executor::TaskId;

// ANCHOR: join_error
/// Why a task has no output.
#[derive(Debug)]
pub enum JoinError {
    /// It was aborted, or its runtime was dropped.
    Cancelled,
    /// It panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}
// ANCHOR_END: join_error

// ANCHOR: join_error_rest
impl JoinError {
    /// The task was aborted, or its runtime was dropped.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinError::Cancelled => "the task was cancelled",
            JoinError::Panicked(_) => "the task panicked",
        })
    }
}

impl std::error::Error for JoinError {}
// ANCHOR_END: join_error_rest

// ANCHOR: outcome
/// What became of a task: the task leaves it here, and its handle finds it.
struct Outcome<T>(Cell<State<T>>);

enum State<T> {
    /// Not yet; and who is to be woken then.
    Running(Option<Waker>),
    Ended(Result<T, JoinError>),
    /// The handle has taken it.
    Taken,
}
// ANCHOR_END: outcome

// ANCHOR: spawned
pin_project! {
    /// A future and its outcome: what the executor owns as a task.
    ///
    /// It is dropped without an outcome when it is cancelled, and says so then.
    struct Spawned<F: Future> {
        #[pin]
        future: Option<F>,
        outcome: Rc<Outcome<F::Output>>,
    }

    impl<F: Future> PinnedDrop for Spawned<F> {
        fn drop(this: Pin<&mut Self>) {
            if this.future.is_some() {
                this.end(Err(JoinError::Cancelled));
            }
        }
    }
}
// ANCHOR_END: spawned

// ANCHOR: poll_spawned
impl<F: Future> Future for Spawned<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let future = self.as_mut().project().future.as_pin_mut();
        let future = future.expect("a task that has ended is not polled again");
        let result = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(output) => Ok(ready!(output)),
            Err(panic) => Err(JoinError::Panicked(panic)),
        };
        self.end(result);
        Poll::Ready(())
    }
}

impl<F: Future> Spawned<F> {
    /// First drops the future, then tells: whoever is told finds its sockets closed. A panic of
    /// that drop, too, reaches the handle and nobody else.
    fn end(self: Pin<&mut Self>, result: Result<F::Output, JoinError>) {
        let mut this = self.project();
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        let outcome = this.outcome;
        let tell = |result| match Rc::strong_count(outcome) {
            1 => drop(result), // there is no handle any more
            _ => match outcome.0.replace(State::Ended(result)) {
                State::Running(joiner) => joiner.into_iter().for_each(Waker::wake),
                State::Ended(_) | State::Taken => {}
            },
        };
        // The output may be dropped in here, unwanted or in favour of a panic. Even that may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| match dropped {
            Ok(()) => tell(result),
            Err(panic) => {
                tell(Err(JoinError::Panicked(panic)));
                drop(result);
            }
        }));
    }
}
// ANCHOR_END: poll_spawned

// ANCHOR: join_handle
/// The right to wait for a task, and to abort it.
///
/// Dropped, it lets the task go on: the task is detached, as with tokio and as with a thread.
/// (asyncio cancels nothing either, but it keeps its tasks weakly and may lose them.)
pub struct JoinHandle<T> {
    outcome: Rc<Outcome<T>>,
    task: TaskId,
    core: Weak<Core>,
}

impl<T> JoinHandle<T> {
    // ANCHOR: abort
    /// Drops the task's future, here and now; if the task is what runs, when its poll returns. What
    /// has ended already is not changed by it.
    pub fn abort(&self) {
        if let Some(core) = self.core.upgrade() {
            core.executor.cancel(self.task);
        }
    }
    // ANCHOR_END: abort

    /// Whether the task has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        let state = self.outcome.0.replace(State::Taken);
        let finished = !matches!(state, State::Running(_));
        self.outcome.0.set(state);
        finished
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// What became of the task.
    ///
    /// # Panics
    ///
    /// When it is polled again after it was ready: the output was given away.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.outcome.0.replace(State::Taken) {
            State::Ended(result) => Poll::Ready(result),
            State::Taken => panic!("this JoinHandle was polled after it was ready"),
            State::Running(_) => {
                let joiner = cx.waker().clone(); // the newest counts
                self.outcome.0.set(State::Running(Some(joiner)));
                Poll::Pending
            }
        }
    }
}
// ANCHOR_END: join_handle

// ANCHOR: spawn
/// Makes a task of a future.
pub(super) fn spawn<F: Future + 'static>(core: &Rc<Core>, future: F) -> JoinHandle<F::Output> {
    let outcome = Rc::new(Outcome(Cell::new(State::Running(None))));
    let spawned = Spawned { future: Some(future), outcome: Rc::clone(&outcome) };
    let task = core.executor.spawn(Box::pin(spawned));
    JoinHandle { outcome, task, core: Rc::downgrade(core) }
}
// ANCHOR_END: spawn

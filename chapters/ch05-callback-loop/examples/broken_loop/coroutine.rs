//! Coroutines as lists of steps, futures, and what a loop does for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::PipeReader;
use std::rc::Rc;
use std::time::Duration;

/// Why a coroutine stops.
pub(crate) enum Step {
    Await(Future),
    Yield,
    Return(u32),
    Raise(&'static str),
}

/// What it does from one stop to the next.
pub(crate) type Steps = VecDeque<Box<dyn FnOnce() -> Step>>;

pub(crate) type Outcome = Result<u32, Raised>;

/// An exception.
pub(crate) type Raised = &'static str;

/// Has an outcome at some time, and calls back then.
#[derive(Clone, Default)]
pub(crate) struct Future(Rc<RefCell<(Option<Outcome>, DoneCallbacks)>>);

type DoneCallbacks = Vec<Box<dyn FnOnce()>>;

pub(crate) struct Task {
    steps: RefCell<Steps>,
    pub(crate) future: Future,
}

impl Future {
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.0.borrow().0
    }

    /// Calls nobody back.
    pub(crate) fn store(&self, outcome: Outcome) {
        self.0.borrow_mut().0 = Some(outcome);
    }

    pub(crate) fn set(&self, outcome: Outcome) {
        self.store(outcome);
        let callbacks = std::mem::take(&mut self.0.borrow_mut().1);
        callbacks.into_iter().for_each(|callback| callback());
    }

    pub(crate) fn add_done_callback(&self, callback: impl FnOnce() + 'static) {
        match self.outcome() {
            Some(_) => callback(),
            None => self.0.borrow_mut().1.push(Box::new(callback)),
        }
    }
}

impl Task {
    pub(crate) fn new(steps: Steps) -> Rc<Task> {
        Rc::new(Task { steps: RefCell::new(steps), future: Future::default() })
    }

    pub(crate) fn resume(&self) -> Step {
        let step = self.steps.borrow_mut().pop_front();
        step.map_or(Step::Return(0), |step| step())
    }
}

/// What a coroutine can ask of its loop.
pub(crate) trait Loop {
    fn run_until_complete(&self, steps: Steps) -> Result<Option<u32>, Raised>;
    fn create_task(&self, steps: Steps) -> Future;
    fn sleep(&self, delay: Duration) -> Future;
    fn readable(&self, pipe: Rc<PipeReader>) -> Future;
    /// A future that another thread sets.
    fn remote(&self) -> (Future, Box<dyn FnOnce(u32) + Send>);
}

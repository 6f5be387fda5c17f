//! The loop of the text.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::PipeReader;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::coroutine::{Future, Loop, Raised, Step, Steps, Task};

// ANCHOR: broken
/// BROKEN: the loop of the text. `task` and `calculate_timeout` are what it uses and never defines.
#[derive(Default)]
pub(crate) struct Broken {
    pub(crate) ready: Rc<RefCell<VecDeque<Rc<Task>>>>,
    pub(crate) scheduled: Vec<Future>,
    pub(crate) selector: RefCell<Vec<(Rc<PipeReader>, Future)>>,
    pub(crate) task: Option<fn(Steps) -> Rc<Task>>,
    pub(crate) calculate_timeout: Option<fn() -> i64>,
}

impl Broken {
    fn run(&self, steps: Steps) -> Result<Option<u32>, Raised> {
        let task = self.task.ok_or("NameError: Task")?(steps);
        self.ready.borrow_mut().push_back(task);
        while !self.ready.borrow().is_empty() || !self.scheduled.is_empty() {
            // 1. run a task that is ready
            let task = self.ready.borrow_mut().pop_front();
            if let Some(task) = task {
                self.run_one_task(task)?;
            }
            // 2. wait for input and output
            let timeout = self.calculate_timeout.ok_or("AttributeError: _calculate_timeout")?();
            if timeout > 0 {
                for future in self.select(timeout) {
                    future.set(Ok(0));
                }
            }
        }
        Ok(None)
    }

    fn run_one_task(&self, task: Rc<Task>) -> Result<(), Raised> {
        match task.resume() {
            Step::Await(future) => {
                let ready = Rc::clone(&self.ready);
                future.add_done_callback(move || ready.borrow_mut().push_back(task));
            }
            Step::Yield => return Err("AttributeError: None has no add_done_callback"),
            Step::Return(value) => task.future.store(Ok(value)),
            Step::Raise(error) => return Err(error),
        }
        Ok(())
    }
    // ANCHOR_END: broken

    fn select(&self, timeout: i64) -> Vec<Future> {
        let interests = self.selector.borrow();
        let mut polled: Vec<_> =
            interests.iter().map(|(pipe, _)| PollFd::new(pipe, PollFlags::IN)).collect();
        let timeout = Timespec { tv_sec: timeout, tv_nsec: 0 };
        poll(&mut polled, Some(&timeout)).expect("poll(2) of our own pipes works");
        let is_ready = polled.iter().map(|polled| !polled.revents().is_empty());
        let ready = interests.iter().zip(is_ready).filter(|(_, is_ready)| *is_ready);
        ready.map(|((_, future), _)| future.clone()).collect()
    }
}

impl Loop for Broken {
    fn run_until_complete(&self, steps: Steps) -> Result<Option<u32>, Raised> {
        self.run(steps)
    }

    fn create_task(&self, steps: Steps) -> Future {
        let task = Task::new(steps);
        self.ready.borrow_mut().push_back(Rc::clone(&task));
        task.future.clone()
    }

    fn sleep(&self, _delay: Duration) -> Future {
        Future::default() // nothing in the text puts anything into `scheduled`
    }

    fn readable(&self, pipe: Rc<PipeReader>) -> Future {
        let future = Future::default();
        self.selector.borrow_mut().push((pipe, future.clone()));
        future
    }

    fn remote(&self) -> (Future, Box<dyn FnOnce(u32) + Send>) {
        let (queue, _nobody_looks) = mpsc::channel();
        let send = move |value| {
            let _ = queue.send(value);
        };
        (Future::default(), Box::new(send))
    }
}

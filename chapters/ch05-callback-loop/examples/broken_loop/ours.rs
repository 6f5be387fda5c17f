//! The same tasks on this chapter's loop.

use std::io::PipeReader;
use std::rc::Rc;
use std::time::Duration;

use ch05_callback_loop::EventLoop;

use crate::coroutine::{Future, Loop, Raised, Step, Steps, Task};

// ANCHOR: ours
/// The same on this chapter's loop.
pub(crate) struct Ours(pub(crate) Rc<EventLoop>);

fn step(event_loop: Rc<EventLoop>, task: Rc<Task>) {
    match task.resume() {
        Step::Await(future) => future.add_done_callback(move || soon(event_loop, task)),
        Step::Yield => soon(event_loop, task),
        Step::Return(value) => task.future.set(Ok(value)),
        Step::Raise(error) => task.future.set(Err(error)),
    }
}

fn soon(event_loop: Rc<EventLoop>, task: Rc<Task>) {
    event_loop.clone().call_soon(move |_| step(event_loop, task));
}

impl Loop for Ours {
    fn run_until_complete(&self, steps: Steps) -> Result<Option<u32>, Raised> {
        let (event_loop, task) = (Rc::clone(&self.0), self.create_task(steps));
        task.add_done_callback(move || event_loop.stop());
        self.0.run_forever().expect("poll(2) of our own pipes works");
        task.outcome().transpose()
    }

    fn create_task(&self, steps: Steps) -> Future {
        let task = Task::new(steps);
        soon(Rc::clone(&self.0), Rc::clone(&task));
        task.future.clone()
    }

    fn sleep(&self, delay: Duration) -> Future {
        let (future, set) = both();
        self.0.call_later(delay, move |_| set.set(Ok(0)));
        future
    }

    fn readable(&self, pipe: Rc<PipeReader>) -> Future {
        let (future, set) = both();
        self.0.add_reader(pipe, move |event_loop, handle| {
            event_loop.cancel(handle);
            set.set(Ok(0));
        });
        future
    }

    fn remote(&self) -> (Future, Box<dyn FnOnce(u32) + Send>) {
        let (future, set) = both();
        let lost = "the other thread is gone";
        let call = self.0.call_soon_threadsafe(move |_, value: Option<u32>| {
            set.set(value.ok_or(lost));
        });
        (future, Box::new(move |value| call.call(value)))
    }
}
// ANCHOR_END: ours

fn both() -> (Future, Future) {
    let future = Future::default();
    (future.clone(), future)
}

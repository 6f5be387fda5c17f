//! Which runtime runs on this thread: how `spawn` and `sleep` find it without being given it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::Core;
use super::executor::TaskWaker;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

// ANCHOR: core
/// The runtime that runs on this thread.
///
/// # Panics
///
/// When there is none: outside of `block_on`, on another thread, or on another runtime's executor.
#[track_caller]
pub(super) fn core() -> Rc<Core> {
    CURRENT.with_borrow(Option::clone).unwrap_or_else(|| {
        panic!("no ch07 runtime runs on this thread: call this inside of its `Runtime::block_on`")
    })
}
// ANCHOR_END: core

// ANCHOR: enter
/// While it lives, this runtime is the current one.
pub(super) struct Entered {
    previous: Option<Rc<Core>>,
}

/// At the end of a thread there is no CURRENT any more, and a runtime may still be dropped.
pub(super) fn enter(core: &Rc<Core>) -> Entered {
    let previous = CURRENT.try_with(|current| current.replace(Some(Rc::clone(core))));
    Entered { previous: previous.ok().flatten() }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.replace(self.previous.take()));
    }
}

pub(super) fn is_running() -> bool {
    CURRENT.with_borrow(Option::is_some)
}
// ANCHOR_END: enter

// ANCHOR: schedule
/// Queues what was woken: on its own thread without a lock, from elsewhere through the queue that
/// ends the loop's sleep.
pub(super) fn schedule(woken: Arc<TaskWaker>) {
    let mut elsewhere = Some(woken);
    // There is no CURRENT at the end of a thread, and a destructor may still wake.
    let _ = CURRENT.try_with(|current| {
        if let Some(core) = &*current.borrow() {
            elsewhere = elsewhere.take().and_then(|woken| core.executor.schedule(woken).err());
        }
    });
    if let Some(woken) = elsewhere {
        Arc::clone(&woken.remote).push(woken);
    }
}
// ANCHOR_END: schedule

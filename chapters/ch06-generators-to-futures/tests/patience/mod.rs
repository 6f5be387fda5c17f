//! For tests of what may hang if it is wrong.

use std::panic;
use std::sync::mpsc;
use std::thread;

use lab::inside::PATIENCE;

/// Runs what may hang if it is wrong, so that then the test fails.
#[track_caller]
pub(crate) fn within_patience(work: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _ended = ended; // dropped at the end, also by a panic
        work();
    });
    assert_ne!(end.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Timeout), "it hangs");
    if let Err(panic) = thread.join() {
        panic::resume_unwind(panic);
    }
}

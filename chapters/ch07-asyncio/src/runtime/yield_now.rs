//! Giving the thread back without waiting for anything.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;

// ANCHOR: yield_now
/// Lets everything that is ready be polled first.
///
/// It wakes its own task and is pending once. So the task goes to the end of the ready queue.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
// ANCHOR_END: yield_now

//! Two tasks, and the first of them to end.

use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::Poll;

use crate::runtime::{JoinError, JoinHandle, spawn};

// ANCHOR: first_to_end
/// Runs both as tasks of their own, and returns what the first of them to end returns. The other
/// one is cancelled: a future that waits can be dropped, which a thread that waits cannot. So are
/// both, when this is dropped.
///
/// # Panics
///
/// When the first to end panicked: with its panic.
pub(crate) async fn first_to_end(
    one: impl Future<Output = io::Result<()>> + 'static,
    other: impl Future<Output = io::Result<()>> + 'static,
) -> io::Result<()> {
    let (mut one, mut other) = (Aborted(spawn(one)), Aborted(spawn(other)));
    let first = poll_fn(|cx| match Pin::new(&mut one.0).poll(cx) {
        Poll::Pending => Pin::new(&mut other.0).poll(cx),
        ended => ended,
    });
    first.await.unwrap_or_else(|error| match error {
        JoinError::Panicked(panic) => resume_unwind(panic),
        JoinError::Cancelled => Err(io::Error::other("a task was cancelled before its end")),
    })
}

/// A task that does not outlive its handle.
struct Aborted(JoinHandle<io::Result<()>>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}
// ANCHOR_END: first_to_end

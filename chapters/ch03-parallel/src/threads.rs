//! Two threads, and the first of them to end.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

// ANCHOR: first_to_end
/// Runs both on threads of their own, and returns what the first of them to end returns.
///
/// The other one is not stopped, because it cannot be: nothing interrupts a thread that is blocked
/// in a read. It is left alone, and it ends with the process when `main` returns.
///
/// # Panics
///
/// When the first to end panicked: with its panic.
pub(crate) fn first_to_end(
    one: impl FnOnce() -> io::Result<()> + Send + 'static,
    other: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let (ended, first) = mpsc::channel();
    start(one, ended.clone())?;
    start(other, ended)?;
    let result = first.recv().expect("each thread sends when it ends, also when it panics");
    result.unwrap_or_else(|panic| panic::resume_unwind(panic))
}
// ANCHOR_END: first_to_end

// ANCHOR: start
fn start(
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ended: mpsc::Sender<thread::Result<io::Result<()>>>,
) -> io::Result<()> {
    // Builder, because thread::spawn panics where the system refuses another thread.
    thread::Builder::new().spawn(move || {
        let result = panic::catch_unwind(AssertUnwindSafe(work));
        let _ = ended.send(result); // nobody listens any more to the second to end
    })?;
    Ok(())
}
// ANCHOR_END: start

// ANCHOR: sleep_until
/// Blocks this thread, and no other, until the deadline has passed.
pub(crate) fn sleep_until(deadline: Instant) {
    thread::sleep(deadline.saturating_duration_since(Instant::now()));
}
// ANCHOR_END: sleep_until

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_returns_what_the_first_returns_and_leaves_the_other_blocked() {
        let (never, silence) = mpsc::channel::<()>();
        let result = first_to_end(
            move || silence.recv().map_err(io::Error::other),
            || Err(io::Error::other("the first to end")),
        );
        assert_eq!(result.expect_err("the second ended first").to_string(), "the first to end");
        drop(never);
    }

    #[test]
    fn a_panic_reaches_the_caller_while_the_other_is_blocked() {
        let (never, silence) = mpsc::channel::<()>();
        let panic = panic::catch_unwind(|| {
            first_to_end(|| panic!("in a thread"), move || silence.recv().map_err(io::Error::other))
        })
        .expect_err("the panic is passed on");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"in a thread"));
        drop(never);
    }

    #[test]
    fn sleep_until_never_returns_early() {
        let deadline = Instant::now() + std::time::Duration::from_millis(3);
        sleep_until(deadline);
        assert!(Instant::now() >= deadline);
        sleep_until(deadline); // what has passed is not waited for
    }
}

//! How long this thread, or this process, has had a CPU. The clocks of the system: exact to less
//! than a microsecond, where what /proc counts may be a tick old.

use std::io;
use std::time::Duration;

/// Of the calling thread, since its start.
///
/// # Errors
///
/// Where the system is no Unix.
pub fn of_thread() -> io::Result<Duration> {
    clock(Whose::Thread)
}

/// Of all threads of this process, those that have ended included.
///
/// # Errors
///
/// Where the system is no Unix.
pub fn of_process() -> io::Result<Duration> {
    clock(Whose::Process)
}

enum Whose {
    Thread,
    Process,
}

#[cfg(unix)]
fn clock(whose: Whose) -> io::Result<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    let id = match whose {
        Whose::Thread => ClockId::ThreadCPUTime,
        Whose::Process => ClockId::ProcessCPUTime,
    };
    Duration::try_from(clock_gettime(id)).map_err(io::Error::other)
}

#[cfg(not(unix))]
fn clock(_: Whose) -> io::Result<Duration> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use std::hint::black_box;
    use std::thread;

    use super::*;

    #[test]
    fn what_a_thread_computes_counts_for_it_and_for_its_process() {
        const WORK: Duration = Duration::from_millis(5);

        let (mine, all) = (of_thread(), of_process());
        let computing = thread::spawn(|| {
            while of_thread().expect("it is a Unix") < WORK {
                black_box(fib_timing::fib(black_box(20)));
            }
        });
        computing.join().expect("fib does not panic");
        let grown = |before: io::Result<Duration>, now: io::Result<Duration>| {
            now.expect("it is a Unix") - before.expect("it is a Unix")
        };
        let (mine, all) = (grown(mine, of_thread()), grown(all, of_process()));
        assert!(all >= WORK, "{all:?}");
        assert!(mine < all, "this thread has waited: {mine:?} of {all:?}");
    }
}

//! How long this thread has had a CPU.

use std::time::Duration;

/// `None` where the system does not say.
#[cfg(unix)]
pub(crate) fn on_cpu() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}

/// `None` where the system does not say.
#[cfg(not(unix))]
pub(crate) fn on_cpu() -> Option<Duration> {
    None
}

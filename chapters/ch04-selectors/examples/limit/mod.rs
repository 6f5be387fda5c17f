//! How many descriptors this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows as many as may be had without asking anybody, to this process and to those that it
/// starts, and says how many.
pub(crate) fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, ..limit };
    let allowed = if setrlimit(Resource::Nofile, most).is_ok() { most } else { limit };
    allowed.current.and_then(|number| number.try_into().ok()).unwrap_or(usize::MAX)
}

//! Every limit of the server, with its name and what it is unless an option says otherwise.

use std::time::Duration;

// ANCHOR: limits
/// How long a client may take for the head of a request, and how long a connection may be idle
/// between two of them. hyper has one clock for both.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may take for the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a handler may take, queues included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a client may take none of the bytes that are written to it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long what runs may go on after the server was told to end.
pub const GRACE: Duration = Duration::from_secs(10);
/// The longest body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// The longest head of a request, in bytes. hyper answers a longer one with 431.
pub const HEAD_MAX: usize = 16 * 1024;
/// How many blocking handlers run at once: as many as in Starlette.
pub const POOL_TOKENS: usize = 40;
/// How long a listener rests after an `accept` for which there was no descriptor.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long, and for how many bytes, a client may go on sending after our last answer.
pub const LINGER_TIME: Duration = Duration::from_secs(2);
/// See [`LINGER_TIME`].
pub const LINGER_BYTES: usize = 4 * BODY_MAX;
// ANCHOR_END: limits

/// The limits that an option can change.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// See [`HEADER_TIMEOUT`].
    pub header_timeout: Duration,
    /// See [`BODY_TIMEOUT`].
    pub body_timeout: Duration,
    /// See [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// See [`WRITE_TIMEOUT`].
    pub write_timeout: Duration,
    /// See [`GRACE`].
    pub grace: Duration,
    /// See [`BODY_MAX`].
    pub body_max: usize,
    /// How many requests may be in progress at once. The next one is answered with 503.
    pub concurrency: usize,
    /// A client that has closed its direction still gets its answer. Then nobody notices when a
    /// client leaves, since that begins in the same way.
    pub half_close: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_timeout: HEADER_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            grace: GRACE,
            body_max: BODY_MAX,
            concurrency: usize::MAX,
            half_close: false,
        }
    }
}

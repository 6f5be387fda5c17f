//! A web server: where does each kind of work belong?
//!
//! The two promises of the earlier chapters come back under their professional names. Hello is the
//! heartbeat ([`heartbeat`]), a typed line is a request, fib is the CPU work in a handler, and a
//! silent input is an idle connection. tokio polls, hyper speaks HTTP, and what is written here is
//! what no library decides for you: which handler runs on the loop, which on a thread, which on a
//! core, and what is limited.
//!
//! - `app`: a route is a function, and its kind says where it runs.
//! - `pool`, `cores`, `processes`: the three places beside the loop.
//! - `server`: accept, serve, end; every limit has a name in `limits`.
//! - `workers`: several processes that share one listener.

#![forbid(unsafe_code)]

mod answer;
mod app;
mod background;
mod cores;
pub mod heartbeat;
pub mod limits;
pub mod options;
mod patient;
mod pool;
mod processes;
mod program;
mod request;
mod routes;
mod server;
mod signals;
mod stats;
#[cfg(feature = "users")]
mod users;
#[cfg(unix)]
mod workers;

pub use answer::{Answer, Body, Refusal, Response, json};
pub use app::{App, IntoRoute, Loop, Pool, Route};
pub use background::Background;
pub use cores::Cores;
pub use limits::Limits;
pub use pool::BlockingPool;
pub use processes::{FIB_WORKER, Processes, serve_fib};
pub use program::run;
pub use request::Request;
pub use routes::{Places, SECONDS_MAX, events, routes};
pub use server::{Ended, serve};
pub use stats::{STALL_MIN, Stats};

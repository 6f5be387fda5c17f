//! This chapter's server beside axum, bare hyper, and FastAPI on uvicorn: the shapes of the three
//! pings, and what a request and an idle connection cost.
//!
//! Each server is one process with one loop, on a port of its own, and each is measured in the same
//! way. Predict which of the shapes depend on the language, and which figures.
//!
//! ```text
//! chapters/ch08-web-server/peers/run             everything, some minutes
//! chapters/ch08-web-server/peers/run --quick     the same with fewer rounds
//! chapters/ch08-web-server/peers/run --check     does each shape hold? the status is 1 where not
//! chapters/ch08-web-server/peers/run pings       one part: pings or costs
//! ```
//!
//! `run` builds this program and installs FastAPI. Two tables are printed on standard output; what
//! is being done is said on standard error.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod costs;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
#[path = "../../examples/ping_lab/measure.rs"]
mod measure;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod pings;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod shapes;
#[cfg(target_os = "linux")]
mod table;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not judged: this needs /proc, which is Linux's");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    report::everything()
}

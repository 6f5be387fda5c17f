//! What the runtime promises beyond its scheduler (`scheduler.rs`), part by part.

mod instruments;

#[path = "runtime/blocking.rs"]
mod blocking;
#[path = "runtime/cancellation.rs"]
mod cancellation;
#[path = "runtime/channels.rs"]
mod channels;
#[path = "runtime/fairness.rs"]
mod fairness;
#[path = "runtime/lifetime.rs"]
mod lifetime;
#[path = "runtime/notify.rs"]
mod notify;
#[path = "runtime/panics.rs"]
mod panics;
#[path = "runtime/timers.rs"]
mod timers;

use ch07_asyncio::runtime::Runtime;

fn runtime() -> Runtime {
    Runtime::new().expect("a descriptor is free")
}

/// Runs a future, and says so if it hangs.
fn run<F: Future<Output: Send> + 'static>(
    program: impl FnOnce() -> F + Send + 'static,
) -> F::Output {
    instruments::watched(|| runtime().block_on(program()))
}

//! The executor of the runtime. Its futures need not be `Send`, and its handles tell of panics.

use std::pin::Pin;
use std::task::{Context, Poll};

use ch07_asyncio::runtime::{self, JoinHandle, Runtime};

use super::instruments::watched;

#[expect(clippy::duplicate_mod, reason = "both steps pass the same tests")]
#[path = "cases.rs"]
mod cases;

fn run<F: Future<Output: Send> + 'static>(
    program: impl FnOnce() -> F + Send + 'static,
) -> F::Output {
    watched(|| Runtime::new().expect("a descriptor is free").block_on(program()))
}

/// A handle with an output as in step 1.
struct Joined<T>(JoinHandle<T>);

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.expect("no task of these tests panics"))
    }
}

fn spawn<F: Future + 'static>(future: F) -> Joined<F::Output> {
    Joined(runtime::spawn(future))
}

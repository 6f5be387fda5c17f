//! The executor in a few lines. Its futures must be `Send`.

use ch07_asyncio::step1::{Runtime, spawn};

use super::instruments::watched;

#[expect(clippy::duplicate_mod, reason = "both steps pass the same tests")]
#[path = "cases.rs"]
mod cases;

fn run<F>(program: impl FnOnce() -> F + Send + 'static) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    watched(|| Runtime::new().block_on(program()))
}

//! Threads for what blocks, behind a limiter.
//!
//! tokio lends a thread to whatever blocks, up to 512 of them. That is no limit for a database or
//! for the memory of a machine. So a handler first takes one of a few tokens, and waits for one
//! without a thread. Starlette does the same, with 40 tokens.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

// ANCHOR: pool
/// A limited number of threads for what blocks. A clone is the same pool.
#[derive(Debug, Clone)]
pub struct BlockingPool {
    tokens: Arc<Semaphore>,
    size: usize,
    waiting: Arc<AtomicUsize>,
}
// ANCHOR_END: pool

// ANCHOR: new
impl BlockingPool {
    /// A pool in which `size` functions run at once.
    pub fn new(size: usize) -> BlockingPool {
        BlockingPool { tokens: Arc::new(Semaphore::new(size)), size, waiting: Arc::default() }
    }
    // ANCHOR_END: new

    // ANCHOR: run
    /// Waits for a token, and then for `function` on a thread.
    ///
    /// Dropped while it waits for a token, it never calls `function`. Dropped later, it stops
    /// nothing: the thread goes on, and gives the token back when it is done.
    ///
    /// # Errors
    ///
    /// The payload of the panic, when `function` panics.
    ///
    /// # Panics
    ///
    /// When the runtime has ended.
    pub async fn run<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Box<dyn Any + Send>> {
        let token = {
            let _waiting = Counted::new(&self.waiting);
            let token = Arc::clone(&self.tokens).acquire_owned().await;
            token.expect("nobody closes the semaphore")
        };
        // The token travels with what the thread returns: it is free when that has arrived here, or
        // when the thread is done and nobody listens any more.
        let answered = spawn_blocking(move || (function(), token));
        answered.await.map(|(value, _token)| value).map_err(|error| error.into_panic())
    }
    // ANCHOR_END: run

    // ANCHOR: counts
    /// How many functions run at once, at most.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many tokens are taken now.
    pub fn taken(&self) -> usize {
        self.size - self.tokens.available_permits()
    }

    /// How many callers wait for a token now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One more, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Counted<'_> {
    fn new(count: &AtomicUsize) -> Counted<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
// ANCHOR_END: counts

//! Threads for what computes: as many as there are cores.
//!
//! More threads than cores finish nothing sooner, and fewer answers are finished at any time. So
//! this pool has a queue, and its length is the number of questions that wait for a core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// A rayon pool, asked from tasks. A clone is the same pool.
#[derive(Debug, Clone)]
pub struct Cores(Arc<ThreadPool>);

impl Cores {
    /// A pool of `size` threads.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn new(size: usize) -> Result<Cores, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new().num_threads(size);
        pool.thread_name(|number| format!("core-{number}"))
            .build()
            .map(|pool| Cores(Arc::new(pool)))
    }

    // ANCHOR: compute
    /// Waits for a core, and then for `function` on it.
    ///
    /// Dropped while the question stands in the queue, it is not computed. Dropped later, it stops
    /// nothing: nobody can take a core away from a function.
    ///
    /// # Errors
    ///
    /// The payload of the panic, when `function` panics.
    pub async fn compute<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> thread::Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.0.spawn(move || {
            if !sender.is_closed() {
                let _ = sender.send(catch_unwind(AssertUnwindSafe(function)));
            }
        });
        receiver.await.expect("the pool calls what it was given while somebody waits for it")
    }
    // ANCHOR_END: compute

    /// How many threads there are.
    pub fn size(&self) -> usize {
        self.0.current_num_threads()
    }
}

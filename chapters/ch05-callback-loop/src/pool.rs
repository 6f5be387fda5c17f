//! Threads that compute beside the loop.

use std::io;
use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take jobs from one queue, first in, first out.
///
/// The threads end when the last clone of the pool is dropped and the queue is empty. Nobody waits
/// for them: a job cannot be interrupted.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    jobs: mpsc::Sender<Job>,
}

impl Pool {
    pub(crate) fn new(workers: NonZero<usize>) -> io::Result<Pool> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..workers.get() {
            let queue = Arc::clone(&queue);
            thread::Builder::new().spawn(move || work(&queue))?;
        }
        Ok(Pool { jobs })
    }

    /// Puts a job at the end of the queue. Never blocks.
    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.send(Box::new(job)).expect("the threads hold the other end as long as we do");
    }
}

// ANCHOR: work
fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // The lock is held while this thread waits for a job: the others wait for the lock.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A job that panics says so on standard error and must not take its thread with it.
        let _ = panic::catch_unwind(AssertUnwindSafe(job));
    }
}
// ANCHOR_END: work

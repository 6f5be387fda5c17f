//! What blocks goes to a thread of its own: a bounded pool, and a thread that reads.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::channel::{Receiver, channel};
use super::join::JoinHandle;
use super::{current, spawn};

/// How long a thread of the pool waits for a job before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Why the pool's lock is never poisoned: jobs run outside of it.
const NEVER_POISONED: &str = "nobody panics while holding this lock";

/// How much one read of a reading thread takes at most, in bytes.
const CHUNK: usize = 4096;

// ANCHOR: pool
type Job = Box<dyn FnOnce() + Send>;

/// Threads that run jobs, started as they are needed, up to a limit. Beyond it jobs wait.
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    threads_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}
// ANCHOR_END: pool

// ANCHOR: run
impl Pool {
    pub(super) fn new(threads_max: usize) -> Pool {
        Pool(Arc::new(Shared { threads_max, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// # Panics
    ///
    /// When there is no thread and the system gives none.
    fn run(&self, job: Job) {
        let mut state = self.0.lock();
        state.jobs.push_back(job);
        self.0.changed.notify_one();
        // A thread that is called but not yet back still counts as idle, and its job as waiting.
        if state.jobs.len() <= state.idle || state.threads == self.0.threads_max {
            return;
        }
        state.threads += 1;
        drop(state);
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("blocking".into());
        if let Err(error) = thread.spawn(move || shared.work()) {
            let mut state = self.0.lock();
            state.threads -= 1;
            let threads = state.threads;
            drop(state); // or a panic would poison the lock
            assert!(threads > 0, "no thread for blocking work: {error}");
        }
    }

    /// Jobs that nobody has begun are dropped. A job that runs cannot be stopped; its thread ends
    /// after it, and nobody waits for that.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let jobs = mem::take(&mut state.jobs);
        drop(state);
        self.0.changed.notify_all();
        for job in jobs {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(job))); // its drop may do anything
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NEVER_POISONED)
    }

    /// One thread of the pool.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.changed.wait_timeout(state, KEEP_ALIVE).expect(NEVER_POISONED);
            state = waited.0;
            state.idle -= 1;
            if waited.1.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}
// ANCHOR_END: run

// ANCHOR: spawn_blocking
/// Runs `work` on a thread of the runtime's pool, where it may block or compute for as long as it
/// likes. While every thread of the pool is busy, it waits.
///
/// Aborting the handle gives up the waiting only: nothing interrupts a thread.
///
/// # Panics
///
/// Outside of a runtime; and when the pool has no thread, and the system gives it none.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let (done, mut result) = channel(1);
    current::core().pool.run(Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // If nobody waits any more the result is dropped here, and even that may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(done.try_send(result))));
    }));
    spawn(async move {
        let result = result.recv().await.expect("the pool drops no job before its runtime ends");
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
}
// ANCHOR_END: spawn_blocking

// ANCHOR: reader
/// An input that a thread of its own reads.
///
/// For what cannot be waited for in any other way: a regular file, a console of Windows, a standard
/// input that must not be made non-blocking since others share it. The thread is at most two chunks
/// ahead. Nothing can stop a read that has begun, so the thread ends at its next chunk after this
/// is dropped, or with the process.
#[derive(Debug)]
pub struct ThreadReader {
    chunks: Receiver<io::Result<Vec<u8>>>,
    ended: bool,
}

/// Standard input, read on a thread. (`tokio::io::stdin` does this too. But its thread belongs to
/// the runtime, which waits for it at its end: until somebody presses Enter.)
///
/// # Errors
///
/// When the system gives no thread.
pub fn stdin() -> io::Result<ThreadReader> {
    ThreadReader::new(io::stdin())
}

impl ThreadReader {
    /// Starts a thread that reads `input`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn new(mut input: impl Read + Send + 'static) -> io::Result<ThreadReader> {
        let (sender, chunks) = channel(1);
        thread::Builder::new().name(String::from("reader")).spawn(move || {
            let mut buffer = [0; CHUNK];
            loop {
                let chunk = match input.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map(|length| buffer[..length].to_vec()),
                };
                let last = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
                if sender.blocking_send(chunk).is_err() || last {
                    break;
                }
            }
        })?;
        Ok(ThreadReader { chunks, ended: false })
    }

    /// Waits for what was read next. Nothing is the end, and stays it. Dropped before it is ready,
    /// it has taken nothing.
    ///
    /// # Errors
    ///
    /// Those of the input, after which it is at its end.
    pub async fn read(&mut self) -> io::Result<Vec<u8>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let panicked = || Err(io::Error::other("the thread that reads the input panicked"));
        let chunk = self.chunks.recv().await.unwrap_or_else(panicked);
        self.ended = !matches!(&chunk, Ok(bytes) if !bytes.is_empty());
        chunk
    }
}
// ANCHOR_END: reader

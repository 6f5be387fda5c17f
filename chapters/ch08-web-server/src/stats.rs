//! What the server counts, and a watch that sees its loop stall.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

/// How often the watch looks.
const LOOK: Duration = Duration::from_millis(20);
/// How late it must come to call that a stall: asyncio's own bound for a slow callback.
pub const STALL_MIN: Duration = Duration::from_millis(100);

/// Counts of a server.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    connections: AtomicUsize,
    in_progress: AtomicUsize,
    begun: AtomicU64,
    served: AtomicU64,
    accept_errors: AtomicU64,
    stalls: AtomicU64,
    longest_stall_us: AtomicU64,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            started: Instant::now(),
            connections: AtomicUsize::new(0),
            in_progress: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            served: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            longest_stall_us: AtomicU64::new(0),
        }
    }
}

impl Stats {
    /// For how long the server has been there.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many requests are in progress: begun, and their response is not there yet.
    pub fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }

    /// How many requests were begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many requests have their response. The others of [`Stats::begun`] are in progress, or
    /// were given up.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// How often `accept` found no descriptor.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }

    /// How often the loop was stalled for [`STALL_MIN`] or longer.
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// The longest of these stalls.
    pub fn longest_stall(&self) -> Duration {
        Duration::from_micros(self.longest_stall_us.load(Ordering::Relaxed))
    }

    pub(crate) fn begin(&self) -> InProgress<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let number = self.in_progress.fetch_add(1, Ordering::Relaxed) + 1;
        InProgress { stats: self, number }
    }

    pub(crate) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    // ANCHOR: watch
    /// Looks at the clock again and again. Whenever it comes too late, something else has kept the
    /// loop: that is a stall. (On several threads it sees only what keeps *it* waiting.)
    pub(crate) async fn watch(&self) {
        let mut grid = interval(LOOK);
        grid.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let late = grid.tick().await.elapsed();
            if late >= STALL_MIN {
                self.stalls.fetch_add(1, Ordering::Relaxed);
                let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                self.longest_stall_us.fetch_max(late, Ordering::Relaxed);
            }
        }
    }
    // ANCHOR_END: watch
}

/// A connection that is open until this is dropped.
pub(crate) struct Connected(Arc<Stats>);

impl Connected {
    pub(crate) fn new(stats: &Arc<Stats>) -> Connected {
        stats.connections.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(stats))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is in progress until this is dropped.
pub(crate) struct InProgress<'a> {
    stats: &'a Stats,
    number: usize,
}

impl InProgress<'_> {
    /// How many were in progress when this one began, itself included.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn served(self) {
        self.stats.served.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.stats.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

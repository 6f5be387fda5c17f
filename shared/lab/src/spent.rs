//! How a thread has spent a stretch of time: on a CPU, waiting for something, or kept from a CPU by
//! others. Only the last is an excuse for an experiment that took longer than expected.

use std::io;
use std::time::{Duration, Instant};

use crate::cpu_time;
use crate::proc::Activity;

/// A stretch of time of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// On the clock.
    pub wall: Duration,
    /// On a CPU.
    pub on_cpu: Duration,
    /// What else is known of it. Nothing, where the system does not say.
    pub did: Option<Activity>,
}

impl Spent {
    /// Does some work on this thread, and says how it spent its time.
    ///
    /// # Errors
    ///
    /// Where the system is no Unix.
    pub fn on<T>(work: impl FnOnce() -> T) -> io::Result<(T, Spent)> {
        let did_before = Activity::of_this_thread().ok();
        let (before, start) = (cpu_time::of_thread()?, Instant::now());
        let value = work();
        let (wall, on_cpu) = (start.elapsed(), cpu_time::of_thread()?.saturating_sub(before));
        let did = Activity::of_this_thread().ok().zip(did_before);
        // The clock of CPU time is exact, and what /proc counts may be a millisecond old.
        let did = did.map(|(now, before)| Activity { on_cpu, ..now.since(before) });
        Ok((value, Spent { wall, on_cpu, did }))
    }

    /// As [`Activity::part_on_cpu`].
    pub fn part_on_cpu(&self) -> f64 {
        let only = Activity { on_cpu: self.on_cpu, ..Activity::default() };
        self.did.unwrap_or(only).part_on_cpu(self.wall)
    }

    /// As [`Activity::disturbed`]. Where the system does not say it, it may have been.
    pub fn disturbed(&self) -> Option<String> {
        let unknown = || Some("this system does not say whether others had the CPU".to_owned());
        self.did.map_or_else(unknown, |did| did.disturbed(self.wall))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::hint::black_box;
    use std::thread;

    use super::*;

    #[test]
    fn who_computes_is_on_a_cpu_and_who_sleeps_is_not_disturbed_by_that() {
        const A_WHILE: Duration = Duration::from_millis(5);

        let compute = || {
            let start = cpu_time::of_thread().expect("it is a Unix");
            while cpu_time::of_thread().expect("it is a Unix") < start + A_WHILE {
                black_box(fib_timing::fib(black_box(20)));
            }
            42
        };
        let (value, computed) = Spent::on(compute).expect("it is a Unix");
        assert_eq!(value, 42);
        assert!(computed.on_cpu >= A_WHILE && computed.wall >= A_WHILE, "{computed:?}");
        // Sleeps because a sleep is what is measured.
        let ((), slept) = Spent::on(|| thread::sleep(A_WHILE)).expect("it is a Unix");
        assert!(slept.wall >= A_WHILE && slept.on_cpu < A_WHILE, "{slept:?}");
        assert!(slept.part_on_cpu() < 1.0, "{slept:?}");
    }
}

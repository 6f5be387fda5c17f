//! How slow is a slow fib, here and now? Measured, since no n is slow everywhere.

use std::time::Duration;

use fib_timing::fib;

use crate::cpu_time;

/// Large enough (about 10 ms) that a clock of microseconds and a cold cache do not matter, small
/// enough to repeat.
const MEASURED_N: u32 = 32;

/// The quickest of so many runs is taken: what disturbs a run only ever makes it longer.
const RUNS: usize = 3;

/// Adding 1 to n multiplies the time by this, the golden ratio.
const GROWTH: f64 = 1.618_034;

/// The largest n the programs accept, which takes longer than anybody waits.
const LARGEST_N: u32 = 93;

/// A number, and what its fib costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The number.
    pub n: u32,
    /// An estimate from below of the CPU time of fib(n): a program that shares its core needs
    /// longer.
    pub time: Duration,
}

/// The smallest n whose fib takes at least this long.
pub fn slow(at_least: Duration) -> Cost {
    let quickest = (0..RUNS).map(|_| cpu_time_of(MEASURED_N)).min().unwrap_or_default();
    grown(Cost { n: MEASURED_N, time: quickest.max(Duration::from_micros(1)) }, at_least)
}

fn grown(mut cost: Cost, at_least: Duration) -> Cost {
    while cost.time < at_least && cost.n < LARGEST_N {
        cost = Cost { n: cost.n + 1, time: cost.time.mul_f64(GROWTH) };
    }
    cost
}

/// CPU time and not wall time: a machine that is busy now and idle during the probe would make the
/// fib too quick.
fn cpu_time_of(n: u32) -> Duration {
    let now = || cpu_time::of_thread().unwrap_or_default(); // no error on a Unix
    let start = now();
    std::hint::black_box(fib(std::hint::black_box(n)));
    now().saturating_sub(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_n_costs_the_golden_ratio_more() {
        let measured = Cost { n: 32, time: Duration::from_millis(10) };
        assert_eq!(grown(measured, Duration::from_millis(10)), measured);
        assert_eq!(grown(measured, Duration::from_millis(17)).n, 34);
        assert_eq!(grown(measured, Duration::from_secs(1)).n, 42);
    }

    #[test]
    fn a_slow_fib_is_slower_than_a_quick_one() {
        assert!(slow(Duration::from_secs(2)).n > slow(Duration::from_millis(20)).n);
    }
}

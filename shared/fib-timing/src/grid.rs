//! The points in time at which something periodic is due.

use std::time::{Duration, Instant};

/// The first point of the grid `start`, `start + period`, `start + 2·period`, … that lies after
/// `now`.
///
/// A program that adds `period` to the time at which it woke up drifts by its own lateness; one
/// that adds it to the last point fires a burst after a stall. This does neither: after a stall the
/// points that went by are skipped.
///
/// # Panics
///
/// When `period` is zero, or when the point lies beyond what [`Instant`] can hold.
pub fn next_point(start: Instant, period: Duration, now: Instant) -> Instant {
    let passed = now.saturating_duration_since(start).as_nanos();
    let next = (passed / period.as_nanos() + 1) * period.as_nanos();
    start + Duration::from_nanos_u128(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(300);

    #[test]
    fn the_next_point_lies_after_now_and_on_the_grid() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        // (now, the next point), in milliseconds after the start
        for (now, next) in
            [(0, 300), (1, 300), (299, 300), (300, 600), (301, 600), (750, 900), (3_000, 3_300)]
        {
            assert_eq!(next_point(start, PERIOD, at(now)), at(next), "now = {now} ms");
        }
    }

    #[test]
    fn a_now_before_the_start_counts_as_the_start() {
        let start = Instant::now() + Duration::from_secs(1);
        assert_eq!(next_point(start, PERIOD, start - Duration::from_millis(10)), start + PERIOD);
    }

    #[test]
    fn a_day_of_the_shortest_period_does_not_lose_a_nanosecond() {
        let start = Instant::now();
        let period = Duration::from_nanos(1_000_001);
        let now = start + period * 86_400_000 + Duration::from_nanos(1);
        assert_eq!(next_point(start, period, now), start + period * 86_400_001);
    }
}

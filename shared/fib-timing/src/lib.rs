//! What every chapter shares and no chapter is about: the work, the words, and two pieces of
//! arithmetic.
//!
//! One small program is written again in every chapter. It prints a hello every few seconds, and it
//! answers each number it is given with a Fibonacci number. This crate holds the parts that do not
//! depend on how the program waits:
//!
//! - [`fib`], the CPU work, and [`timed`], which says how long it took;
//! - [`Command`], one line of input, and [`hello`] and [`answer`], two lines of output;
//! - [`Lines`], which cuts bytes into lines, and [`next_point`], which keeps a timer on its grid.
//!
//! Nothing here reads, writes, sleeps or starts a thread. Only [`timed`] looks at a clock;
//! everything else that depends on time is given the time.

#![forbid(unsafe_code)]

mod command;
mod grid;
mod lines;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use command::{BadLine, Command};
pub use grid::next_point;
pub use lines::{LINE_MAX, Line, Lines};

/// The largest n that is answered: fib(93) is the last Fibonacci number that fits 64 bits.
///
/// It is legal, and it does not end: adding 1 to n multiplies the time by 1.6, so that fib(93)
/// would take some thousand years.
pub const FIB_MAX: u32 = 93;

/// How long `exit` waits for answers that are still being computed, where they are computed beside
/// the loop.
pub const EXIT_GRACE: Duration = Duration::from_millis(500);

/// The n-th Fibonacci number, with fib(0) = 0 and fib(1) = 1, computed the slow way.
///
/// This is the CPU work of every chapter. For one fib(n) it is called 2·fib(n+1) − 1 times, and it
/// is never made clever: what the chapters need is a function that keeps a core busy for as long as
/// one likes. `inline(never)` keeps the cost the same wherever it is called from.
///
/// # Panics
///
/// In a debug build, when the result does not fit 64 bits (n > [`FIB_MAX`]); that takes longer than
/// anybody waits.
#[inline(never)]
pub fn fib(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fib(n - 1) + fib(n - 2) }
}

/// Calls `work`, and says how long that took, waiting included.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

/// The hello line, without its newline: `1700000000 - Hello world!`.
///
/// A clock before 1970 counts as 1970.
pub fn hello(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{seconds} - Hello world!")
}

/// The answer line, without its newline: `fib(30) = 832040 (took 0.004 s)`.
pub fn answer(n: u32, (value, took): (u64, Duration)) -> String {
    format!("fib({n}) = {value} (took {:.3} s)", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fib_is_the_textbook_sequence() {
        let first: Vec<u64> = (0..12).map(fib).collect();
        assert_eq!(first, [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]);
        assert_eq!(fib(30), 832_040);
    }

    #[test]
    fn fib_max_is_the_last_that_fits_64_bits() {
        let (mut a, mut b) = (0_u64, 1_u64);
        for _ in 0..FIB_MAX {
            (a, b) = (b, a.wrapping_add(b));
        }
        assert_eq!(a, 12_200_160_415_121_876_738);
        let next = u128::from(a) + (u128::from(a) * 6_180_339_887 / 10_000_000_000);
        assert!(next > u128::from(u64::MAX), "fib(94) would be about {next}");
    }

    #[test]
    fn the_lines_are_worded_as_specified() {
        let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        assert_eq!(hello(time), "1700000000 - Hello world!");
        assert_eq!(hello(UNIX_EPOCH - Duration::from_secs(5)), "0 - Hello world!");
        assert_eq!(
            answer(30, (832_040, Duration::from_micros(4_400))),
            "fib(30) = 832040 (took 0.004 s)"
        );
    }

    #[test]
    fn timed_returns_the_value_of_the_work() {
        let (value, took) = timed(|| 7);
        assert_eq!(value, 7);
        assert!(took < Duration::from_secs(60));
    }
}

//! When a judgement about time may be believed.
//!
//! [`timed`] runs a probe beside a sentinel, a thread that sleeps on a grid as the program should,
//! and measures how late it wakes. A late sentinel means that the machine, not the program, was
//! slow: the probe is repeated with a period twice as long, to which the same lateness matters half
//! as much.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Outcome;
use super::verdict;
use crate::verdict::Verdict;

/// A hello may be late by T divided by this. Half a period is far more than a working machine
/// needs, and leaves no doubt to which point of the grid a hello belongs.
pub(super) const SLACK: u32 = 2;

/// The sentinel may be late by T divided by this: half of what the program is allowed, so that the
/// rest is the program's.
const SENTINEL_SLACK: u32 = 4;

/// The sentinel's grid has this many points in a period: it must not sleep through the disturbance
/// it is to notice.
const SENTINEL_POINTS: u32 = 8;

/// A probe is begun so often at most. The period doubles after each late sentinel, so more would
/// take minutes.
const ATTEMPTS: usize = 4;

/// No attempt is begun after so long: a machine that is busy now will be busy then.
const BUDGET: Duration = Duration::from_secs(15);

/// Judges with `probe`, which is given the period to use, and begins with `period`.
pub(super) fn timed(period: Duration, probe: impl Fn(Duration) -> Outcome) -> Verdict {
    let (begun, mut period) = (Instant::now(), period);
    let mut why = String::new();
    for _ in 0..ATTEMPTS {
        match believable(period, &probe) {
            Ok(verdict) => return verdict,
            Err(Again::Late(late)) => {
                why = format!("the harness's own timer was {} ms late", late.as_millis());
                period *= 2;
            }
            Err(Again::Unclear(reason)) => why = reason,
        }
        if begun.elapsed() > BUDGET {
            break;
        }
    }
    Verdict::NotJudged(why)
}

/// Why a run says nothing, and another may.
enum Again {
    /// The sentinel was so late.
    Late(Duration),
    /// The probe could not judge.
    Unclear(String),
}

/// A failure is believed when a second run fails too; where the two differ, a third decides.
fn believable(period: Duration, probe: &impl Fn(Duration) -> Outcome) -> Result<Verdict, Again> {
    let first = watched(period, probe)?;
    if !first.is_not_shown() {
        return Ok(first);
    }
    let second = watched(period, probe)?;
    if second.is_not_shown() { Ok(second) } else { watched(period, probe) }
}

/// One run beside a sentinel.
fn watched(period: Duration, probe: &impl Fn(Duration) -> Outcome) -> Result<Verdict, Again> {
    let sentinel = Sentinel::start(period / SENTINEL_POINTS);
    let verdict = verdict(probe(period));
    let late = sentinel.stop();
    match verdict {
        _ if late > period / SENTINEL_SLACK => Err(Again::Late(late)),
        Verdict::NotJudged(reason) => Err(Again::Unclear(reason)),
        verdict => Ok(verdict),
    }
}

struct Sentinel {
    stop: Sender<()>,
    thread: JoinHandle<Duration>,
}

impl Sentinel {
    fn start(step: Duration) -> Sentinel {
        let (stop, stopped) = channel::<()>();
        let mut due = Instant::now() + step; // before the thread: that it starts late counts too
        let thread = thread::spawn(move || {
            let mut worst = Duration::ZERO;
            // Dropping the sender is the signal to stop; until then the wait is a sleep that can be
            // cut short.
            while stopped.recv_timeout(due.saturating_duration_since(Instant::now()))
                == Err(RecvTimeoutError::Timeout)
            {
                worst = worst.max(due.elapsed());
                due = Instant::now() + step;
            }
            worst.max(due.elapsed())
        });
        Sentinel { stop, thread }
    }

    /// How late it was, at worst.
    fn stop(self) -> Duration {
        drop(self.stop);
        self.thread.join().expect("the sentinel only waits and compares")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A quarter of it is late: no machine that can run tests is.
    const SECOND: Duration = Duration::from_secs(1);

    fn not_shown() -> Outcome {
        Err(Verdict::NotShown("no".to_owned()))
    }

    #[test]
    fn one_failure_is_not_believed() {
        let runs = Cell::new(0);
        let fails_once = |_| {
            runs.set(runs.get() + 1);
            if runs.get() == 1 { not_shown() } else { Ok(()) }
        };
        assert_eq!(timed(SECOND, fails_once), Verdict::Shown);
        assert_eq!(runs.get(), 3);
    }

    #[test]
    fn two_failures_are_believed() {
        assert!(timed(SECOND, |_| not_shown()).is_not_shown());
    }

    #[test]
    fn a_period_that_no_sleeper_can_keep_is_doubled_and_then_given_up() {
        let periods = std::cell::RefCell::new(Vec::new());
        let verdict = timed(Duration::from_nanos(8), |period| {
            periods.borrow_mut().push(period.as_nanos());
            thread::sleep(Duration::from_millis(1)); // long enough for the sentinel to be late
            Ok(())
        });
        assert!(matches!(verdict, Verdict::NotJudged(_)), "{verdict}");
        assert_eq!(periods.into_inner(), [8, 16, 32, 64]);
    }
}

//! B11, B12: what does it cost to wait?

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use super::talk::{Setting, not_judged, talk};
use super::{Outcome, Subject, verdict};
use crate::family::Switches;
use crate::verdict::Verdict;

/// Between two hellos: 4 wake-ups a second are promised, and a loop that looks ten times a second
/// is far from that.
const PERIOD: Duration = Duration::from_millis(250);

/// How long a program is watched. CPU time is counted in hundredths of a second, so that 2 % are
/// three of them.
const WINDOW: Duration = Duration::from_millis(1500);

/// An idle program uses less of a core than this.
const CPU_LIMIT: f64 = 0.02;

/// Beside its hellos a program may wake so often in a second.
const OTHER_WAKES: f64 = 1.0;

/// During the window we look so often whether a thread wants a core.
const LOOKS: u32 = 30;

/// A program that wants a core at more than this part of the looks is busy, also where so many
/// others are that it hardly gets one: one that never sleeps wants it at all of them. One that wakes
/// fifty times a second wants it at more than half where it waits for a core as long as it sleeps.
const BUSY: f64 = 0.9;

/// What a program did while nothing was asked of it.
struct Idleness {
    /// Of one core: 0.5 is half of it.
    cpu: f64,
    /// Part of the looks at which it wanted a core.
    wanted: f64,
    /// How often any of its threads went to sleep.
    switches: u64,
    window: Duration,
}

impl Idleness {
    /// What it did instead of sleeping, if it did not sleep.
    fn busy(&self) -> Option<String> {
        let (used, wanted) = (self.cpu * 100.0, self.wanted * 100.0);
        let busy = self.cpu >= CPU_LIMIT || self.wanted > BUSY;
        busy.then(|| {
            format!("idle, it used {used:.0} % of a core and wanted one {wanted:.0} % of the time")
        })
    }
}

/// B11.
pub(super) fn cpu(subject: &Subject) -> Verdict {
    verdict(watch(subject).and_then(|idle| match idle.busy() {
        None => Ok(()),
        Some(busy) => Err(Verdict::NotShown(busy)),
    }))
}

/// B12.
pub(super) fn wake_ups(subject: &Subject) -> Verdict {
    verdict(watch(subject).and_then(|idle| {
        if let Some(busy) = idle.busy() {
            return Err(Verdict::NotJudged(format!("{busy}: what never sleeps never wakes")));
        }
        let allowed = allowed_switches(idle.window);
        match idle.switches as f64 <= allowed {
            true => Ok(()),
            false => Err(Verdict::NotShown(format!(
                "idle, it woke {} times in {:.2} s, where {allowed:.0} were allowed",
                idle.switches,
                idle.window.as_secs_f64()
            ))),
        }
    }))
}

/// A window of any length may hold one point of the grid more than it has periods.
fn allowed_switches(window: Duration) -> f64 {
    let points = (window.as_secs_f64() / PERIOD.as_secs_f64()).floor() + 1.0;
    (points + window.as_secs_f64() * OTHER_WAKES).floor()
}

/// Not a matter of time: a busy machine gives an idle program nothing to do.
fn watch(subject: &Subject) -> Outcome<Idleness> {
    let mut idleness = None;
    talk(subject, &Setting::with_period(PERIOD), |talk| {
        talk.first_hello()?;
        // Thread pools look for work a while before they sleep; the second hello, where one comes,
        // is late enough.
        talk.hello_by(1, Instant::now() + PERIOD);
        let family = *talk.driven.family();
        let look = || Ok((family.cpu_time()?, family.voluntary_switches()?));
        let (cpu_before, before) = look().map_err(|error| not_judged(&error))?;
        let start = Instant::now();
        let wanted = (0..LOOKS).filter(|_| {
            thread::sleep(WINDOW / LOOKS); // to see what happens meanwhile, which should be nothing
            family.wants_cpu()
        });
        let wanted = wanted.count() as f64 / f64::from(LOOKS);
        let (cpu_after, after) = look().map_err(|error| not_judged(&error))?;
        let window = start.elapsed();
        let cpu = cpu_after.saturating_sub(cpu_before).as_secs_f64() / window.as_secs_f64();
        let switches = new_switches(&before, &after);
        idleness = Some(Idleness { cpu, wanted, switches, window });
        Ok(())
    })?;
    idleness.ok_or_else(|| Verdict::NotJudged("nothing was measured".to_owned()))
}

/// A thread that was born meanwhile counts from its birth.
fn new_switches(before: &Switches, after: &HashMap<i32, u64>) -> u64 {
    after.iter().map(|(id, count)| count.saturating_sub(before.get(id).copied().unwrap_or(0))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_looks_ten_times_a_second_is_not_allowed_and_one_hello_more_is() {
        let window = Duration::from_millis(1500);
        assert_eq!(allowed_switches(window), 8.0);
        assert!(allowed_switches(window) < 15.0);
    }

    #[test]
    fn only_what_is_new_is_counted() {
        let before = Switches::from([(1, 100), (2, 5)]);
        let after = Switches::from([(1, 103), (3, 2)]);
        assert_eq!(new_switches(&before, &after), 5);
    }
}

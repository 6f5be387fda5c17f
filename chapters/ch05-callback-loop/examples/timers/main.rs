//! Where should a loop keep 100,000 timers?
//!
//! A sorted list, as a text has it (`bisect.insort`, and `del timers[0]`); a binary heap; a wheel
//! of slots, one a millisecond. Each keeps the same timers while time goes on: who is due is taken
//! out, and asks again. Predict how the time for one timer grows from 1,000 to 100,000 timers.
//!
//! `cargo run -p ch05-callback-loop --example timers`

#![forbid(unsafe_code)]

mod kinds;

use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use ch05_callback_loop::EventLoop;
use kinds::{Heap, Key, List, Time, Timers, Wheel};
use lab::cpu_time;
use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch05-callback-loop", "timers");

/// Timers are set for some time up to this: 100,000 of them for the next minute. So with any number
/// the same number is due in a millisecond.
fn horizon(number: u64) -> Time {
    number * 6 / 10
}

/// Always the same times, each made of the last.
fn random(state: &mut u64, horizon: Time) -> Time {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    1 + (*state >> 33) % horizon
}

/// What one timer takes of a CPU, from its insertion to its end, while there are so many. And the
/// order in which they became due.
fn cost<T: Timers>(number: u64, turns: Time) -> (Duration, Vec<Key>) {
    let (mut timers, mut state, mut next) = (T::default(), 1, 0);
    let horizon = horizon(number);
    let mut first: Vec<Time> = (0..number).map(|_| random(&mut state, horizon)).collect();
    first.sort_unstable(); // so that the list is filled at its end
    for deadline in first {
        timers.insert(deadline, next);
        next += 1;
    }
    let on_cpu = || cpu_time::of_thread().unwrap_or_default(); // no error on a Unix
    let (start, mut all, mut due) = (on_cpu(), Vec::new(), Vec::new());
    for now in 1..=turns {
        timers.take_due(now, &mut due);
        for key in due.drain(..) {
            all.push(key);
            timers.insert(now + random(&mut state, horizon), next);
            next += 1;
        }
    }
    let each = u32::try_from(all.len().max(1)).unwrap_or(u32::MAX);
    ((on_cpu() - start) / each, black_box(all))
}

/// The least of three runs, in µs: what disturbs one makes it longer.
fn least<T: Timers>(number: u64, turns: Time) -> f64 {
    let runs = (0..3).map(|_| cost::<T>(number, turns).0);
    runs.min().unwrap_or_default().as_secs_f64() * 1e6
}

/// How many descriptors 1,000 timers add to a loop.
fn descriptors() -> io::Result<usize> {
    let event_loop = EventLoop::new()?;
    let before = lab::proc::descriptors()?;
    for _ in 0..1000 {
        event_loop.call_later(Duration::from_secs(3600), |_| {});
    }
    Ok(lab::proc::descriptors()?.saturating_sub(before))
}

/// So many milliseconds are measured.
const TURNS: Time = 1500;

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("the list grows with the number; the heap and the wheel by much less")?;
    report.say(format_args!("a timer, in µs{:>10}{:>8}{:>8}", "list", "heap", "wheel"))?;
    let mut ratio = 0.0;
    for number in [1_000, 10_000, 100_000] {
        let (list, heap) = (least::<List>(number, TURNS), least::<Heap>(number, TURNS));
        let wheel = least::<Wheel>(number, TURNS);
        report.say(format_args!("{number:>13} {list:>10.2}{heap:>8.2}{wheel:>8.2}"))?;
        ratio = list / heap;
    }
    report.say("")?;
    let judged = Judgement::of(ratio > 3.0, || "the list was nearly as quick".into());
    report.claim("C44", ratio, "times the heap's cost, the list's, at 100,000", judged)?;
    let (added, judged) = match descriptors() {
        Ok(added) => (added, Judgement::of(added == 0, || "timers have descriptors".into())),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            (0, Judgement::NotJudged(error.to_string()))
        }
        Err(error) => return Err(error),
    };
    report.claim("C22", added as f64, "descriptors for 1,000 timers", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_name_the_same_timers_in_the_same_order() {
        let (_, list) = cost::<List>(500, 1000);
        assert!(list.len() > 50, "{}", list.len());
        assert_eq!(list, cost::<Heap>(500, 1000).1);
        assert_eq!(list, cost::<Wheel>(500, 1000).1);
    }

    fn due<T: Timers>(deadlines: &[Time]) -> Vec<Key> {
        let (mut timers, mut due) = (T::default(), Vec::new());
        for (key, deadline) in (0..).zip(deadlines) {
            timers.insert(*deadline, key);
        }
        (0..=5000).for_each(|now| timers.take_due(now, &mut due));
        due
    }

    #[test]
    fn equal_deadlines_keep_their_order_and_a_later_round_is_not_due_yet() {
        let deadlines = [4100, 4, 7, 4, 4];
        let expected = [1, 3, 4, 2, 0];
        assert_eq!(due::<List>(&deadlines), expected);
        assert_eq!(due::<Heap>(&deadlines), expected);
        assert_eq!(due::<Wheel>(&deadlines), expected);
    }

    #[test]
    fn at_a_hundred_thousand_the_list_costs_several_times_as_much() {
        let (list, heap) = (least::<List>(100_000, 30), least::<Heap>(100_000, 30));
        assert!(list > 2.0 * heap, "{list} µs, {heap} µs");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_selector_knows_no_timer() {
        assert_eq!(descriptors().expect("Linux says it"), 0);
    }
}

//! B1, B3, B3b, B4, B13: is hello where it should be, whatever else goes on?

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::calibration::slow;
use super::talk::{PATIENCE, Setting, Talk, not_judged, talk};
use super::timing::{SLACK, timed};
use super::{Outcome, Subject};
use crate::driven::{Input, Stream};
use crate::verdict::Verdict;
use crate::wire::Wire;

/// For hellos in a row: 75 ms of slack, and half a second for three of them.
const PERIOD: Duration = Duration::from_millis(150);

/// For the first hello alone, which costs no waiting: half of it must be enough to start a process.
const LONG_PERIOD: Duration = Duration::from_secs(1);

/// So many hellos after the first must be on time: one could be luck.
const HELLOS: u32 = 3;

/// A long fib outlasts the hellos that are judged, whose last may be late by half a period, with
/// room to spare.
const LONG_FIB: u32 = HELLOS + 2;

/// B1.
pub(super) fn at_once(subject: &Subject) -> Verdict {
    timed(LONG_PERIOD, |period| {
        comes_first(subject)?;
        talk(subject, &Setting::with_period(period), |talk| {
            let limit = period / SLACK;
            let hello = talk.hello_by(0, talk.started + limit);
            hello.map(drop).ok_or_else(|| {
                Verdict::NotShown(format!("no hello within {} ms of the start", limit.as_millis()))
            })
        })
    })
}

/// Hello comes before the answer also where the input lies ready and has ended.
fn comes_first(subject: &Subject) -> Outcome {
    let setting = Setting { input: Input::Ended("5\n".to_owned()), ..Setting::quiet() };
    talk(subject, &setting, |talk| {
        let first = |driven: &crate::driven::Driven| {
            driven.lines_on(Stream::Out).next().map(|line| line.text.clone())
        };
        let line = talk.driven.wait(Instant::now() + PATIENCE, first);
        match line.as_deref().map(Wire::read) {
            Some(Wire::Hello) => Ok(()),
            _ => Err(Verdict::NotShown(format!(
                "hello is not the first line where the input has ended{}",
                talk.said()
            ))),
        }
    })
}

/// B3.
pub(super) fn while_silent(subject: &Subject) -> Verdict {
    timed(PERIOD, |period| {
        talk(subject, &Setting::with_period(period), |talk| {
            let start = talk.first_hello()?;
            on_time(talk, start, period)
        })
    })
}

/// B3b.
pub(super) fn during_half_a_line(subject: &Subject) -> Verdict {
    timed(PERIOD, |period| {
        talk(subject, &Setting::with_period(period), |talk| {
            let start = talk.first_hello()?;
            talk.send("1")?;
            on_time(talk, start, period)?;
            talk.send("0\n")?;
            talk.answers(&[10]).map(drop)
        })
    })
}

/// B4.
pub(super) fn during_a_long_fib(subject: &Subject) -> Verdict {
    timed(PERIOD, |period| {
        let long = slow(period * LONG_FIB);
        talk(subject, &Setting::with_period(period), |talk| {
            let start = talk.first_hello()?;
            talk.send(format!("{}\n", long.n))?;
            on_time(talk, start, period)?;
            match talk.answered().is_empty() {
                true => Ok(()),
                false => Err(Verdict::NotJudged(format!(
                    "fib({}) took less than the {:?} that were measured",
                    long.n, long.time
                ))),
            }
        })
    })
}

/// The hellos after the first come at their points, no more than the slack too late or too early.
fn on_time(talk: &mut Talk, start: Instant, period: Duration) -> Outcome {
    for k in 1..=HELLOS {
        let due = start + period * k;
        let Some(at) = talk.hello_by(k as usize, due + period / SLACK) else {
            return Err(Verdict::NotShown(format!(
                "hello {k} had not come at {k}.5 T{}",
                talk.said()
            )));
        };
        if at + period / SLACK < due {
            let x = in_periods(at - start, period);
            return Err(Verdict::NotShown(format!("hello {k} came too early, at {x:.2} T")));
        }
    }
    Ok(())
}

/// The stall ends in the middle between two points of the grid, so that a late hello and an on-time
/// one cannot be mistaken for each other.
const STALL: f64 = 2.5;

/// It begins when the program, whose first hello came just now, has certainly set its timer.
const ARMED: f64 = 0.25;

/// Hellos after the stall that are looked at: the late one and two on the grid.
const AFTER_STALL: usize = 3;

/// They need at most three periods, and half a period of slack.
const AFTER_STALL_PERIODS: f64 = 3.5;

/// B13. The program is stalled from outside, by the signals that stop it and let it go on: that
/// stalls any program, for exactly as long as we like, also where no fib of its own would.
/// Meanwhile a question is typed, so that it finds two things to do.
pub(super) fn after_a_stall(subject: &Subject) -> Verdict {
    timed(PERIOD, |period| {
        talk(subject, &Setting::with_period(period), |talk| {
            let start = talk.first_hello()?;
            talk.driven.wait(start + period.mul_f64(ARMED), |_| None::<()>);
            let end = stall(talk, start + period.mul_f64(STALL))?;
            if talk.hello_by(AFTER_STALL, end + period.mul_f64(AFTER_STALL_PERIODS)).is_none() {
                let came = talk.hellos().len() - 1;
                let why = format!("{came} hellos in the {AFTER_STALL_PERIODS} T after the stall");
                return Err(Verdict::NotShown(why + &talk.said()));
            }
            talk.answers(&[QUICK])?;
            let hellos = talk.hellos().into_iter().map(|hello| in_periods(hello - start, period));
            on_grid(&hellos.collect::<Vec<f64>>(), in_periods(end - start, period))
                .map_err(Verdict::NotShown)
        })
    })
}

/// The question that is typed during the stall.
const QUICK: u32 = 10;

/// Stops the program until then, and says when it went on.
fn stall(talk: &mut Talk, until: Instant) -> Outcome<Instant> {
    let failed = |error: std::io::Error| not_judged(&error);
    talk.driven.signal(Signal::STOP).map_err(failed)?;
    talk.send(format!("{QUICK}\n"))?;
    talk.driven.wait(until, |_| None::<()>);
    talk.driven.signal(Signal::CONT).map_err(failed)?;
    Ok(Instant::now())
}

/// A hello that a stall made late comes at once when it ends: within this part of a period.
const LATE: f64 = 0.25;

/// An on-time hello is no farther from its point than this: less than the half that would be any
/// point's, and so that a timer that the stall has moved is found.
const ON_TIME: f64 = 0.29;

/// Do the hellos, in periods since the first, take the points of the grid in turn? Hello 1 comes
/// when the stall ends and belongs to the last point that passed; the points before that one are
/// gone.
fn on_grid(hellos: &[f64], stall_end: f64) -> Result<(), String> {
    let late = hellos.get(1).copied().unwrap_or(f64::INFINITY);
    if (late - stall_end).abs() > LATE {
        return Err(format!(
            "the stall ended at {stall_end:.2} T, the next hello came at {late:.2} T, not at once"
        ));
    }
    let mut next = stall_end.floor() + 1.0;
    for (k, &at) in hellos.iter().enumerate().skip(2) {
        if (at - next).abs() > ON_TIME {
            let all = listed(hellos);
            return Err(format!("hello {k} came at {at:.2} T, point {next} was next: {all}"));
        }
        next += 1.0;
    }
    Ok(())
}

fn listed(hellos: &[f64]) -> String {
    let hellos: Vec<String> = hellos.iter().map(|at| format!("{at:.2}")).collect();
    format!("hellos at {} T", hellos.join(", "))
}

fn in_periods(time: Duration, period: Duration) -> f64 {
    time.as_secs_f64() / period.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_hello_and_then_the_grid_is_right() {
        assert_eq!(on_grid(&[0.0, 2.52, 3.01, 4.02], 2.5), Ok(()));
        assert_eq!(on_grid(&[0.0, 2.72, 2.95, 4.2], 2.6), Ok(()));
    }

    #[test]
    fn a_burst_a_drift_a_gap_and_a_missing_late_hello_are_wrong() {
        assert!(on_grid(&[0.0, 2.5, 2.51, 3.0], 2.5).is_err(), "burst");
        assert!(on_grid(&[0.0, 2.5, 3.5, 4.5], 2.5).is_err(), "drift");
        assert!(on_grid(&[0.0, 2.5, 4.0, 5.0], 2.5).is_err(), "gap");
        assert!(on_grid(&[0.0, 3.0, 4.0, 5.0], 2.5).is_err(), "no late hello");
        assert!(on_grid(&[0.0], 2.5).is_err(), "nothing");
    }
}

//! B15: is the work shared by as many workers as were asked for, no fewer and no more?

use std::time::{Duration, Instant};

use super::calibration::slow;
use super::talk::{Setting, talk};
use super::{Outcome, Subject, verdict};
use crate::verdict::Verdict;

/// The least number that has a "one fewer".
const WORKERS: usize = 2;

/// Long enough that a quick answer beside it is there first, on whatever machine.
const SLOW: Duration = Duration::from_millis(300);

/// The quick question: done in less than a millisecond.
const QUICK: u32 = 10;

/// B15. Only the order of the answers is compared: no clock.
pub(super) fn share_the_work(subject: &Subject) -> Verdict {
    verdict(overtakes(subject).and_then(|()| waits(subject)))
}

/// Behind w − 1 slow questions a free worker takes the quick one.
fn overtakes(subject: &Subject) -> Outcome {
    let (slow, quick) = answer_times(subject, WORKERS - 1)?;
    match slow.iter().all(|slow| quick < *slow) {
        true => Ok(()),
        false => {
            Err(Verdict::NotShown(format!("a quick question waited behind {} slow", WORKERS - 1)))
        }
    }
}

/// Behind w slow questions no worker is free. A program that starts a thread for each question does
/// not wait.
fn waits(subject: &Subject) -> Outcome {
    let (slow, quick) = answer_times(subject, WORKERS)?;
    match slow.iter().any(|slow| *slow < quick) {
        true => Ok(()),
        false => Err(Verdict::NotShown(format!(
            "a quick question overtook {WORKERS} slow ones, with {WORKERS} workers"
        ))),
    }
}

/// When the slow questions and the quick one behind them were answered. All are asked in one write.
fn answer_times(subject: &Subject, slow_questions: usize) -> Outcome<(Vec<Instant>, Instant)> {
    let cost = slow(SLOW);
    let asked: Vec<u32> = (cost.n..).take(slow_questions).chain([QUICK]).collect();
    let setting = Setting { workers: Some(WORKERS), ..Setting::quiet() };
    let mut times = Vec::new();
    talk(subject, &setting, |talk| {
        talk.first_hello()?;
        let lines: Vec<String> = asked.iter().map(|n| format!("{n}\n")).collect();
        talk.send(lines.concat())?;
        times = talk.slow_answers(&asked)?;
        Ok(())
    })?;
    let quick = times.pop().expect("one time for each question, and the last is the quick one");
    Ok((times, quick))
}

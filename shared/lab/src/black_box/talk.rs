//! One conversation with a program: what every probe says and waits for. Whatever does not come is
//! a verdict.

use std::io;
use std::time::{Duration, Instant};

use super::{Outcome, Subject, verdict};
use crate::driven::{Driven, Input, Launch, Line, Output, Stream, shell_status};
use crate::verdict::Verdict;
use crate::wire::{Wire, right_answer};

/// How long to wait for something that costs the program nothing and is no question of time. It is
/// spent in full only where it never comes.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait for a program that computes all the while: a crowded machine makes a slow fib a
/// very slow one. After that nothing is known.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// More CPU time than any probe asks for. A program that has used so much does not compute but
/// spin.
const LONG_CPU: Duration = Duration::from_secs(10);

/// The specification's own limit: so soon after its last answer, or after `exit`, a program ends.
/// On an overloaded machine it grows as a period does: a program that hangs outlasts any limit.
pub(super) const END_LIMIT: Duration = Duration::from_secs(1);

/// No hello but the first, for probes that do not want any.
pub(super) const NO_HELLOS: Duration = Duration::from_secs(3600);

/// How a program is started for a probe.
pub(super) struct Setting {
    pub(super) period: Duration,
    pub(super) input: Input,
    pub(super) output: Output,
    /// For programs that take `--workers`; the others are not told.
    pub(super) workers: Option<usize>,
}

impl Setting {
    /// Pipes on both sides, and as many workers as the program likes.
    pub(super) fn with_period(period: Duration) -> Setting {
        Setting { period, input: Input::Pipe, output: Output::Read, workers: None }
    }

    /// The same, without hellos.
    pub(super) fn quiet() -> Setting {
        Setting::with_period(NO_HELLOS)
    }

    fn arguments(&self, subject: &Subject) -> Vec<String> {
        let mut args = subject.args.clone();
        args.extend(["--every".to_owned(), self.period.as_secs_f64().to_string()]);
        if let (true, Some(workers)) = (subject.takes_workers, self.workers) {
            args.extend(["--workers".to_owned(), workers.to_string()]);
        }
        args
    }
}

/// Starts the program, lets `judge` talk to it, ends it, and adds what it left behind to the
/// verdict.
pub(super) fn talk(
    subject: &Subject,
    setting: &Setting,
    judge: impl FnOnce(&mut Talk) -> Outcome,
) -> Outcome {
    let args = setting.arguments(subject);
    let launch = Launch {
        exe: &subject.exe,
        args: &args,
        input: setting.input.clone(),
        output: setting.output,
    };
    let driven = Driven::start(&launch).map_err(|error| not_judged(&error))?;
    let mut talk = Talk { driven, started: Instant::now() };
    let said = judge(&mut talk);
    let left = talk.driven.finish();
    if left.is_empty() {
        return said;
    }
    let before = verdict(said);
    Err(Verdict::NotShown(format!("left behind: {} ({before})", left.join(", "))))
}

/// A verdict for a harness that could not do its work.
pub(super) fn not_judged(error: &io::Error) -> Verdict {
    Verdict::NotJudged(format!("the harness failed: {error}"))
}

/// A running program and what it has said.
pub(super) struct Talk {
    pub(super) driven: Driven,
    pub(super) started: Instant,
}

impl Talk {
    /// Types `text` in one write.
    pub(super) fn send(&mut self, text: impl AsRef<[u8]>) -> Outcome {
        let text = text.as_ref();
        self.driven.send(text).map_err(|_| {
            Verdict::NotShown(format!(
                "it had stopped reading when {:?} was typed{}",
                String::from_utf8_lossy(text),
                self.said()
            ))
        })
    }

    /// Waits until all that was typed has been read, so that the next write is another read for the
    /// program.
    pub(super) fn wait_until_read(&mut self) -> Outcome {
        /// No event says that a pipe has been emptied: look this often.
        const LOOK: Duration = Duration::from_millis(1);
        let deadline = Instant::now() + PATIENCE;
        while self.driven.unread_input().map_err(|error| not_judged(&error))? > 0 {
            if Instant::now() > deadline {
                return Err(Verdict::NotShown(format!("it stopped reading{}", self.said())));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits for the first hello, however long the period is.
    pub(super) fn first_hello(&mut self) -> Outcome<Instant> {
        self.hello_by(0, Instant::now() + PATIENCE)
            .ok_or_else(|| Verdict::NotShown(format!("no first hello{}", self.said())))
    }

    /// When hello number `k` came, counted from 0, if it came before the deadline.
    pub(super) fn hello_by(&mut self, k: usize, deadline: Instant) -> Option<Instant> {
        self.driven.wait(deadline, |driven| hellos(driven).nth(k))
    }

    /// All hellos so far.
    pub(super) fn hellos(&self) -> Vec<Instant> {
        hellos(&self.driven).collect()
    }

    /// Waits until each of `asked` has been answered, rightly, and says when, in the order of
    /// `asked`.
    pub(super) fn answers(&mut self, asked: &[u32]) -> Outcome<Vec<Instant>> {
        let times = self.answers_by(asked, Instant::now() + PATIENCE);
        times.ok_or_else(|| self.unanswered(asked))
    }

    /// The same where a slow fib is asked: waits as long as the program computes.
    pub(super) fn slow_answers(&mut self, asked: &[u32]) -> Outcome<Vec<Instant>> {
        let given_up = Instant::now() + LONG_PATIENCE;
        while Instant::now() < given_up {
            if let Some(times) = self.answers_by(asked, Instant::now() + PATIENCE) {
                return Ok(times);
            }
            if !self.computes() {
                return self.answers(asked); // which may be on their way to us
            }
        }
        Err(Verdict::NotJudged("it still computes, and gets no time".to_owned()))
    }

    /// Does it want a core, and has it not had enough? Where nobody can say, it does.
    fn computes(&self) -> bool {
        let family = self.driven.family();
        let works = |used| family.wants_cpu() && used < LONG_CPU;
        self.driven.ended().is_none() && family.cpu_time().map_or(true, works)
    }

    fn answers_by(&mut self, asked: &[u32], deadline: Instant) -> Option<Vec<Instant>> {
        self.driven.wait(deadline, |driven| asked.iter().map(|n| answer_to(driven, *n)).collect())
    }

    fn unanswered(&self, asked: &[u32]) -> Verdict {
        let is_missing = |n: &u32| answer_to(&self.driven, *n).is_none();
        let missing: Vec<u32> = asked.iter().copied().filter(is_missing).collect();
        Verdict::NotShown(format!("no right answer to {missing:?}{}", self.said()))
    }

    /// The lines on standard output that are no hellos.
    pub(super) fn dialogue(&self) -> Vec<String> {
        let lines =
            self.driven.lines_on(Stream::Out).filter(|line| Wire::read(&line.text) != Wire::Hello);
        lines.map(|line| line.text.clone()).collect()
    }

    /// The numbers that were answered, in the order of the answers.
    pub(super) fn answered(&self) -> Vec<u32> {
        let lines = self.driven.lines_on(Stream::Out);
        lines
            .filter_map(|line| {
                if let Wire::Answer { n, .. } = Wire::read(&line.text) { Some(n) } else { None }
            })
            .collect()
    }

    /// Waits until the program has ended with status 0, which must be no later than `limit` after
    /// `from`.
    pub(super) fn ends_within(&mut self, limit: Duration, from: Instant) -> Outcome {
        let deadline = from + limit;
        if self.driven.wait(deadline, Driven::ended).is_none() {
            return Err(Verdict::NotShown(format!(
                "still running {:.1} s later{}",
                limit.as_secs_f64(),
                self.said()
            )));
        }
        // It has ended; its last lines may still be on their way to us.
        let status = self.driven.end_by(Instant::now() + PATIENCE).map_err(|_| {
            Verdict::NotShown(
                "it ended, and something it left behind holds its output open".to_owned(),
            )
        })?;
        match shell_status(status) {
            0 => Ok(()),
            status => {
                Err(Verdict::NotShown(format!("it ended with status {status}{}", self.said())))
            }
        }
    }

    /// What was seen, for a reason: the end of the dialogue, and what was said on standard error.
    pub(super) fn said(&self) -> String {
        let last = self.driven.lines_on(Stream::Out).last();
        let last = last.map_or("no line of it was read".to_owned(), |line| {
            format!("its last line is {:?}", line.text)
        });
        let error = self
            .driven
            .lines_on(Stream::Err)
            .last()
            .map(|line| format!(", and on stderr {:?}", line.text));
        format!("; {last}{}", error.unwrap_or_default())
    }
}

fn hellos(driven: &Driven) -> impl Iterator<Item = Instant> {
    driven
        .lines_on(Stream::Out)
        .filter(|line| Wire::read(&line.text) == Wire::Hello)
        .map(|line| line.at)
}

fn answer_to(driven: &Driven, asked: u32) -> Option<Instant> {
    let right = Wire::Answer { n: asked, value: right_answer(asked) };
    let is_it = |line: &&Line| Wire::read(&line.text) == right;
    driven.lines_on(Stream::Out).find(is_it).map(|line| line.at)
}

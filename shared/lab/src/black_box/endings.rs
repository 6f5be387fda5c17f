//! B8, B9, B10, B14, B16: does the program end when it should, as it should, and not before?

use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::calibration::slow;
use super::talk::{END_LIMIT, PATIENCE, Setting, Talk, not_judged, talk};
use super::timing::timed;
use super::{Outcome, Subject, verdict};
use crate::driven::{Input, Output};
use crate::verdict::Verdict;

/// A pending answer that takes longer than the half second that `exit` would grant it: the end of
/// input is no `exit`.
const PENDING: Duration = Duration::from_millis(600);

/// B8: a slow answer is pending when the input ends, and the last line has no newline.
pub(super) fn at_end_of_input(subject: &Subject) -> Verdict {
    timed(END_LIMIT, |limit| {
        let pending = slow(PENDING);
        talk(subject, &Setting::quiet(), |talk| {
            talk.first_hello()?;
            talk.send(format!("{}\n20", pending.n))?;
            talk.driven.close_input();
            let answers = talk.slow_answers(&[pending.n, 20])?;
            let last = answers.into_iter().max().unwrap_or(talk.started);
            talk.ends_within(limit, last)
        })
    })
}

/// B9: alone, and with lines before and after it in the same write.
pub(super) fn at_exit(subject: &Subject) -> Verdict {
    timed(END_LIMIT, |limit| {
        talk(subject, &Setting::quiet(), |talk| {
            talk.first_hello()?;
            says_exit(talk, "exit\n", limit)
        })?;
        talk(subject, &Setting::quiet(), |talk| {
            talk.first_hello()?;
            says_exit(talk, "3\nexit\n4\n", limit)?;
            match talk.answered().as_slice() {
                [3] => Ok(()),
                other => {
                    Err(Verdict::NotShown(format!("3, exit, 4 were typed, and {other:?} answered")))
                }
            }
        })
    })
}

/// Types `text`, in which there is an `exit`: the program ends in time although its input stays
/// open.
fn says_exit(talk: &mut Talk, text: &str, limit: Duration) -> Outcome {
    let typed = Instant::now();
    talk.send(text)?;
    talk.ends_within(limit, typed).map_err(|verdict| match verdict {
        Verdict::NotShown(why) => Verdict::NotShown(format!("after {text:?}: {why}")),
        other => other,
    })
}

/// B10: both are always ready to be read, and epoll refuses both.
pub(super) fn of_a_file(subject: &Subject) -> Verdict {
    let judged = Questions::new("10\n20\n").map_err(|error| not_judged(&error)).and_then(|file| {
        reads_all(subject, Input::File(file.0.clone()), &[10, 20])?;
        reads_all(subject, Input::Null, &[])
    });
    verdict(judged)
}

fn reads_all(subject: &Subject, input: Input, asked: &[u32]) -> Outcome {
    let setting = Setting { input, ..Setting::quiet() };
    talk(subject, &setting, |talk| {
        talk.first_hello()?;
        talk.answers(asked)?;
        talk.ends_within(PATIENCE, Instant::now())
    })
}

/// A file of questions, which is removed when this is dropped.
struct Questions(PathBuf);

impl Questions {
    fn new(text: &str) -> io::Result<Questions> {
        static NEXT: AtomicUsize = AtomicUsize::new(0); // probes may run side by side
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("lab-questions-{}-{number}", std::process::id()));
        fs::write(&path, text)?;
        Ok(Questions(path))
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        // Somebody else may have cleaned up; there is nothing better to do than to go on.
        let _ = fs::remove_file(&self.0);
    }
}

/// The shortest period that the programs take: hellos alone fill the small pipe in a fifth of a
/// second.
const RAPID: Duration = Duration::from_millis(1);

/// Where no byte has come for so long, with a hello due every millisecond, either the pipe is full
/// or no hello comes by itself; and a program that would write into the full pipe has tried.
const SETTLED: Duration = Duration::from_millis(150);

/// A pipe with less room than this is full: an answer or a hello is longer, and a write of a whole
/// line waits for room.
const ROOM_FOR_NOTHING: u64 = 24;

/// B14: hellos fill the pipe that nobody reads, then `exit` comes alone.
///
/// Where hellos do not come by themselves, as in a program that waits for input between them, its
/// answers fill the pipe.
pub(super) fn while_output_is_full(subject: &Subject) -> Verdict {
    timed(END_LIMIT, |limit| {
        let setting = Setting { output: Output::Unread, ..Setting::with_period(RAPID) };
        talk(subject, &setting, |talk| {
            let output = talk.driven.unread.take().expect("Output::Unread gives the reading end");
            let size = shrink(&output);
            let mut output = BufReader::with_capacity(1, output);
            output.read_line(&mut String::new()).map_err(|error| not_judged(&error))?;
            fill(talk, output.get_ref(), size)?;
            says_exit(talk, "exit\n", limit).map_err(|verdict| match verdict {
                Verdict::NotShown(why) => Verdict::NotShown(format!("with a full stdout, {why}")),
                other => other,
            })
        })
    })
}

#[cfg(target_os = "linux")]
fn shrink(pipe: &PipeReader) -> Option<u64> {
    /// A page, the least a pipe can hold: full after some 150 hellos.
    const SMALL_PIPE: usize = 4096;

    rustix::pipe::fcntl_setpipe_size(pipe, SMALL_PIPE)
        .ok()
        .and_then(|size| u64::try_from(size).ok())
}

/// Other systems have pipes of a size that they do not tell.
#[cfg(not(target_os = "linux"))]
fn shrink(_: &PipeReader) -> Option<u64> {
    None
}

/// Waits until the program has filled the pipe; gives it questions when it does not do so by
/// itself.
fn fill(talk: &mut Talk, output: &PipeReader, size: Option<u64>) -> Outcome {
    /// Enough answers for the small pipe, few enough that the questions fit a pipe of their own.
    const QUESTIONS: usize = 1000;
    let Some(size) = size else {
        return Err(Verdict::NotJudged("nobody here says how large a pipe is".to_owned()));
    };
    let full = |held: u64| held + ROOM_FOR_NOTHING > size;
    if full(settled(output)?) {
        return Ok(());
    }
    talk.send("0\n".repeat(QUESTIONS))?;
    match settled(output)? {
        held if full(held) => Ok(()),
        held => {
            Err(Verdict::NotJudged(format!("the program did not fill its output: {held} bytes")))
        }
    }
}

/// How much the pipe holds once that has not changed for a while.
fn settled(output: &PipeReader) -> Outcome<u64> {
    /// No event tells that nothing happens: look this often.
    const LOOK: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + PATIENCE;
    let (mut held, mut since) = (0, Instant::now());
    while since.elapsed() < SETTLED && Instant::now() < deadline {
        let now = rustix::io::ioctl_fionread(output).map_err(|error| not_judged(&error.into()))?;
        if now != held {
            (held, since) = (now, Instant::now());
        }
        std::thread::sleep(LOOK);
    }
    Ok(held)
}

/// A fib that takes so many times the limit is far from its end when the limit is over.
const VERY_SLOW: u32 = 3;

/// CPU time after which the fib is certainly running: reading a line takes less than a millisecond.
const RUNNING: Duration = Duration::from_millis(60);

/// B16.
pub(super) fn during_a_long_fib(subject: &Subject) -> Verdict {
    timed(END_LIMIT, |limit| {
        let long = slow(limit * VERY_SLOW);
        talk(subject, &Setting::quiet(), |talk| {
            talk.first_hello()?;
            talk.send(format!("{}\n", long.n))?;
            wait_until_running(talk)?;
            says_exit(talk, "exit\n", limit)
        })
    })
}

fn wait_until_running(talk: &Talk) -> Outcome {
    /// The kernel counts CPU time in hundredths of a second: looking more often shows nothing new.
    const LOOK: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + PATIENCE;
    while talk.driven.family().cpu_time().map_err(|error| not_judged(&error))? < RUNNING {
        if Instant::now() > deadline {
            return Err(Verdict::NotJudged("the slow fib did not begin".to_owned()));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

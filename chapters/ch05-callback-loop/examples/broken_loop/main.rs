//! An event loop of some thirty lines, and the ten bugs in it.
//!
//! A text on asyncio shows this loop as a simplification. Here it is in Rust, line by line, with
//! coroutines as lists of steps. (A name that the text never defines is looked up at run time, as
//! Python does.) Ten questions are put to it, and to this chapter's loop. Read `run_until_complete`
//! and `run_one_task` first, and write down what you find. Did you find ten?
//!
//! `cargo run -p ch05-callback-loop --example broken_loop`

#![forbid(unsafe_code)]

mod coroutine;
mod ours;
mod seed;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, PipeReader, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ch05_callback_loop::EventLoop;
use coroutine::{Future, Loop, Raised, Step, Steps, Task};
use lab::experiment::{Experiment, Judgement, Report};
use ours::Ours;
use seed::Broken;

const EXPERIMENT: Experiment = Experiment::new("ch05-callback-loop", "broken_loop");

fn steps<const N: usize>(steps: [Box<dyn FnOnce() -> Step>; N]) -> Steps {
    VecDeque::from(steps)
}

/// Returns at once.
fn nop(value: u32) -> Steps {
    steps([Box::new(move || Step::Return(value))])
}

/// Awaits a future, and then sets a flag.
fn awaiting(future: Future) -> (Steps, Rc<Cell<bool>>) {
    let flag = Rc::new(Cell::new(false));
    let its_flag = Rc::clone(&flag);
    let after = move || {
        its_flag.set(true);
        Step::Return(0)
    };
    (steps([Box::new(|| Step::Await(future)), Box::new(after)]), flag)
}

/// A pipe with a byte in it.
fn byte() -> Rc<PipeReader> {
    let (reader, mut writer) = io::pipe().expect("two descriptors are free");
    writer.write_all(b"x").expect("the pipe is empty");
    Rc::new(reader)
}

fn done() -> Step {
    let future = Future::default();
    future.set(Ok(0));
    Step::Await(future)
}

type Question = (&'static str, Given, fn(&dyn Loop) -> Result<bool, Raised>);

/// Which of the undefined names a reader has put in, to get as far as this question.
type Given = fn() -> Broken;

fn as_printed() -> Broken {
    Broken::default()
}

fn with_task() -> Broken {
    Broken { task: Some(Task::new), ..Broken::default() }
}

fn with_both() -> Broken {
    Broken { calculate_timeout: Some(|| 0), ..with_task() }
}

/// Each is answered by what was asked for (true), by its absence (false), or by an error.
const QUESTIONS: [Question; 10] = [
    ("1 waits for input when nothing else is left", with_both, |l| awaited(l, l.readable(byte()))),
    ("2 wakes who sleeps", with_both, |l| awaited(l, l.sleep(Duration::from_millis(1)))),
    ("3 knows how long it may wait", with_task, |l| l.run_until_complete(nop(0)).map(|_| true)),
    ("4 sees input while tasks are ready", with_both, |l| {
        let (reads, has_read) = awaiting(l.readable(byte()));
        l.create_task(reads);
        let mut busy: Steps = (0..10).map(|_| Box::new(done) as _).collect();
        let saw = Rc::new(Cell::new(false));
        let told = Rc::clone(&saw);
        busy.push_back(Box::new(move || {
            told.set(has_read.get());
            Step::Return(0)
        }));
        l.run_until_complete(busy)?;
        Ok(saw.get())
    }),
    ("5 lets a task give way", with_both, |l| {
        l.run_until_complete(steps([Box::new(|| Step::Yield)])).map(|_| true)
    }),
    ("6 outlives a task that fails", with_both, |l| {
        l.create_task(steps([Box::new(|| Step::Raise("ValueError"))]));
        l.run_until_complete(nop(0)).map(|_| true)
    }),
    ("7 wakes who awaits a task", with_both, |l| {
        let takes_longer = steps([Box::new(done), Box::new(|| Step::Return(1))]);
        awaited(l, l.create_task(takes_longer))
    }),
    ("8 returns the value", with_both, |l| Ok(l.run_until_complete(nop(5))? == Some(5))),
    ("9 starts", as_printed, |l| l.run_until_complete(nop(0)).map(|_| true)),
    ("10 is woken by another thread", with_both, |l| {
        let (future, set) = l.remote();
        let thread = thread::spawn(move || set(1));
        let was_woken = awaited(l, future);
        thread.join().map_err(|_| "the thread panicked")?;
        was_woken
    }),
];

fn awaited(event_loop: &dyn Loop, future: Future) -> Result<bool, Raised> {
    let (main, flag) = awaiting(future);
    event_loop.run_until_complete(main)?;
    Ok(flag.get())
}

fn ours() -> io::Result<Ours> {
    Ok(Ours(Rc::new(EventLoop::new()?)))
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("ten times no from the loop of the text, ten times yes from ours")?;
    let answer = |answer: Result<bool, Raised>| match answer {
        Ok(true) => "yes",
        Ok(false) => "no",
        Err(error) => error,
    };
    report.say(format_args!("{:<46} {:<5}the loop of the text", "the loop …", "ours"))?;
    let (mut bugs, mut yes) = (0, 0);
    for (what, given, ask) in QUESTIONS {
        let (its, our) = (ask(&given()), ask(&ours()?));
        bugs += u32::from(its != Ok(true));
        yes += u32::from(our == Ok(true));
        report.say(format_args!("{what:<46} {:<5}{}", answer(our), answer(its)))?;
    }
    report.say("")?;
    let judged = Judgement::of((bugs, yes) == (10, 10), || format!("{bugs} bugs, {yes} of ours"));
    report.claim("C20", f64::from(bugs), "bugs", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loop of the text answers like this, and ours yes.
    #[track_caller]
    fn assert_bug(number: usize, seen: Result<bool, Raised>) {
        let (what, given, ask) = QUESTIONS[number - 1];
        assert_eq!(ask(&given()), seen, "{what}");
        assert_eq!(ask(&ours().expect("descriptors are free")), Ok(true), "{what}");
    }

    #[test]
    fn bug_1_it_ends_while_a_task_waits_for_input() {
        assert_bug(1, Ok(false));
    }

    #[test]
    fn bug_2_a_timer_never_fires() {
        assert_bug(2, Ok(false));
    }

    #[test]
    fn bug_3_nothing_says_how_long_it_may_wait() {
        assert_bug(3, Err("AttributeError: _calculate_timeout"));
    }

    #[test]
    fn bug_4_input_starves_while_tasks_are_ready() {
        assert_bug(4, Ok(false));
    }

    #[test]
    fn bug_5_a_task_cannot_give_way() {
        assert_bug(5, Err("AttributeError: None has no add_done_callback"));
    }

    #[test]
    fn bug_6_one_task_that_fails_ends_all() {
        assert_bug(6, Err("ValueError"));
    }

    #[test]
    fn bug_7_who_awaits_a_task_is_never_woken() {
        assert_bug(7, Ok(false));
    }

    #[test]
    fn bug_8_it_returns_nothing() {
        assert_bug(8, Ok(false));
    }

    #[test]
    fn bug_9_it_uses_a_task_that_nothing_defines() {
        assert_bug(9, Err("NameError: Task"));
    }

    #[test]
    fn bug_10_another_thread_cannot_wake_it() {
        assert_bug(10, Ok(false));
    }
}

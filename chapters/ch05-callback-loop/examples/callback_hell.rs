//! A login in three steps, in callbacks: what became of the error?
//!
//! Find the user, check the password, load the profile: each step asks somebody else and is called
//! back. It is written three times: straight, with callbacks inside each other, and the same with
//! one branch forgotten. Each step fails once. Predict who hears of which failure.
//!
//! `cargo run -p ch05-callback-loop --example callback_hell`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use ch05_callback_loop::EventLoop;
use lab::experiment::{Experiment, Report};

const EXPERIMENT: Experiment = Experiment::new("ch05-callback-loop", "callback_hell");

type Answer = Result<&'static str, &'static str>;

/// Which of the three steps fails, if any.
type Failing = Option<usize>;

const STEPS: [(&str, &str); 3] =
    [("user 7", "no such user"), ("right", "wrong password"), ("profile of 7", "no profile")];

/// What the other side answers to a step.
fn answer(step: usize, failing: Failing) -> Answer {
    let (value, error) = STEPS[step];
    if failing == Some(step) { Err(error) } else { Ok(value) }
}

/// Asks, and is called back in a later turn.
fn ask(
    event_loop: &EventLoop,
    step: usize,
    failing: Failing,
    callback: impl FnOnce(&EventLoop, Answer) + 'static,
) {
    event_loop.call_soon(move |event_loop| callback(event_loop, answer(step, failing)));
}

// ANCHOR: straight
fn straight(failing: Failing) -> Answer {
    answer(0, failing)?;
    answer(1, failing)?;
    answer(2, failing)
}
// ANCHOR_END: straight

// ANCHOR: nested
fn nested(event_loop: &EventLoop, failing: Failing, done: impl FnOnce(Answer) + 'static) {
    ask(event_loop, 0, failing, move |event_loop, user| match user {
        Err(error) => done(Err(error)),
        Ok(_) => ask(event_loop, 1, failing, move |event_loop, password| match password {
            Err(error) => done(Err(error)),
            Ok(_) => ask(event_loop, 2, failing, move |_, profile| done(profile)),
        }),
    });
}
// ANCHOR_END: nested

// ANCHOR: forgotten
/// WRONG: one branch is missing, and nothing warns.
fn forgotten(event_loop: &EventLoop, failing: Failing, done: impl FnOnce(Answer) + 'static) {
    ask(event_loop, 0, failing, move |event_loop, user| match user {
        Err(error) => done(Err(error)),
        Ok(_) => ask(event_loop, 1, failing, move |event_loop, password| {
            if password.is_ok() {
                ask(event_loop, 2, failing, move |_, profile| done(profile));
            }
        }),
    });
}
// ANCHOR_END: forgotten

/// What `done` was told, if it was called.
fn told(login: impl FnOnce(&EventLoop, Box<dyn FnOnce(Answer)>)) -> io::Result<Option<Answer>> {
    let (event_loop, told) = (EventLoop::new()?, Rc::new(RefCell::new(None)));
    let its_told = Rc::clone(&told);
    login(&event_loop, Box::new(move |answer| *its_told.borrow_mut() = Some(answer)));
    event_loop.run_forever()?; // ends when nothing can happen any more
    Ok(told.take())
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("straight and nested tell the same, and the forgotten branch nothing")?;
    report.say(format_args!("{:<11}{:<23}{:<23}forgotten", "step fails", "straight", "nested"))?;
    let name = |answer: Option<Answer>| match answer {
        None => "nobody hears of it".to_owned(),
        Some(Ok(value)) => value.to_owned(),
        Some(Err(error)) => format!("error: {error}"),
    };
    for failing in [None, Some(0), Some(1), Some(2)] {
        let in_callbacks = told(|event_loop, done| nested(event_loop, failing, done))?;
        let silent = told(|event_loop, done| forgotten(event_loop, failing, done))?;
        let step = failing.map_or("none".to_owned(), |step| (step + 1).to_string());
        let [a, b, c] = [Some(straight(failing)), in_callbacks, silent].map(name);
        report.say(format_args!("{step:<11}{a:<23}{b:<23}{c}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Failing; 4] = [None, Some(0), Some(1), Some(2)];

    #[test]
    fn in_callbacks_each_step_has_to_hand_its_error_on() {
        for failing in ALL {
            let told = told(|event_loop, done| nested(event_loop, failing, done));
            assert_eq!(told.expect("descriptors are free"), Some(straight(failing)));
        }
    }

    #[test]
    fn of_a_forgotten_branch_nobody_hears() {
        let heard = ALL.map(|failing| {
            let told = told(|event_loop, done| forgotten(event_loop, failing, done));
            told.expect("descriptors are free")
        });
        let expected = [Some(Ok("profile of 7")), Some(Err("no such user")), None];
        assert_eq!(heard[..3], expected);
        assert_eq!(heard[3], Some(Err("no profile")));
    }
}

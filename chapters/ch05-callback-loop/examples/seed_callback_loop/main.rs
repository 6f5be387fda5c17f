//! A callback loop of twenty lines, as a text on asynchronous programs prints it. What is wrong
//! with it?
//!
//! The loop keeps timers in order, asks its selector, and calls back: the whole idea of chapter 5.
//! Here it is in Rust, with its input and its clock handed in. Predict: how many turns it takes
//! while nothing happens; which of three lines that come at once it answers; what `x` and the end
//! of the input do; how many hellos come in a minute; and what a clock that is set back does.
//!
//! `cargo run -p ch05-callback-loop --example seed_callback_loop`

#![forbid(unsafe_code)]

mod seed;

use std::cell::{Cell, RefCell};
use std::io::{self, BufReader, Write};
use std::process::ExitCode;

use fib_timing::fib;
use lab::experiment::{Experiment, Report};
use seed::{OnTime, Ours, Raised, SeedLoop};

const EXPERIMENT: Experiment = Experiment::new("ch05-callback-loop", "seed_callback_loop");

fn on_stdin_input(seed: &SeedLoop, line: &str) -> Raised {
    if line == "exit" {
        seed.running.set(false);
        return Ok(());
    }
    let n = line.parse().map_err(|_| "ValueError: invalid literal for int()")?;
    seed.say(format!("fib({n}) = {}", fib(n)));
    Ok(())
}

fn print_hello(seed: &SeedLoop) -> Raised {
    seed.say(format!("{:.1} - Hello world!", seed.time()));
    seed.add_timer(3.0, print_hello)
}

/// For the same time as a hello.
fn print_once(seed: &SeedLoop) -> Raised {
    seed.say("once".into());
    Ok(())
}

// ANCHOR: f
/// In the text nobody calls it. It returns a function that keeps `x`. Without `move`, that function
/// would borrow `x`, which is gone when `f` returns, and it would not compile.
fn f(x: String) -> impl Fn() -> String {
    move || x.clone()
}
// ANCHOR_END: f

struct Ended {
    said: Vec<String>,
    how: Raised,
    turns: u64,
}

/// Runs the program for some turns at most. `timers` are added at the start, for now.
fn run(input: &str, is_closed: bool, timers: &[OnTime], turns_max: u64, time: Clock) -> Ended {
    let (stdin, mut writer) = io::pipe().expect("two descriptors are free");
    writer.write_all(input.as_bytes()).expect("the pipe is empty");
    let _open = (!is_closed).then_some(writer);
    let seed = SeedLoop {
        running: Cell::new(false),
        stdin: RefCell::new(BufReader::new(stdin)),
        stdin_handlers: vec![on_stdin_input],
        timers: RefCell::default(),
        ours: Ours { time, turns: Cell::new(0), turns_max, said: RefCell::default() },
    };
    let added = timers.iter().try_for_each(|timer| seed.add_timer(0.0, *timer));
    let how = added.and_then(|()| seed.run_forever());
    Ended { said: seed.ours.said.take(), how, turns: seed.ours.turns.get().min(turns_max) }
}

type Clock = fn(u64) -> f64;

/// A turn takes 0.7 s.
fn clock(turn: u64) -> f64 {
    turn as f64 * 0.7
}

/// The same, and set back by an hour after 30 s.
fn clock_set_back(turn: u64) -> f64 {
    let time = clock(turn);
    if time < 30.0 { time } else { time - 3600.0 }
}

/// So many turns are a minute.
const MINUTE: u64 = 85;

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    const TURNS: u64 = 10_000;

    report.expects("it never sleeps, answers one line of three, and dies of the rest")?;
    let idle = run("", false, &[], TURNS, clock);
    report.say(format_args!("nothing happens       {} turns of {TURNS}", idle.turns))?;
    let two: &[OnTime] = &[print_hello, print_once];
    for (what, input, is_closed, timers) in [
        ("exit alone", "exit\n", false, &[] as &[OnTime]),
        ("10, 11, exit at once", "10\n11\nexit\n", false, &[]),
        ("x", "x\n", false, &[]),
        ("the end of the input", "", true, &[]),
        ("two timers at once", "", false, two),
    ] {
        let Ended { said, how, turns } = run(input, is_closed, timers, TURNS, clock);
        let how = match how {
            Ok(()) if turns == TURNS => "still running",
            Ok(()) => "ended",
            Err(error) => error,
        };
        report.say(format_args!("{what:<21} {said:?} {how}"))?;
    }
    let hellos = |clock| run("", false, &[print_hello], MINUTE, clock).said;
    let said = hellos(clock);
    let first: Vec<&str> = said.iter().take(3).map(String::as_str).collect();
    report.say(format_args!("hellos in a minute    {}: {}, …", said.len(), first.join(", ")))?;
    report.say(format_args!(
        "the clock set back    {} in the minute",
        hellos(clock_set_back).len()
    ))?;
    report.say(f("f(x)                  keeps its x".to_owned())())
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: u64 = 1000;

    #[test]
    fn while_nothing_happens_it_turns_and_turns() {
        assert_eq!(run("", false, &[], TURNS, clock).turns, TURNS);
    }

    #[test]
    fn of_lines_that_come_at_once_it_answers_the_first() {
        let ended = run("10\n11\nexit\n", false, &[], TURNS, clock);
        assert_eq!((ended.said, ended.turns), (vec!["fib(10) = 55".to_owned()], TURNS));
    }

    #[test]
    fn an_exit_that_comes_alone_is_honoured() {
        let ended = run("exit\n", false, &[print_hello], TURNS, clock);
        assert_eq!((ended.how, ended.turns), (Ok(()), 1));
    }

    #[test]
    fn a_line_that_is_no_number_ends_it_and_so_does_the_end_of_the_input() {
        let error = Err("ValueError: invalid literal for int()");
        assert_eq!(run("x\n", false, &[], TURNS, clock).how, error);
        assert_eq!(run("", true, &[], TURNS, clock).how, error);
    }

    #[test]
    fn two_functions_for_the_same_time_end_it() {
        let ended = run("", false, &[print_hello, print_once], TURNS, clock);
        assert!(ended.how.is_err_and(|error| error.starts_with("TypeError")));
    }

    #[test]
    fn the_same_function_twice_for_the_same_time_is_accepted() {
        let ended = run("", false, &[print_hello, print_hello], 10, clock);
        assert_eq!(ended.how, Ok(()));
        let hellos = ["0.7", "0.7", "4.2", "4.2"];
        assert_eq!(ended.said, hellos.map(|time| format!("{time} - Hello world!")));
    }

    #[test]
    fn the_lateness_of_each_hello_is_added_to_the_next() {
        let said = run("", false, &[print_hello], 30, clock).said;
        let hellos = ["0.7", "4.2", "7.7", "11.2", "14.7", "18.2"];
        assert_eq!(said, hellos.map(|time| format!("{time} - Hello world!")));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_the_hellos() {
        let hellos = |clock| run("", false, &[print_hello], MINUTE, clock).said.len();
        assert_eq!((hellos(clock), hellos(clock_set_back)), (17, 9));
    }

    #[test]
    fn f_keeps_its_x() {
        assert_eq!(f("x".to_owned())(), "x");
    }
}

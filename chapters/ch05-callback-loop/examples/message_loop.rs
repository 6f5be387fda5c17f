//! The smallest message loop, in five lines. Three things are wrong with it.
//!
//! "While true: if there are messages, pop one and process it." Messages 1, 2 and 3 are in the
//! queue. Predict the order in which they are processed, what the loop does while the queue is
//! empty, and how it ends.
//!
//! `cargo run -p ch05-callback-loop --example message_loop`

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lab::cpu_time;
use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch05-callback-loop", "message_loop");

// ANCHOR: wrong
/// BROKEN: the loop of the text. `goes_on` is ours: its own condition is `true`.
fn message_loop(
    messages: &Mutex<VecDeque<u32>>,
    mut process: impl FnMut(u32),
    mut goes_on: impl FnMut() -> bool,
) {
    while goes_on() {
        let message = messages.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
        if let Some(message) = message {
            process(message);
        }
    }
}
// ANCHOR_END: wrong

// ANCHOR: right
/// First in, first out; sleeps while there is none; ends when nobody can send any more.
fn message_loop_repaired(messages: mpsc::Receiver<u32>, process: impl FnMut(u32)) {
    messages.into_iter().for_each(process);
}
// ANCHOR_END: right

struct Seen {
    order: Vec<u32>,
    /// The part of a wait for a message that it was on a CPU.
    idle: f64,
}

/// How long the wait for a message takes.
const WAIT: Duration = Duration::from_millis(100);

fn part_on_cpu(work: impl FnOnce()) -> f64 {
    let on_cpu = || cpu_time::of_thread().unwrap_or_default(); // no error on a Unix
    let (start, before) = (Instant::now(), on_cpu());
    work();
    (on_cpu() - before).div_duration_f64(start.elapsed())
}

fn measure_wrong() -> Seen {
    let (messages, mut order) = (Mutex::new(VecDeque::from([1, 2, 3])), Vec::new());
    let mut turns = 0;
    message_loop(
        &messages,
        |message| order.push(message),
        || {
            turns += 1;
            turns <= 1000 // and there are three messages: it does not end by itself
        },
    );
    let end = Instant::now() + WAIT;
    let idle = part_on_cpu(|| message_loop(&messages, drop_message, || Instant::now() < end));
    Seen { order, idle }
}

fn measure_repaired() -> Seen {
    let (send, messages) = mpsc::channel();
    for message in 1..=3 {
        send.send(message).expect("we have the other end");
    }
    drop(send);
    let mut order = Vec::new();
    message_loop_repaired(messages, |message| order.push(message));
    let (send, messages) = mpsc::channel();
    let idle = thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(WAIT);
            let _ = send.send(4);
        });
        part_on_cpu(|| message_loop_repaired(messages, drop_message))
    });
    Seen { order, idle }
}

fn drop_message(_: u32) {}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("3, 2, 1; it spins; it does not end")?;
    let (wrong, repaired) = (measure_wrong(), measure_repaired());
    let percent = |part: f64| part * 1e2;
    report.say("loop of the text")?;
    report.say(format_args!("    order {:?}", wrong.order))?;
    report.say(format_args!(
        "    on a CPU while there is no message: {:.0} %",
        percent(wrong.idle)
    ))?;
    report.say("repaired")?;
    report.say(format_args!("    order {:?}, and it ended", repaired.order))?;
    let idle = percent(repaired.idle);
    report.say(format_args!("    on a CPU while there is no message: {idle:.1} %\n"))?;
    let spins = wrong.idle > 0.9;
    let is_expected =
        spins && wrong.order == [3, 2, 1] && repaired.order == [1, 2, 3] && idle < 5.0;
    let judged = Judgement::of(is_expected, || "another order, or another time on a CPU".into());
    // Who spins for less had to share the core.
    let busy = (!spins && wrong.idle > 0.2).then(|| "the machine is busy".to_owned());
    report.claim(
        "C19",
        percent(wrong.idle),
        "% of a core, while there is no message",
        judged.unless(busy),
    )
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_message_comes_first_and_the_loop_has_no_end() {
        assert_eq!(measure_wrong().order, [3, 2, 1]);
    }

    #[test]
    fn it_asks_again_and_again_while_there_is_none() {
        let (messages, mut turns) = (Mutex::default(), 0);
        message_loop(&messages, drop_message, || {
            turns += 1;
            turns < 10_000
        });
        assert_eq!(turns, 10_000);
    }

    #[test]
    fn repaired_it_keeps_the_order_sleeps_and_ends() {
        let seen = measure_repaired();
        assert_eq!(seen.order, [1, 2, 3]);
        assert!(seen.idle < 0.2, "{}", seen.idle);
    }
}

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

use lab::experiment::{Experiment, Judgement, Report};
use lab::spent::Spent;

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
    /// A wait for a message.
    idle: Spent,
    /// Did it end by itself?
    has_ended: bool,
}

/// So many turns are allowed. There are three messages.
const TURNS: usize = 1000;

/// Who spins is on a CPU for more than this part of the time. What is missing to 1 is what a
/// virtual machine's host takes.
const SPINS: f64 = 0.8;

/// How long the wait for a message takes.
const WAIT: Duration = Duration::from_millis(100);

fn measure_wrong() -> io::Result<Seen> {
    let (messages, mut order) = (Mutex::new(VecDeque::from([1, 2, 3])), Vec::new());
    let mut turns = 0;
    message_loop(
        &messages,
        |message| order.push(message),
        || {
            turns += 1;
            turns < TURNS
        },
    );
    let end = Instant::now() + WAIT;
    let ((), idle) = Spent::on(|| message_loop(&messages, drop_message, || Instant::now() < end))?;
    Ok(Seen { order, idle, has_ended: turns < TURNS })
}

fn measure_repaired() -> io::Result<Seen> {
    let (send, messages) = mpsc::channel();
    for message in 1..=3 {
        send.send(message).expect("we have the other end");
    }
    drop(send);
    let mut order = Vec::new();
    message_loop_repaired(messages, |message| order.push(message));
    let (send, messages) = mpsc::channel();
    let ((), idle) = thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(WAIT);
            let _ = send.send(4);
        });
        Spent::on(|| message_loop_repaired(messages, drop_message))
    })?;
    Ok(Seen { order, idle, has_ended: true }) // or we were not here
}

fn drop_message(_: u32) {}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("3, 2, 1; it spins; it does not end")?;
    let (wrong, repaired) = (measure_wrong()?, measure_repaired()?);
    let percent = |spent: Spent| spent.part_on_cpu() * 1e2;
    report.say("loop of the text")?;
    let end = if wrong.has_ended { "it ended" } else { "it was stopped" };
    report.say(format_args!("    order {:?}, and {end} after {TURNS} turns", wrong.order))?;
    report.say(format_args!(
        "    on a CPU while there is no message: {:.0} %",
        percent(wrong.idle)
    ))?;
    report.say("repaired")?;
    report.say(format_args!("    order {:?}, and it ended", repaired.order))?;
    let idle = percent(repaired.idle);
    report.say(format_args!("    on a CPU while there is no message: {idle:.1} %\n"))?;
    let orders = wrong.order == [3, 2, 1] && !wrong.has_ended && repaired.order == [1, 2, 3];
    let times = wrong.idle.part_on_cpu() > SPINS && repaired.idle.on_cpu < WAIT / 20;
    let judged =
        Judgement::of(orders && times, || "another order, an end, or another time on a CPU".into());
    // A busy machine excuses the times, and not the orders.
    let reason = wrong.idle.disturbed().filter(|_| orders);
    let percent = percent(wrong.idle);
    report.claim("C19", percent, "% of a core, while there is no message", judged.unless(reason))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_message_comes_first_and_the_loop_has_no_end() {
        let seen = measure_wrong().expect("it is a Unix");
        assert_eq!(seen.order, [3, 2, 1]);
        assert!(!seen.has_ended, "it goes on until it is stopped");
    }

    #[test]
    fn it_asks_again_and_again_while_there_is_none() {
        let idle = measure_wrong().expect("it is a Unix").idle;
        let spins = Judgement::of(idle.part_on_cpu() > SPINS, || format!("{idle:?}"));
        spins.unless(idle.disturbed()).assert();
    }

    #[test]
    fn repaired_it_keeps_the_order_sleeps_and_ends() {
        let seen = measure_repaired().expect("it is a Unix");
        assert_eq!(seen.order, [1, 2, 3]);
        assert!(seen.idle.on_cpu < WAIT / 5, "{:?}", seen.idle);
    }
}

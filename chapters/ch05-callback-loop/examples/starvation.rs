//! How many callbacks may a loop run before it looks at its selector again?
//!
//! Ten callbacks queue themselves again, until 1,000 were called. A byte arrives during the fifth
//! call. Four loops differ in one line: they look after one callback, after what was ready at the
//! start of the turn (this chapter's), after 61, or when the queue is empty. Predict for each how
//! often it asks the kernel, and how many callbacks go before the reader of the byte.
//!
//! `cargo run -p ch05-callback-loop --example starvation`

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, PipeWriter, Write};
use std::process::ExitCode;
use std::rc::Rc;

use ch05_callback_loop::EventLoop;
use lab::experiment::{Experiment, Judgement, Report};

const EXPERIMENT: Experiment = Experiment::new("ch05-callback-loop", "starvation");

/// How many callbacks are ready at the start, how many calls there are in all, and during which one
/// the byte arrives.
const READY: usize = 10;
const CALLS: usize = 1000;
const ARRIVES: usize = 5;

enum Callback {
    Again,
    Reader,
}

/// A loop whose kernel is a counter: so it is the same each time.
#[derive(Default)]
struct TinyLoop {
    ready: VecDeque<Callback>,
    calls: usize,
    /// How often it asked the kernel.
    waits: usize,
    has_seen: bool,
    /// How many callbacks went before the reader.
    read_after: Option<usize>,
}

impl TinyLoop {
    fn wait(&mut self) {
        self.waits += 1;
        if self.calls >= ARRIVES && !self.has_seen {
            self.has_seen = true;
            self.ready.push_back(Callback::Reader);
        }
    }

    fn call(&mut self, callback: Callback) {
        match callback {
            Callback::Reader => self.read_after = Some(self.calls),
            Callback::Again => {
                self.calls += 1;
                if self.calls + self.ready.len() < CALLS {
                    self.ready.push_back(Callback::Again);
                }
            }
        }
    }

    // ANCHOR: run
    /// Turns until nothing is ready. `how_many` of what is ready does it run in a turn?
    fn run(mut self, how_many: fn(usize) -> usize) -> TinyLoop {
        self.ready.extend((0..READY).map(|_| Callback::Again));
        loop {
            self.wait();
            if self.ready.is_empty() {
                return self;
            }
            for _ in 0..how_many(self.ready.len()) {
                let Some(callback) = self.ready.pop_front() else { break };
                self.call(callback);
            }
        }
    }
    // ANCHOR_END: run
}

// ANCHOR: rules
type Rule = (&'static str, fn(usize) -> usize);

const RULES: [Rule; 4] = [
    ("one", |_| 1),
    ("what was ready", |ready| ready),
    ("61", |_| 61),
    ("until the queue is empty", |_| usize::MAX),
];
// ANCHOR_END: rules

/// The same on this chapter's loop, with a real byte in a real pipe, written by the fifth callback.
/// How many callbacks go before its reader?
fn real() -> io::Result<usize> {
    let event_loop = EventLoop::new()?;
    let (reader, writer) = io::pipe()?;
    let writer = Rc::new(writer);
    let calls = Rc::new(Cell::new(0));
    for _ in 0..READY {
        let (calls, writer) = (Rc::clone(&calls), Rc::clone(&writer));
        event_loop.call_soon(move |event_loop| again(event_loop, calls, writer));
    }
    let read_after = Rc::new(Cell::new(CALLS));
    let (told, counted) = (Rc::clone(&read_after), Rc::clone(&calls));
    event_loop.add_reader(Rc::new(reader), move |event_loop, _| {
        told.set(counted.get());
        event_loop.stop();
    });
    event_loop.run_forever()?;
    Ok(read_after.get())
}

fn again(event_loop: &EventLoop, calls: Rc<Cell<usize>>, writer: Rc<PipeWriter>) {
    calls.set(calls.get() + 1);
    if calls.get() == ARRIVES {
        (&*writer).write_all(b"x").expect("the pipe is empty, and its other end is open");
    }
    if calls.get() < CALLS {
        event_loop.call_soon(move |event_loop| again(event_loop, calls, writer));
    }
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("the more it runs, the fewer waits, and the later the reader")?;
    report.say(format_args!("{:<26}{:>6}{:>14}", "it runs", "waits", "reader after"))?;
    for (name, rule) in RULES {
        let TinyLoop { waits, read_after, .. } = TinyLoop::default().run(rule);
        let after = read_after.unwrap_or(CALLS);
        report.say(format_args!("{name:<26}{waits:>6}{after:>14}"))?;
    }
    let real = real()?;
    report.say(format_args!("{:<32}{real:>14}\n", "this chapter's loop"))?;
    // The turn in which the byte comes, and the one whose wait has seen it.
    let judged = Judgement::of(real == 2 * READY, || format!("{real} callbacks before the reader"));
    report.claim("C39", real as f64, "callbacks before the reader, in two turns", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits_and_read_after(rule: usize) -> (usize, usize) {
        let TinyLoop { waits, read_after, calls, .. } = TinyLoop::default().run(RULES[rule].1);
        assert_eq!(calls, CALLS);
        (waits, read_after.expect("the byte was read"))
    }

    #[test]
    fn who_looks_after_each_callback_asks_the_kernel_a_thousand_times() {
        assert_eq!(waits_and_read_after(0), (1002, 15));
    }

    #[test]
    fn who_runs_what_was_ready_asks_once_for_all_of_them() {
        assert_eq!(waits_and_read_after(1), (101, 20));
    }

    #[test]
    fn a_fixed_number_lies_between() {
        assert_eq!(waits_and_read_after(2), (18, 71));
    }

    #[test]
    fn who_empties_the_queue_reads_last() {
        assert_eq!(waits_and_read_after(3), (3, CALLS));
    }

    #[test]
    fn this_chapters_loop_reads_after_what_was_ready() {
        assert_eq!(real().expect("a pipe is free"), 2 * READY);
    }
}

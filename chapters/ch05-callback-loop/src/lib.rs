//! Give the loop a name.
//!
//! In chapter 4 the loop knew what it was waiting for: one line, one hello. Here the loop knows
//! nothing about either. It waits, and calls back: a function when a timer is due, a function when
//! there is something to read. The program turns inside out. What was a loop with local variables
//! becomes a function that asks to be called again, its variables move into a struct that the
//! callbacks share, and an error has no caller left to be returned to.

#![cfg(unix)]
#![forbid(unsafe_code)]

mod event_loop;
mod line_source;
mod offload;
mod pool;
mod remote;
mod selector;
mod timers;

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, answer, hello, next_point, timed};
use line_source::{LineSource, Next};

pub use event_loop::{EventLoop, Handle};
pub use offload::{PENDING_MAX, run_offloaded};
pub use remote::RemoteCall;

// ANCHOR: run
/// Says hello every `period` and answers the lines of `input` with `compute`, until the input ends
/// or a line says `exit`.
///
/// # Errors
///
/// What waiting for `input`, reading it or writing `output` returns,
/// [`io::ErrorKind::BrokenPipe`] included.
pub fn run(
    input: impl AsFd + 'static,
    output: impl Write + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + 'static,
) -> io::Result<()> {
    let event_loop = EventLoop::new()?;
    let program = Rc::new(Program::new(input, output, period));
    hellos(&event_loop, Rc::clone(&program));
    answers(&event_loop, Rc::clone(&program), Rc::new(compute));
    event_loop.run_forever()?;
    program.outcome()
}
// ANCHOR_END: run

// ANCHOR: program
/// What used to be local variables. The callbacks share it, so it is counted (`Rc`), and what they
/// change in it lies in cells.
struct Program<R, W> {
    input: Rc<R>,
    lines: RefCell<LineSource<Rc<R>>>,
    output: RefCell<W>,
    start: Instant,
    period: Duration,
    /// The error that ended the program. A callback has no caller to return it to.
    failure: RefCell<Option<io::Error>>,
}
// ANCHOR_END: program

// ANCHOR: hellos
/// The first promise: says hello, and asks to be called again when the next one is due.
fn hellos<R, W>(event_loop: &EventLoop, program: Rc<Program<R, W>>)
where
    R: AsFd + 'static,
    W: Write + 'static,
{
    program.say(event_loop, hello(SystemTime::now()));
    let next = next_point(program.start, program.period, Instant::now());
    event_loop.call_at(next, move |event_loop| hellos(event_loop, program));
}
// ANCHOR_END: hellos

// ANCHOR: answers
/// The second promise: answers the next line, and asks to be called again for the one after it.
/// Stops the loop when there is nothing more to answer.
fn answers<R, W, C>(event_loop: &EventLoop, program: Rc<Program<R, W>>, compute: Rc<C>)
where
    R: AsFd + 'static,
    W: Write + 'static,
    C: Fn(u32) -> u64 + 'static,
{
    let line = match program.next_line() {
        Next::Line(line) => line,
        Next::NotYet => {
            return program.clone().when_read(event_loop, move |event_loop| {
                answers(event_loop, program, compute);
            });
        }
        Next::End => return event_loop.stop(),
    };
    match Command::parse(&line) {
        Ok(Command::Blank) => {}
        Ok(Command::Exit) => return event_loop.stop(),
        Ok(Command::Fib(n)) => program.say(event_loop, answer(n, timed(|| compute(n)))),
        Err(error) => program.say(event_loop, error),
    }
    // One line per turn, and not by call_soon: a hello that fell due meanwhile goes first.
    event_loop.call_later(Duration::ZERO, move |event_loop| answers(event_loop, program, compute));
}
// ANCHOR_END: answers

impl<R: AsFd + 'static, W: Write + 'static> Program<R, W> {
    fn new(input: R, output: W, period: Duration) -> Program<R, W> {
        let input = Rc::new(input);
        Program {
            lines: RefCell::new(LineSource::new(Rc::clone(&input))),
            input,
            output: RefCell::new(output),
            start: Instant::now(),
            period,
            failure: RefCell::default(),
        }
    }

    /// After a failure there is none: what is ready in that turn still runs, and must not compute.
    fn next_line(&self) -> Next {
        if self.failure.borrow().is_some() {
            return Next::End;
        }
        self.lines.borrow_mut().next_line()
    }

    // ANCHOR: when_read
    /// Calls back when more of the input was read: waits until it is ready, and reads once.
    ///
    /// The descriptor is registered only until then. While lines that were read are still to be
    /// answered nobody reads on, so that a fast writer cannot fill our memory: it must wait.
    fn when_read(
        self: Rc<Self>,
        event_loop: &EventLoop,
        callback: impl FnOnce(&EventLoop) + 'static,
    ) {
        let input: Rc<dyn AsFd> = self.input.clone();
        let mut callback = Some(callback);
        event_loop.add_reader(input, move |event_loop, reader| {
            event_loop.cancel(reader);
            let read = self.lines.borrow_mut().read_once();
            match (read, callback.take()) {
                (Ok(()), Some(callback)) => callback(event_loop),
                (Ok(()), None) => {} // cancelled above, so it is not called twice
                (Err(error), _) => self.fail(event_loop, error),
            }
        });
    }
    // ANCHOR_END: when_read

    // ANCHOR: say
    /// One line, in one write, and a flush: what was said is seen.
    fn say(&self, event_loop: &EventLoop, line: impl Display) {
        let mut output = self.output.borrow_mut();
        let written = output.write_all(format!("{line}\n").as_bytes());
        if let Err(error) = written.and_then(|()| output.flush()) {
            self.fail(event_loop, error);
        }
    }

    /// Where `?` used to return an error, a callback can only put it down somewhere, and stop.
    fn fail(&self, event_loop: &EventLoop, error: io::Error) {
        self.failure.borrow_mut().get_or_insert(error); // the first is the cause
        event_loop.stop();
    }
    // ANCHOR_END: say

    fn outcome(&self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

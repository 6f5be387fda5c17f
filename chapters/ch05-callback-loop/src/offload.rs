//! The same program with the answers computed beside the loop.
//!
//! The loop hands each question to a pool, with the right to have one callback called, and goes on.
//! A hello waits for nobody's answer any more. In exchange the program has to know which of its
//! questions are open: at the end of the input, after `exit`, and when there are too many.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fib_timing::{Command, EXIT_GRACE, answer, timed};

use crate::event_loop::EventLoop;
use crate::line_source::Next;
use crate::pool::Pool;
use crate::{Program, hellos};

/// How many questions may be open at once. Beyond that the program reads no further, and so
/// whoever writes to it waits: otherwise a fast writer would fill the memory with questions. An
/// `exit` behind so many is not read before one of them is answered.
pub const PENDING_MAX: usize = 1024;

// ANCHOR: run_offloaded
/// Like [`run`](crate::run), with `workers` answers computed at once, on threads of a pool.
///
/// Answers come in the order in which they are ready. At the end of the input all of them are
/// waited for; after `exit`, those that are ready within [`EXIT_GRACE`].
///
/// # Errors
///
/// Those of [`run`](crate::run); where the system refuses another thread; and when `compute`
/// panics.
pub fn run_offloaded(
    input: impl AsFd + 'static,
    output: impl Write + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + Send + Sync + 'static,
    workers: NonZero<usize>,
) -> io::Result<()> {
    let event_loop = EventLoop::new()?;
    let program = Rc::new(Program::new(input, output, period));
    let offload = Rc::new(Offload {
        program: Rc::clone(&program),
        compute: Arc::new(compute),
        pool: Pool::new(workers)?,
        open: RefCell::default(),
        reading: Cell::new(Reading::On),
    });
    hellos(&event_loop, Rc::clone(&program));
    answers(&event_loop, offload);
    event_loop.run_forever()?;
    program.outcome()
}
// ANCHOR_END: run_offloaded

/// What the callbacks share, beside the program itself.
struct Offload<R, W, C> {
    program: Rc<Program<R, W>>,
    compute: Arc<C>,
    pool: Pool,
    /// The n of each question that has no answer yet, in the order in which they were asked.
    open: RefCell<Vec<u32>>,
    reading: Cell<Reading>,
}

/// How it stands with the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A callback for the next line is on its way.
    On,
    /// [`PENDING_MAX`] questions are open. The next answer sets the reading on again.
    Paused,
    /// There is nothing more to read. The last answer stops the loop.
    Over,
}

// ANCHOR: answers
/// The second promise: has the next line answered, and asks to be called again for the one after.
fn answers<R, W, C>(event_loop: &EventLoop, offload: Rc<Offload<R, W, C>>)
where
    R: AsFd + 'static,
    W: Write + 'static,
    C: Fn(u32) -> u64 + Send + Sync + 'static,
{
    let program = Rc::clone(&offload.program);
    let line = match program.next_line() {
        Next::Line(line) => line,
        Next::NotYet => {
            return program.when_read(event_loop, |event_loop| answers(event_loop, offload));
        }
        Next::End => return offload.end(event_loop),
    };
    match Command::parse(&line) {
        Ok(Command::Blank) => {}
        Ok(Command::Exit) => return offload.exit(event_loop),
        Ok(Command::Fib(n)) => Rc::clone(&offload).ask(event_loop, n),
        Err(error) => program.say(event_loop, error),
    }
    if offload.open.borrow().len() >= PENDING_MAX {
        offload.reading.set(Reading::Paused);
    } else {
        event_loop.call_later(Duration::ZERO, |event_loop| answers(event_loop, offload));
    }
}
// ANCHOR_END: answers

impl<R, W, C> Offload<R, W, C>
where
    R: AsFd + 'static,
    W: Write + 'static,
    C: Fn(u32) -> u64 + Send + Sync + 'static,
{
    // ANCHOR: ask
    /// Gives the question to the pool. The callback holds `Rc`s and stays on this thread; what goes
    /// to the other thread is the right to have it called.
    fn ask(self: Rc<Self>, event_loop: &EventLoop, n: u32) {
        self.open.borrow_mut().push(n);
        let compute = Arc::clone(&self.compute);
        let pool = self.pool.clone();
        let answered = event_loop.call_soon_threadsafe(move |event_loop, value| {
            self.answered(event_loop, n, value);
        });
        pool.spawn(move || answered.call(timed(|| compute(n))));
    }
    // ANCHOR_END: ask

    // ANCHOR: answered
    /// The value is there, or (`None`) the thread that computed it panicked.
    fn answered(self: Rc<Self>, event_loop: &EventLoop, n: u32, value: Option<(u64, Duration)>) {
        match value {
            Some(value) => self.program.say(event_loop, answer(n, value)),
            None => {
                let error = io::Error::other(format!("the thread that computed fib({n}) panicked"));
                self.program.fail(event_loop, error);
            }
        }
        let mut open = self.open.borrow_mut();
        let index =
            open.iter().position(|open| *open == n).expect("each question is answered once");
        open.remove(index);
        let none_open = open.is_empty();
        drop(open);
        match self.reading.get() {
            Reading::On => {}
            Reading::Paused => {
                self.reading.set(Reading::On);
                answers(event_loop, self);
            }
            Reading::Over if none_open => event_loop.stop(),
            Reading::Over => {}
        }
    }
    // ANCHOR_END: answered

    // ANCHOR: end
    /// The end of the input: the last answer stops the loop.
    fn end(&self, event_loop: &EventLoop) {
        self.reading.set(Reading::Over);
        if self.open.borrow().is_empty() {
            event_loop.stop();
        }
    }

    /// `exit`: what is ready soon is still answered, and what is not is named.
    fn exit(self: Rc<Self>, event_loop: &EventLoop) {
        self.end(event_loop);
        event_loop.call_later(EXIT_GRACE, move |event_loop| {
            let open = self.open.borrow();
            // None are open where the last answer came in this very turn.
            if !open.is_empty() {
                command_line::complain_abandoned(&open);
            }
            event_loop.stop();
        });
    }
    // ANCHOR_END: end
}

//! BROKEN: the loop as the text prints it, in Rust, line by line.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, PipeReader};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What ends a Python program with a traceback.
pub(crate) type Raised = Result<(), &'static str>;
pub(crate) type OnLine = fn(&SeedLoop, &str) -> Raised;
pub(crate) type OnTime = fn(&SeedLoop) -> Raised;

// ANCHOR: seed
/// BROKEN: the loop of the text.
pub(crate) struct SeedLoop {
    pub(crate) running: Cell<bool>,
    pub(crate) stdin: RefCell<BufReader<PipeReader>>,
    pub(crate) stdin_handlers: Vec<OnLine>,
    pub(crate) timers: RefCell<Vec<(f64, OnTime)>>,
    pub(crate) ours: Ours,
}

/// What we have put in: a clock that goes on from turn to turn, a limit, and a place for output.
pub(crate) struct Ours {
    pub(crate) time: fn(u64) -> f64,
    pub(crate) turns: Cell<u64>,
    pub(crate) turns_max: u64,
    pub(crate) said: RefCell<Vec<String>>,
}

impl SeedLoop {
    pub(crate) fn run_forever(&self) -> Raised {
        self.running.set(true);
        while self.running.get() && self.ours.turn() {
            // First check for available IO input
            if self.select_0() {
                let mut line = String::new();
                self.stdin.borrow_mut().read_line(&mut line).map_err(|_| "OSError")?;
                for callback in &self.stdin_handlers {
                    callback(self, line.trim())?;
                }
            }
            // Handle timer events
            while self.timers.borrow().first().is_some_and(|(due, _)| *due < self.time()) {
                let (_, handler) = self.timers.borrow_mut().remove(0);
                handler(self)?;
            }
        }
        Ok(())
    }

    /// `insort` of a pair, time and function.
    pub(crate) fn add_timer(&self, wait_time: f64, callback: OnTime) -> Raised {
        let (due, mut timers) = (self.time() + wait_time, self.timers.borrow_mut());
        // Where the times are equal, the functions are compared, unless they are the same one.
        let is_compared =
            |(other, f): &(f64, OnTime)| *other == due && !std::ptr::fn_addr_eq(*f, callback);
        if timers.iter().any(is_compared) {
            return Err("TypeError: '<' not supported between functions");
        }
        let place = timers.partition_point(|(other, _)| *other <= due);
        timers.insert(place, (due, callback));
        Ok(())
    }
    // ANCHOR_END: seed

    pub(crate) fn time(&self) -> f64 {
        (self.ours.time)(self.ours.turns.get())
    }

    /// `selector.select(0)`: is there anything? It does not wait.
    fn select_0(&self) -> bool {
        let stdin = self.stdin.borrow();
        let mut polled = [PollFd::new(stdin.get_ref(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).expect("poll(2) of our own pipe works");
        !polled[0].revents().is_empty()
    }

    pub(crate) fn say(&self, line: String) {
        self.ours.said.borrow_mut().push(line);
    }
}

impl Ours {
    fn turn(&self) -> bool {
        self.turns.set(self.turns.get() + 1);
        self.turns.get() <= self.turns_max
    }
}

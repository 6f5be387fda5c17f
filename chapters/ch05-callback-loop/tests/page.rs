//! What the page claims and no other test holds. Two ways that do not work stand beside the ways
//! that do, and the tests say how they fail.
#![cfg(unix)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use ch05_callback_loop::EventLoop;

/// What was said, in order.
type Said = Rc<RefCell<Vec<&'static str>>>;

const PERIOD: Duration = Duration::from_millis(1);

fn event_loop() -> EventLoop {
    EventLoop::new().expect("two descriptors are free")
}

fn run(event_loop: &EventLoop) {
    event_loop.run_forever().expect("our own descriptors can be polled");
}

/// Answers the first of `numbers`, and asks to be called again for the others. A hello falls due
/// while 42 is being computed.
fn answers(event_loop: &EventLoop, mut numbers: Vec<&'static str>, soon: bool, said: Said) {
    let number = numbers.remove(0);
    if number == "42" {
        let said = Rc::clone(&said);
        event_loop.call_at(Instant::now(), move |_| said.borrow_mut().push("hello"));
    }
    said.borrow_mut().push(number);
    if numbers.is_empty() {
        return;
    }
    let next = move |event_loop: &EventLoop| answers(event_loop, numbers, soon, said);
    if soon {
        event_loop.call_soon(next);
    } else {
        event_loop.call_later(Duration::ZERO, next);
    }
}

#[test]
fn with_call_soon_the_late_hello_comes_one_answer_later() {
    for (soon, expected) in [(true, ["42", "1", "hello", "2"]), (false, ["42", "hello", "1", "2"])]
    {
        let (event_loop, said) = (event_loop(), Said::default());
        answers(&event_loop, vec!["42", "1", "2"], soon, Rc::clone(&said));
        run(&event_loop);
        assert_eq!(*said.borrow(), expected);
    }
}

type Callback = fn(&mut TinyLoop);

/// A loop without a selector, with one hello. Its clock counts the callbacks that were called.
#[derive(Default)]
struct TinyLoop {
    ready: VecDeque<Callback>,
    now: u32,
    /// When each hello was said.
    hellos: Vec<u32>,
    /// The points of the grid that were found due.
    points: u32,
}

/// The period of the hellos, in callbacks.
const EVERY: u32 = 10;
const END: u32 = 100;

impl TinyLoop {
    /// Phase 3.
    fn queue_due(&mut self) {
        if self.now / EVERY > self.points {
            self.points = self.now / EVERY;
            self.ready.push_back(|tiny_loop| tiny_loop.hellos.push(tiny_loop.now));
        }
    }

    // ANCHOR: batch
    /// Phase 4: what becomes ready meanwhile has its turn in the next turn.
    fn run_what_was_ready(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(callback) = self.ready.pop_front() else { break };
            callback(self);
        }
    }
    // ANCHOR_END: batch

    // ANCHOR: drain
    /// BROKEN: phase 4, until the queue is empty.
    fn run_until_empty(&mut self) {
        while let Some(callback) = self.ready.pop_front() {
            callback(self);
        }
    }
    // ANCHOR_END: drain

    /// Turns with this phase 4 until nothing is ready any more. Says when the hellos came.
    fn run(mut self, phase_4: fn(&mut TinyLoop)) -> Vec<u32> {
        loop {
            self.queue_due();
            if self.ready.is_empty() {
                return self.hellos;
            }
            phase_4(&mut self);
        }
    }
}

// ANCHOR: again
/// A short callback that queues itself, until it was called a hundred times.
fn again(tiny_loop: &mut TinyLoop) {
    tiny_loop.now += 1;
    if tiny_loop.now < END {
        tiny_loop.ready.push_back(again);
    }
}
// ANCHOR_END: again

#[test]
fn draining_the_queue_until_it_is_empty_starves_the_hellos() {
    let busy = || TinyLoop { ready: VecDeque::from([again as Callback]), ..TinyLoop::default() };
    let on_time = busy().run(TinyLoop::run_what_was_ready);
    assert_eq!(on_time, [11, 21, 31, 41, 51, 61, 71, 81, 91, 100], "ten, a callback late at most");
    let starved = busy().run(TinyLoop::run_until_empty);
    assert_eq!(starved, [100], "one, when the callback had ended");
}

// ANCHOR: no_wake_up
/// BROKEN: the worker puts its answer into a queue, and each hello looks whether one is there.
fn hellos(event_loop: &EventLoop, answers: Receiver<&'static str>, said: Said) {
    said.borrow_mut().push("hello");
    said.borrow_mut().extend(answers.try_iter());
    event_loop.call_later(PERIOD, |event_loop| hellos(event_loop, answers, said));
}
// ANCHOR_END: no_wake_up

fn stop_after_three_lines(event_loop: &EventLoop, said: Said) {
    if said.borrow().len() >= 3 {
        return event_loop.stop();
    }
    event_loop.call_later(PERIOD, |event_loop| stop_after_three_lines(event_loop, said));
}

/// The answer is in the queue before the loop goes to sleep, and the loop sleeps all the same.
#[test]
fn an_answer_in_a_queue_waits_for_the_next_hello() {
    let (event_loop, said) = (event_loop(), Said::default());
    let (worker, answers) = mpsc::channel();
    hellos(&event_loop, answers, Rc::clone(&said));
    thread::spawn(move || worker.send("fib(10) = 55"))
        .join()
        .expect("the worker does not panic")
        .expect("the loop holds the other end");
    stop_after_three_lines(&event_loop, Rc::clone(&said));
    run(&event_loop);
    assert_eq!(said.borrow()[..3], ["hello", "hello", "fib(10) = 55"]);
}

#[test]
fn an_answer_that_wakes_the_loop_does_not() {
    let (event_loop, said) = (event_loop(), Said::default());
    let (_no_worker, answers) = mpsc::channel();
    hellos(&event_loop, answers, Rc::clone(&said));
    let its_said = Rc::clone(&said);
    let answered = event_loop.call_soon_threadsafe(move |_, answer: Option<&'static str>| {
        its_said.borrow_mut().extend(answer)
    });
    thread::spawn(move || answered.call("fib(10) = 55")).join().expect("the worker does not panic");
    stop_after_three_lines(&event_loop, Rc::clone(&said));
    run(&event_loop);
    assert_eq!(said.borrow()[..3], ["hello", "fib(10) = 55", "hello"]);
}

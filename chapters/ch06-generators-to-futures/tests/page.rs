//! What the page claims and no other test holds. A way that does not work stands beside the way
//! that does, and the test says how it fails.
#![cfg(unix)]

mod patience;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ch06_generators_to_futures::block_on;
use ch06_generators_to_futures::future::{first_to_end, readable, sleep_until, yield_now};
use fib_timing::next_point;
use patience::within_patience;

const PERIOD: Duration = Duration::from_millis(2);

/// A pipe that nobody writes to. It is silent as long as its writer is kept.
fn silent() -> (Rc<OwnedFd>, io::PipeWriter) {
    let (reader, writer) = io::pipe().expect("two descriptors are free");
    (Rc::new(OwnedFd::from(reader)), writer)
}

fn run<F: Future>(future: F) -> F::Output {
    block_on(future).expect("our own descriptors can be polled")
}

/// Counts how often the future is polled.
async fn counted<F: Future>(polls: &Cell<u32>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(context)
    })
    .await
}

#[test]
fn an_idle_program_is_polled_once_a_hello_and_each_time_both_futures_are() {
    within_patience(|| {
        const HELLOS: u32 = 20;
        let (input, _writer) = silent();
        let start = Instant::now();
        let (hellos, answers) = (Cell::new(0), Cell::new(0));
        run(first_to_end(
            counted(&hellos, async {
                for _ in 0..HELLOS {
                    sleep_until(next_point(start, PERIOD, Instant::now())).await;
                }
            }),
            counted(&answers, readable(&input)),
        ));
        // Fewer where the machine is so busy that a deadline has passed at the first look.
        assert!(hellos.get() <= 1 + HELLOS, "the first, and one for each hello: {hellos:?}");
        assert_eq!(answers.get(), hellos.get() - 1, "all but the last, which ends the select");
    });
}

#[test]
fn one_wake_polls_every_future() {
    within_patience(|| {
        let polls: Vec<Cell<u32>> = vec![Cell::new(0); 99];
        let yields = async {
            for _ in 0..100 {
                yield_now().await;
            }
        };
        let mut all: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(yields);
        for polls in &polls {
            all = Box::pin(first_to_end(all, counted(polls, pending())));
        }
        run(all);
        assert_eq!(polls, vec![Cell::new(100); 99], "none of them was woken");
    });
}

/// Lines that were read already, from an input that is silent now.
struct Pasted {
    lines: VecDeque<&'static str>,
    input: Rc<OwnedFd>,
}

impl Pasted {
    // ANCHOR: no_yield
    /// BROKEN: a line that was read already is ready at once.
    async fn next_line(&mut self) -> &'static str {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return line;
            }
            readable(&self.input).await;
        }
    }
    // ANCHOR_END: no_yield

    async fn next_line_after_a_yield(&mut self) -> &'static str {
        yield_now().await;
        self.next_line().await
    }
}

/// Three lines were pasted, and a hello falls due while the first is computed. What is said then,
/// from the first answer to the next hello after the last one?
fn said_after_a_paste(yields: bool) -> Vec<&'static str> {
    let (input, _writer) = silent();
    let mut pasted = Pasted { lines: VecDeque::from(["42", "1", "2"]), input };
    let said = RefCell::new(Vec::new());
    let start = Instant::now();
    let hellos = async {
        while !said.borrow().contains(&"2") {
            sleep_until(next_point(start, PERIOD, Instant::now())).await;
            said.borrow_mut().push("hello");
        }
    };
    let answers = async {
        loop {
            let line = if yields {
                pasted.next_line_after_a_yield().await
            } else {
                pasted.next_line().await
            };
            if line == "42" {
                let due = next_point(start, PERIOD, Instant::now());
                while Instant::now() < due {
                    std::hint::spin_loop(); // the computation, until a hello has fallen due
                }
            }
            said.borrow_mut().push(line);
        }
    };
    run(first_to_end(hellos, answers));
    let said = said.take();
    said.into_iter().skip_while(|line| *line == "hello").collect()
}

#[test]
fn without_a_yield_pasted_lines_go_before_a_hello_that_is_due() {
    within_patience(|| {
        assert_eq!(said_after_a_paste(false), ["42", "1", "2", "hello"]);
        assert_eq!(said_after_a_paste(true)[..2], ["42", "hello"]);
    });
}

//! One function, written four times.
//!
//! It waits for a tick, reads two values, and returns their sum. It is written as callbacks, as an
//! enum that is resumed, as a future by hand, and as an async fn. Each is driven by the same three
//! events, and writes down what it does. Predict which of the four traces differs. And look where
//! `first`, the one local variable that lives across a wait, is kept in each.
//!
//! `cargo run -p ch06-generators-to-futures --example desugar`

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::mem;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use ch06_generators_to_futures::state_machine::{Coroutine, Step};

/// What comes from outside, one after the other: a tick, whose value does not matter, and two
/// values.
const EVENTS: [u32; 3] = [0, 30, 12];

/// What happened, in its order.
type Trace = RefCell<Vec<String>>;

fn note(trace: &Trace, what: impl Into<String>) {
    trace.borrow_mut().push(what.into());
}

// ANCHOR: callbacks
/// What is called back when the next event comes.
type Callback<'a> = Box<dyn FnOnce(&Callbacks<'a>, u32) + 'a>;

/// `first` is captured by the innermost closure.
fn sum_by_callbacks<'a>(events: &Callbacks<'a>, trace: &'a Trace) {
    note(trace, "    starts");
    events.call_back(move |events, _| {
        note(trace, "    has waited");
        events.call_back(move |events, first| {
            note(trace, format!("    reads {first}"));
            events.call_back(move |_, second| {
                note(trace, format!("    reads {second}"));
                note(trace, format!("    returns {}", first + second));
            });
        });
    });
}
// ANCHOR_END: callbacks

// ANCHOR: machine
/// `first` is a field of one variant.
enum SumMachine {
    Start,
    AtTheWait,
    AtTheFirstRead,
    AtTheSecondRead { first: u32 },
    End,
}

struct Machine<'a> {
    at: SumMachine,
    trace: &'a Trace,
}

impl Coroutine<u32> for Machine<'_> {
    type Yield = ();
    type Return = u32;

    fn resume(&mut self, event: u32) -> Step<(), u32> {
        self.at = match mem::replace(&mut self.at, SumMachine::End) {
            SumMachine::Start => {
                note(self.trace, "    starts");
                SumMachine::AtTheWait
            }
            SumMachine::AtTheWait => {
                note(self.trace, "    has waited");
                SumMachine::AtTheFirstRead
            }
            SumMachine::AtTheFirstRead => {
                note(self.trace, format!("    reads {event}"));
                SumMachine::AtTheSecondRead { first: event }
            }
            SumMachine::AtTheSecondRead { first } => {
                note(self.trace, format!("    reads {event}"));
                return Step::Returned(first + event);
            }
            SumMachine::End => panic!("a coroutine was resumed after its end"),
        };
        Step::Yielded(())
    }
}
// ANCHOR_END: machine

// ANCHOR: by_hand
/// The same machine as a future. It is not given the event: at each wait it keeps a future of it,
/// and asks that. (`ready!` returns `Poll::Pending` from here where it is given that.)
enum SumFuture<'a> {
    Start,
    AtTheWait { tick: Event<'a> },
    AtTheFirstRead { read: Event<'a> },
    AtTheSecondRead { first: u32, read: Event<'a> },
    End,
}

struct ByHand<'a> {
    at: SumFuture<'a>,
    events: &'a Arrival,
    trace: &'a Trace,
}

impl Future for ByHand<'_> {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
        let this = &mut *self;
        loop {
            this.at = match &mut this.at {
                SumFuture::Start => {
                    note(this.trace, "    starts");
                    SumFuture::AtTheWait { tick: this.events.next() }
                }
                SumFuture::AtTheWait { tick } => {
                    ready!(Pin::new(tick).poll(context));
                    note(this.trace, "    has waited");
                    SumFuture::AtTheFirstRead { read: this.events.next() }
                }
                SumFuture::AtTheFirstRead { read } => {
                    let first = ready!(Pin::new(read).poll(context));
                    note(this.trace, format!("    reads {first}"));
                    SumFuture::AtTheSecondRead { first, read: this.events.next() }
                }
                SumFuture::AtTheSecondRead { first, read } => {
                    let second = ready!(Pin::new(read).poll(context));
                    note(this.trace, format!("    reads {second}"));
                    let sum = *first + second;
                    this.at = SumFuture::End;
                    return Poll::Ready(sum);
                }
                SumFuture::End => panic!("a future was polled after its end"),
            };
        }
    }
}
// ANCHOR_END: by_hand

// ANCHOR: async_fn
/// `first` is a local variable again. The compiler writes the enum and the loop.
async fn sum(events: &Arrival, trace: &Trace) -> u32 {
    note(trace, "    starts");
    events.next().await;
    note(trace, "    has waited");
    let first = events.next().await;
    note(trace, format!("    reads {first}"));
    let second = events.next().await;
    note(trace, format!("    reads {second}"));
    first + second
}
// ANCHOR_END: async_fn

// ANCHOR: drivers
/// Where the next callback waits for its event.
#[derive(Default)]
struct Callbacks<'a> {
    next: RefCell<Option<Callback<'a>>>,
}

impl<'a> Callbacks<'a> {
    fn call_back(&self, callback: impl FnOnce(&Callbacks<'a>, u32) + 'a) {
        *self.next.borrow_mut() = Some(Box::new(callback));
    }
}

fn drive_callbacks() -> Vec<String> {
    let trace = Trace::default();
    let events = Callbacks::default();
    sum_by_callbacks(&events, &trace);
    for event in EVENTS {
        note(&trace, format!("event {event}"));
        let callback = events.next.take().expect("it waits for each event");
        callback(&events, event);
    }
    drop(events);
    trace.into_inner()
}

fn drive_machine() -> Vec<String> {
    let trace = Trace::default();
    let mut machine = Machine { at: SumMachine::Start, trace: &trace };
    machine.resume(0); // up to its first yield; this value is not used
    for event in EVENTS {
        note(&trace, format!("event {event}"));
        if let Step::Returned(sum) = machine.resume(event) {
            note(&trace, format!("    returns {sum}"));
        }
    }
    trace.take()
}

/// Where an event waits to be taken, and a waker for its event.
#[derive(Default)]
struct Arrival {
    event: Cell<Option<u32>>,
    waker: Cell<Option<Waker>>,
}

impl Arrival {
    fn next(&self) -> Event<'_> {
        Event { from: self }
    }
}

/// Waits for the next event.
struct Event<'a> {
    from: &'a Arrival,
}

impl Future for Event<'_> {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
        if let Some(event) = self.from.event.take() {
            return Poll::Ready(event);
        }
        self.from.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// Whether the future is to be polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Drives either future: whether a person or the compiler wrote it makes no difference here.
fn drive_future(events: &Arrival, trace: &Trace, future: impl Future<Output = u32>) {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(true))); // the first poll needs no wake
    let waker = Waker::from(Arc::clone(&woken));
    let mut poll = || {
        if woken.0.swap(false, Ordering::Relaxed)
            && let Poll::Ready(sum) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            note(trace, format!("    returns {sum}"));
        }
    };
    poll();
    for event in EVENTS {
        note(trace, format!("event {event}"));
        events.event.set(Some(event));
        if let Some(waker) = events.waker.take() {
            waker.wake();
        }
        poll();
    }
}
// ANCHOR_END: drivers

fn drive_by_hand() -> Vec<String> {
    let (trace, events) = (Trace::default(), Arrival::default());
    drive_future(&events, &trace, ByHand { at: SumFuture::Start, events: &events, trace: &trace });
    trace.into_inner()
}

fn drive_async_fn() -> Vec<String> {
    let (trace, events) = (Trace::default(), Arrival::default());
    drive_future(&events, &trace, sum(&events, &trace));
    trace.into_inner()
}

/// The four traces.
fn measure() -> [Vec<String>; 4] {
    [drive_callbacks(), drive_machine(), drive_by_hand(), drive_async_fn()]
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    let forms = ["callbacks", "an enum", "a future by hand", "an async fn"];
    for (form, trace) in forms.iter().zip(measure()) {
        writeln!(out, "{form}:")?;
        trace.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("desugar", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_forms_give_one_trace() {
        let expected = [
            "    starts",
            "event 0",
            "    has waited",
            "event 30",
            "    reads 30",
            "event 12",
            "    reads 12",
            "    returns 42",
        ];
        for trace in measure() {
            assert_eq!(trace, expected);
        }
    }

    #[test]
    fn a_future_that_is_not_woken_is_not_polled() {
        let (trace, events) = (Trace::default(), Arrival::default());
        let leaves_no_waker = std::future::poll_fn(|_| {
            note(&trace, "polled");
            Poll::Pending
        });
        drive_future(&events, &trace, leaves_no_waker);
        assert_eq!(trace.take(), ["polled", "event 0", "event 30", "event 12"]);
    }
}

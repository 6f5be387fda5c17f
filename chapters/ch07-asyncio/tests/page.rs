//! What the page claims and no other test holds. Two ways that do not work stand beside the ways
//! that do, and the tests say how they fail.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use ch07_asyncio::runtime::{Runtime, sleep, spawn, yield_now};
use fib_timing::fib;

/// Far longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(1_000);

/// How long a test waits for what must happen. Only one that fails waits that long.
const PATIENCE: Duration = Duration::from_secs(30);

fn block_on<F: Future>(future: F) -> F::Output {
    Runtime::new().expect("a descriptor is free").block_on(future)
}

/// What happened, in order.
type Trace = Rc<RefCell<Vec<&'static str>>>;

/// Says so when it is dropped.
struct Held(Trace);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.borrow_mut().push("dropped");
    }
}

// ANCHOR: abort
async fn abort_it(trace: Trace) {
    let held = Held(Rc::clone(&trace));
    let task = spawn(async move {
        let _held = held;
        sleep(LONG).await;
    });
    yield_now().await; // the task has its first poll, and sleeps
    trace.borrow_mut().push("before");
    task.abort();
    trace.borrow_mut().push("after");
    yield_now().await;
    trace.borrow_mut().push("after a yield");
    let cancelled = task.await.is_err_and(|error| error.is_cancelled());
    trace.borrow_mut().push(if cancelled { "cancelled" } else { "ended" });
}
// ANCHOR_END: abort

#[test]
fn abort_drops_what_the_task_holds_before_it_returns() {
    let trace = Trace::default();
    block_on(abort_it(Rc::clone(&trace)));
    assert_eq!(*trace.borrow(), ["before", "dropped", "after", "after a yield", "cancelled"]);
}

/// A task that waits for ever, and says how often it was polled and with which waker.
fn waiting(polls: Rc<Cell<u32>>, waker: Rc<RefCell<Option<Waker>>>) {
    drop(spawn(std::future::poll_fn(move |cx| {
        polls.set(polls.get() + 1);
        waker.replace(Some(cx.waker().clone()));
        Poll::<()>::Pending
    })));
}

/// The polls of a hundred tasks, one of which `wake` has woken.
fn polls_of_a_hundred(wake: impl FnOnce(&Waker)) -> Vec<u32> {
    let polls: Vec<Rc<Cell<u32>>> = (0..100).map(|_| Rc::default()).collect();
    let waker = Rc::default();
    block_on(async {
        for polls in &polls {
            waiting(Rc::clone(polls), Rc::clone(&waker)); // the waker of the last one stays
        }
        for _ in 0..10 {
            yield_now().await; // all of them have had their first poll
        }
        let last = waker.borrow().clone().expect("it was polled");
        wake(&last);
        for _ in 0..10 * ch07_asyncio::runtime::POLLS_A_TURN {
            yield_now().await; // ten turns at least
        }
    });
    polls.iter().map(|polls| polls.get()).collect()
}

// ANCHOR: woken
/// From this thread twice, and from another one.
fn here_and_there(waker: &Waker) {
    waker.wake_by_ref();
    waker.wake_by_ref();
    let elsewhere = waker.clone();
    thread::spawn(move || elsewhere.wake()).join().expect("a wake-up does not panic");
}
// ANCHOR_END: woken

fn there_and_here(waker: &Waker) {
    let elsewhere = waker.clone();
    thread::spawn(move || elsewhere.wake()).join().expect("a wake-up does not panic");
    waker.wake_by_ref();
    waker.wake_by_ref();
}

#[test]
fn a_task_that_was_woken_three_times_is_polled_once_and_no_other_one_is() {
    let expected = [[1; 99].as_slice(), &[2]].concat(); // the first poll of each, and one more
    assert_eq!(polls_of_a_hundred(here_and_there), expected);
    assert_eq!(polls_of_a_hundred(there_and_here), expected);
}

/// Step 1's flag, with a queue that holds one task at most.
struct TinyWaker {
    scheduled: AtomicBool,
    queue: mpsc::Sender<()>,
}

impl Wake for TinyWaker {
    fn wake(self: Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            self.queue.send(()).expect("the executor listens");
        }
    }
}

// ANCHOR: clear_after
/// The task counts as scheduled until its poll is over.
fn clear_after(task: &Arc<TinyWaker>, future: Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    let waker = Waker::from(Arc::clone(task));
    let polled = future.poll(&mut Context::from_waker(&waker));
    task.scheduled.swap(false, Ordering::AcqRel);
    polled
}
// ANCHOR_END: clear_after

fn clear_before(task: &Arc<TinyWaker>, future: Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    task.scheduled.swap(false, Ordering::AcqRel);
    let waker = Waker::from(Arc::clone(task));
    future.poll(&mut Context::from_waker(&waker))
}

/// Polls while something is in the queue. Says how often, and whether the future was ready then.
fn run_tiny<F: Future<Output = ()>>(
    future: F,
    poll: impl Fn(&Arc<TinyWaker>, Pin<&mut F>) -> Poll<()>,
) -> (usize, bool) {
    let (queue, queued) = mpsc::channel();
    let task = Arc::new(TinyWaker { scheduled: AtomicBool::new(false), queue });
    Waker::from(Arc::clone(&task)).wake();
    let (mut future, mut polls) = (pin!(future), 0);
    while queued.try_recv().is_ok() {
        polls += 1;
        if poll(&task, future.as_mut()).is_ready() {
            return (polls, true);
        }
    }
    (polls, false)
}

#[test]
fn a_flag_that_is_cleared_after_the_poll_loses_a_wake_up() {
    assert_eq!(run_tiny(yield_now(), clear_after), (1, false), "woken, and never polled again");
    assert_eq!(run_tiny(yield_now(), clear_before), (2, true));
}

/// Edges are the kernel's business, and this is what Linux reports.
#[cfg(target_os = "linux")]
mod a_short_read {
    use std::io::{self, Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    use mio::{Events, Interest, Poll, Token};

    // ANCHOR: short_read
    /// A socket that was registered once, edge-triggered.
    struct Socket {
        stream: mio::net::TcpStream,
        /// The next read would be in vain.
        blocked: bool,
    }

    impl Socket {
        /// `None` means: wait for an edge.
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
            if self.blocked {
                return Ok(None);
            }
            let length = self.stream.read(buffer)?;
            self.blocked = length < buffer.len(); // the kernel's buffer is empty now
            Ok(Some(length))
        }
    }
    // ANCHOR_END: short_read

    /// A connection with "hello" in it, and the end behind that.
    fn hello_and_the_end() -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let mut client = TcpStream::connect(address).expect("the listener has room");
        client.write_all(b"hello").expect("the kernel's buffer has room");
        drop(client);
        let (stream, _) = listener.accept().expect("somebody has connected");
        stream.set_nonblocking(true).expect("it is a socket");
        stream
    }

    #[test]
    fn that_counts_as_drained_never_sees_the_end() {
        let mut poll = Poll::new().expect("a descriptor is free");
        let mut events = Events::with_capacity(8);
        let stream = mio::net::TcpStream::from_std(hello_and_the_end());
        let mut socket = Socket { stream, blocked: false };
        let registry = poll.registry();
        registry
            .register(&mut socket.stream, Token(0), Interest::READABLE)
            .expect("a socket can be waited for");
        while !events.iter().any(|event| event.is_read_closed()) {
            poll.poll(&mut events, None).expect("nothing interrupts a test");
        }
        let mut buffer = [0; 64];
        assert_eq!(socket.read(&mut buffer).expect("there is data"), Some(5));
        assert_eq!(socket.read(&mut buffer).expect("it does not ask"), None, "it waits");

        poll.poll(&mut events, Some(Duration::ZERO)).expect("nothing interrupts a test");
        assert!(events.is_empty(), "there is no further edge");
        assert_eq!(socket.stream.read(&mut buffer).expect("there is no error"), 0, "the end");
    }
}

/// Writes one line, and then blocks until the test lets it go on.
struct Full {
    lines: u32,
    blocks: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines += 1;
        if self.lines > 1 {
            self.blocks.send(()).expect("the test listens");
            let _ = self.go_on.recv(); // an error when the test has ended
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn exit_ends_the_program_while_a_hello_waits_for_a_full_output() {
    let ((blocks, blocked), (_held, go_on)) = (mpsc::channel(), mpsc::channel());
    let (input, mut typed) = io::pipe().expect("two descriptors are free");
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        let output = Full { lines: 0, blocks, go_on };
        ended.send(ch07_asyncio::run(input, output, Duration::from_millis(2), fib))
    });
    blocked.recv_timeout(PATIENCE).expect("the second hello is being written");
    typed.write_all(b"exit\n").expect("the program reads");
    let result = end.recv_timeout(PATIENCE).expect("it ends although nobody reads the output");
    result.expect("it ends without an error");
}

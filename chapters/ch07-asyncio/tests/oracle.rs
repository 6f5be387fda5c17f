//! Random programs of tasks, run by the runtime and by an interpreter that knows no futures.
//!
//! The interpreter is a list of tasks and a queue of their numbers, and so short that one can see
//! that it is right. Both must say the same, in the same order. A failure prints a seed; with
//! `.seed(…).minimize()` behind `arbtest(…)` it becomes the smallest program that fails.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use ch07_asyncio::runtime::{JoinError, JoinHandle, Runtime, sleep, sleep_until, spawn, yield_now};

/// How long programs are tried.
const BUDGET: Duration = Duration::from_millis(1500);

/// How often the main future yields. Tasks that are not ready then are dropped with the runtime.
const ROUNDS: usize = 25;

/// How deep tasks are spawned by tasks, and how long a task's script is at most.
const DEPTH_MAX: usize = 3;
const SCRIPT_MAX: usize = 7;

/// What a task does. Numbers name tasks, in the order in which they were spawned; a number that is
/// too large is taken modulo their count.
#[derive(Debug, Clone)]
enum Op {
    Yield,
    /// Waits until somebody has told it to go on.
    Wait,
    /// Waits for a deadline that has passed.
    SleepNot,
    Spawn(Vec<Op>),
    /// Tells a task to go on.
    Wake(usize),
    Abort(usize),
    /// Drops the handle.
    Detach(usize),
    /// Waits for a task, and says what has become of it.
    Join(usize),
    Panic,
}

fn script(u: &mut Unstructured<'_>, depth: usize) -> Result<Vec<Op>> {
    let length = u.int_in_range(0..=SCRIPT_MAX)?;
    (0..length).map(|_| op(u, depth)).collect()
}

fn op(u: &mut Unstructured<'_>, depth: usize) -> Result<Op> {
    let task = u.int_in_range(0..=9)?;
    Ok(match u.int_in_range(0..=15)? {
        0..=2 => Op::Yield,
        3..=4 => Op::Wait,
        5 => Op::SleepNot,
        6..=8 if depth < DEPTH_MAX => Op::Spawn(script(u, depth + 1)?),
        6..=10 => Op::Wake(task),
        11 => Op::Abort(task),
        12 => Op::Detach(task),
        13 => Op::Panic,
        _ => Op::Join(task),
    })
}

fn outcome(result: &std::result::Result<(), JoinError>) -> &'static str {
    match result {
        Ok(()) => "ended",
        Err(JoinError::Cancelled) => "cancelled",
        Err(JoinError::Panicked(_)) => "panicked",
    }
}

/// What the tasks of the runtime share.
#[derive(Default)]
struct World {
    trace: RefCell<Vec<String>>,
    tasks: RefCell<Vec<Shared>>,
}

#[derive(Default)]
struct Shared {
    handle: Option<JoinHandle<()>>,
    told: bool,
    waker: Option<Waker>,
}

impl World {
    fn say(&self, what: String) {
        self.trace.borrow_mut().push(what);
    }

    fn number(&self, task: usize) -> usize {
        task % self.tasks.borrow().len()
    }

    fn take_handle(&self, task: usize) -> Option<JoinHandle<()>> {
        self.tasks.borrow_mut()[task].handle.take()
    }

    fn spawn(self: &Rc<World>, script: Vec<Op>) {
        let me = self.tasks.borrow().len();
        self.tasks.borrow_mut().push(Shared::default());
        let dropped = Dropped(me, Rc::clone(self));
        let handle = spawn(interpret(me, script, Rc::clone(self), dropped));
        self.tasks.borrow_mut()[me].handle = Some(handle);
    }

    fn poll_told(&self, me: usize, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut self.tasks.borrow_mut()[me];
        if std::mem::take(&mut me.told) {
            return Poll::Ready(());
        }
        me.waker = Some(cx.waker().clone()); // it stays there, and is used late, too
        Poll::Pending
    }
}

/// Says when a task's future is dropped.
struct Dropped(usize, Rc<World>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.say(format!("{} is dropped", self.0));
    }
}

async fn interpret(me: usize, script: Vec<Op>, world: Rc<World>, _dropped: Dropped) {
    for (at, op) in script.into_iter().enumerate() {
        world.say(format!("{me} at {at}"));
        match op {
            Op::Yield => yield_now().await,
            Op::Wait => poll_fn(|cx| world.poll_told(me, cx)).await,
            Op::SleepNot => {
                sleep(Duration::ZERO).await;
                sleep_until(Instant::now()).await;
            }
            Op::Spawn(script) => world.spawn(script),
            Op::Wake(task) => {
                let task = world.number(task);
                world.tasks.borrow_mut()[task].told = true;
                let waker = world.tasks.borrow()[task].waker.clone();
                waker.into_iter().for_each(Waker::wake);
            }
            Op::Abort(task) => {
                let task = world.number(task);
                if let Some(handle) = world.take_handle(task) {
                    handle.abort();
                    world.tasks.borrow_mut()[task].handle = Some(handle);
                }
            }
            Op::Detach(task) => drop(world.take_handle(world.number(task))),
            Op::Join(task) => {
                let task = world.number(task);
                if let Some(handle) = world.take_handle(task) {
                    let result = handle.await;
                    world.say(format!("{me} hears that {task} has {}", outcome(&result)));
                }
            }
            Op::Panic => std::panic::resume_unwind(Box::new("quietly")),
        }
    }
}

/// Runs a program on the runtime. What is dropped at the end comes last, in any order.
fn run(script: Vec<Op>) -> (Vec<String>, Vec<String>) {
    let world = Rc::new(World::default());
    let runtime = Runtime::new().expect("a descriptor is free");
    runtime.block_on(async {
        world.spawn(script);
        for _ in 0..ROUNDS {
            yield_now().await;
        }
    });
    let trace = world.trace.take();
    drop(runtime);
    let mut end = world.trace.take();
    let tasks = world.tasks.take();
    for (number, task) in tasks.into_iter().enumerate() {
        if let Some(mut handle) = task.handle {
            let mut cx = Context::from_waker(Waker::noop());
            let Poll::Ready(result) = Pin::new(&mut handle).poll(&mut cx) else {
                panic!("task {number} has no end");
            };
            end.push(format!("{number} has {}", outcome(&result)));
        }
    }
    end.sort();
    (trace, end)
}

/// A task, for the interpreter without futures.
#[derive(Default)]
struct Task {
    script: Vec<Op>,
    at: usize,
    /// In the middle of an op: it was polled, and was pending.
    inside: bool,
    queued: bool,
    told: bool,
    has_waited: bool,
    /// Aborted while it ran.
    doomed: bool,
    has_handle: bool,
    joiner: Option<usize>,
    outcome: Option<&'static str>,
}

#[derive(Default)]
struct Oracle {
    trace: Vec<String>,
    tasks: Vec<Task>,
    /// `None` is the main future.
    queue: VecDeque<Option<usize>>,
}

impl Oracle {
    fn spawn(&mut self, script: Vec<Op>) {
        self.queue.push_back(Some(self.tasks.len()));
        self.tasks.push(Task { script, queued: true, has_handle: true, ..Task::default() });
    }

    fn wake(&mut self, task: usize) {
        if !std::mem::replace(&mut self.tasks[task].queued, true) {
            self.queue.push_back(Some(task));
        }
    }

    fn end(&mut self, task: usize, outcome: &'static str) {
        self.trace.push(format!("{task} is dropped"));
        self.tasks[task].outcome = Some(outcome);
        if let Some(joiner) = self.tasks[task].joiner {
            self.wake(joiner);
        }
    }

    fn poll(&mut self, me: usize) {
        self.tasks[me].queued = false;
        if self.tasks[me].outcome.is_some() {
            return;
        }
        while let Some(op) = self.tasks[me].script.get(self.tasks[me].at).cloned() {
            let inside = std::mem::take(&mut self.tasks[me].inside);
            if !inside {
                self.trace.push(format!("{me} at {}", self.tasks[me].at));
            }
            if matches!(op, Op::Panic) {
                return self.end(me, "panicked");
            }
            if !self.is_done(me, inside, op) {
                self.tasks[me].inside = true;
                if self.tasks[me].doomed {
                    self.end(me, "cancelled");
                }
                return;
            }
            self.tasks[me].at += 1;
        }
        self.end(me, "ended");
    }

    fn is_done(&mut self, me: usize, inside: bool, op: Op) -> bool {
        let number = |task| task % self.tasks.len();
        match op {
            Op::Yield if inside => {}
            Op::Yield => {
                self.wake(me);
                return false;
            }
            Op::Wait => {
                let told = std::mem::take(&mut self.tasks[me].told);
                self.tasks[me].has_waited |= !told;
                return told;
            }
            Op::SleepNot | Op::Panic => {}
            Op::Spawn(script) => self.spawn(script),
            Op::Wake(task) => {
                let task = number(task);
                self.tasks[task].told = true;
                if self.tasks[task].has_waited {
                    self.wake(task);
                }
            }
            Op::Abort(task) => {
                let task = number(task);
                let may = self.tasks[task].has_handle && self.tasks[task].outcome.is_none();
                match may {
                    true if task == me => self.tasks[me].doomed = true,
                    true => self.end(task, "cancelled"),
                    false => {}
                }
            }
            Op::Detach(task) => {
                let task = number(task);
                self.tasks[task].has_handle = false;
            }
            Op::Join(task) => {
                let task = number(task);
                if !inside && !std::mem::take(&mut self.tasks[task].has_handle) {
                    return true; // somebody else has the handle, or had it
                }
                let Some(outcome) = self.tasks[task].outcome else {
                    self.tasks[task].joiner = Some(me);
                    let at = self.tasks[me].at;
                    self.tasks[me].script[at] = Op::Join(task); // there will be more tasks
                    return false;
                };
                self.trace.push(format!("{me} hears that {task} has {outcome}"));
            }
        }
        true
    }
}

/// Says what must happen.
fn expected(script: Vec<Op>) -> (Vec<String>, Vec<String>) {
    let mut oracle = Oracle::default();
    oracle.spawn(script);
    oracle.queue.push_back(None);
    let mut rounds = 0;
    while let Some(next) = oracle.queue.pop_front() {
        match next {
            Some(task) => oracle.poll(task),
            None if rounds + 1 == ROUNDS => break,
            None => {
                rounds += 1;
                oracle.queue.push_back(None);
            }
        }
    }
    let mut end = Vec::new();
    for (number, task) in oracle.tasks.iter().enumerate() {
        if task.outcome.is_none() {
            end.push(format!("{number} is dropped"));
        }
        if task.has_handle {
            end.push(format!("{number} has {}", task.outcome.unwrap_or("cancelled")));
        }
    }
    end.sort();
    (oracle.trace, end)
}

#[test]
fn the_runtime_does_what_a_naive_interpreter_does() {
    arbtest(|u| {
        let program = script(u, 0)?;
        assert_eq!(run(program.clone()), expected(program.clone()), "{program:#?}");
        Ok(())
    })
    .size_max(4096)
    .budget(BUDGET);
}

/// The programs above are worth something only if they do something.
#[test]
fn a_program_does_all_that_a_task_can_do() {
    use Op::{Abort, Detach, Join, Panic, SleepNot, Spawn, Wait, Wake, Yield};
    let waits = Spawn(vec![Wait, Abort(1), Yield]); // 1: it aborts itself
    let panics = Spawn(vec![Yield, Panic]); // 2
    let never_ends = Spawn(vec![Wait]); // 3
    let joins = Spawn(vec![SleepNot, Join(2)]); // 4
    let program = vec![waits, panics, never_ends, joins, Yield, Wake(1), Yield, Join(1), Detach(0)];
    let (trace, end) = run(program.clone());
    let expected_trace = "0 at 0, 0 at 1, 0 at 2, 0 at 3, 0 at 4, \
        1 at 0, 2 at 0, 3 at 0, 4 at 0, 4 at 1, \
        0 at 5, 0 at 6, 2 at 1, 2 is dropped, 1 at 1, 1 at 2, 1 is dropped, \
        0 at 7, 0 hears that 1 has cancelled, 0 at 8, 0 is dropped, \
        4 hears that 2 has panicked, 4 is dropped";
    assert_eq!(trace.join(", "), expected_trace);
    assert_eq!(end, ["3 has cancelled", "3 is dropped", "4 has ended"]);
    assert_eq!((trace, end), expected(program));
}

//! The same program with the answers computed on the pool.
//!
//! The executor and its tasks live in `run_offloaded`, and die with it: a task of a `LocalExecutor`
//! may borrow what lives longer than the executor. Only what goes to the pool must be `Send` and
//! `'static`, since a thread cannot be cancelled and may outlive everything.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, EXIT_GRACE, answer, hello, timed};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use smol::lock::Semaphore;
use smol::{LocalExecutor, Timer, unblock};

use crate::{LineReader, Output, hellos, lines_to, say};

/// How many questions may be open at once.
pub(crate) const PENDING_MAX: usize = 1024;

// ANCHOR: run_offloaded
/// Like [`run`](crate::run), with `workers` answers computed at once.
pub(crate) fn run_offloaded(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + Send + Sync + 'static,
    workers: NonZero<usize>,
) -> io::Result<()> {
    let start = Instant::now();
    let output = lines_to(output);
    let (failed, failure) = bounded(1);
    let questions = Questions::new(compute, failed, workers);
    let executor = LocalExecutor::new(); // declared last, dropped first: its tasks borrow the rest
    smol::block_on(executor.run(async {
        say(&output, hello(SystemTime::now())).await?;
        let input = LineReader::new(input);
        or(
            hellos(&output, start, period),
            or(questions_and_answers(input, &output, &questions, &executor), async {
                failure.recv().await.map_or(Ok(()), Err)
            }),
        )
        .await
    }))
}
// ANCHOR_END: run_offloaded

// ANCHOR: questions
/// What the tasks share.
struct Questions<C> {
    compute: Arc<C>,
    /// The pool is everybody's, and has up to 500 threads. So many may compute for us.
    workers: Semaphore,
    /// The questions that nobody computes yet, in the order in which they were asked.
    asked: RefCell<VecDeque<u32>>,
    /// The n of each question that has no answer yet, in the same order.
    open: RefCell<Vec<u32>>,
    /// A message says that there is one less. Room for one: two unread ones say the same.
    answered: (Sender<()>, Receiver<()>),
    /// Where a task says that it cannot give its answer.
    failed: Sender<io::Error>,
}

impl<C: Fn(u32) -> u64 + Send + Sync + 'static> Questions<C> {
    fn new(compute: C, failed: Sender<io::Error>, workers: NonZero<usize>) -> Questions<C> {
        Questions {
            compute: Arc::new(compute),
            workers: Semaphore::new(workers.get()),
            asked: RefCell::default(),
            open: RefCell::default(),
            answered: bounded(1),
            failed,
        }
    }

    async fn fewer_than(&self, count: usize) {
        while self.open.borrow().len() >= count {
            self.answered.1.recv().await.expect("the sending end stands beside it");
        }
    }

    fn close(&self, n: u32) {
        let mut open = self.open.borrow_mut();
        let index = open.iter().position(|open| *open == n);
        open.remove(index.expect("each question is closed once"));
        let _ = self.answered.0.try_send(()); // full: there is a message already
    }

    // ANCHOR: ask
    /// The oldest question: a thread of the pool computes, this task says the answer.
    ///
    /// smol's semaphore and its lock do not keep to the order in which tasks came. So each task
    /// takes the oldest question, whichever it was made for, and keeps its permit until the answer
    /// is said. Then one worker answers in the order of the questions.
    async fn ask(&self, output: &Output<impl Write + Send + 'static>) -> io::Result<()> {
        let _worker = self.workers.acquire().await;
        let n = self.asked.borrow_mut().pop_front().expect("there is a task for each question");
        let said = self.compute_and_say(n, output).await;
        self.close(n);
        said
    }

    async fn compute_and_say(
        &self,
        n: u32,
        output: &Output<impl Write + Send + 'static>,
    ) -> io::Result<()> {
        let compute = Arc::clone(&self.compute);
        let work = move || catch_unwind(AssertUnwindSafe(|| timed(|| compute(n))));
        let value = unblock(work).await;
        let value = value
            .map_err(|_| io::Error::other(format!("the thread that computed fib({n}) panicked")))?;
        say(output, answer(n, value)).await
    }
    // ANCHOR_END: ask
}
// ANCHOR_END: questions

// ANCHOR: answers
/// The second promise: makes a task of each question. Returns when there is nothing more to answer.
async fn questions_and_answers<'a, C: Fn(u32) -> u64 + Send + Sync + 'static>(
    mut input: LineReader<impl Read + Send + 'static>,
    output: &'a Output<impl Write + Send + 'static>,
    questions: &'a Questions<C>,
    executor: &LocalExecutor<'a>,
) -> io::Result<()> {
    while let Some(line) = input.next_line().await? {
        match Command::parse(&line) {
            Ok(Command::Blank) => {}
            Ok(Command::Exit) => {
                let all = async { questions.fewer_than(1).await };
                or(all, async { _ = Timer::after(EXIT_GRACE).await }).await;
                if !questions.open.borrow().is_empty() {
                    command_line::complain_abandoned(&questions.open.borrow());
                }
                return Ok(());
            }
            Ok(Command::Fib(n)) => {
                questions.asked.borrow_mut().push_back(n);
                questions.open.borrow_mut().push(n);
                let task = executor.spawn(async move {
                    if let Err(error) = questions.ask(output).await {
                        let _ = questions.failed.try_send(error); // the first error counts
                    }
                });
                task.detach(); // dropped, the handle would cancel it
            }
            Err(error) => say(output, error).await?,
        }
        questions.fewer_than(PENDING_MAX).await;
    }
    questions.fewer_than(1).await;
    Ok(())
}
// ANCHOR_END: answers

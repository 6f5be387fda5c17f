//! The second promise, with a task for each question.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use async_std::channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::task::{spawn, spawn_blocking};
use fib_timing::{Command, EXIT_GRACE, answer, timed};

use crate::say;
use crate::threads::{LineReader, Writer};

/// How many questions may be open at once.
pub(crate) const PENDING_MAX: usize = 1024;

// ANCHOR: questions
/// What the tasks share.
pub(crate) struct Questions<C> {
    compute: Arc<C>,
    /// The right to compute on the pool, so many times: the pool itself has up to 500 threads.
    /// async-std has no semaphore, and a channel of permits is one.
    permits: Option<(Sender<()>, Receiver<()>)>,
    /// The questions that nobody computes yet, in the order in which they were asked.
    asked: Mutex<VecDeque<u32>>,
    /// The n of each question that has no answer yet, in the same order.
    open: Mutex<Vec<u32>>,
    /// A message says that there is one less. Room for one: two unread ones say the same.
    answered: (Sender<()>, Receiver<()>),
    /// Where a task says that it cannot give its answer.
    failed: Sender<io::Error>,
}

impl<C: Fn(u32) -> u64 + Send + Sync + 'static> Questions<C> {
    pub(crate) fn new(
        compute: C,
        failed: Sender<io::Error>,
        pool: Option<NonZero<usize>>,
    ) -> Questions<C> {
        let permits = pool.map(|workers| {
            let permits = bounded(workers.get());
            (0..workers.get()).for_each(|_| release(&permits.0));
            permits
        });
        let (asked, open) = Default::default();
        let compute = Arc::new(compute);
        Questions { compute, permits, asked, open, answered: bounded(1), failed }
    }

    /// The guard must not live across an `.await`. Else the task is not `Send`, and is refused.
    fn open(&self) -> MutexGuard<'_, Vec<u32>> {
        self.open.lock().expect("nobody panics while holding this lock")
    }

    fn asked(&self) -> MutexGuard<'_, VecDeque<u32>> {
        self.asked.lock().expect("nobody panics while holding this lock")
    }

    async fn fewer_than(&self, count: usize) {
        while self.open().len() >= count {
            self.answered.1.recv().await.expect("the sending end stands beside it");
        }
    }

    fn close(&self, n: u32) {
        let mut open = self.open();
        let index = open.iter().position(|open| *open == n);
        open.remove(index.expect("each question is closed once"));
        let _ = self.answered.0.try_send(()); // full: there is a message already
    }

    // ANCHOR: ask
    /// The oldest question: a thread of the pool computes, or the thread that polls this task.
    ///
    /// async-std's channels do not keep to the order in which tasks came. So each task takes the
    /// oldest question, whichever it was made for, and gives its permit back when the answer is
    /// said. Then one worker of the pool answers in the order of the questions.
    async fn ask(&self, output: &Writer) -> io::Result<()> {
        if let Some((_, permit)) = &self.permits {
            permit.recv().await.expect("the sending end stands beside it");
        }
        let n = self.asked().pop_front().expect("there is a task for each question");
        let said = self.compute_and_say(n, output).await;
        if let Some((permits, _)) = &self.permits {
            release(permits);
        }
        self.close(n);
        said
    }

    async fn compute_and_say(&self, n: u32, output: &Writer) -> io::Result<()> {
        let compute = Arc::clone(&self.compute);
        let work = move || catch_unwind(AssertUnwindSafe(|| timed(|| compute(n))));
        let value = match self.permits {
            Some(_) => spawn_blocking(work).await,
            None => work(),
        };
        match value {
            Ok(value) => say(output, answer(n, value)).await,
            Err(_) => Err(io::Error::other(format!("the thread that computed fib({n}) panicked"))),
        }
    }
    // ANCHOR_END: ask
}

fn release(permits: &Sender<()>) {
    permits.try_send(()).expect("there is room for every permit");
}
// ANCHOR_END: questions

// ANCHOR: answers
/// Makes a task of each question. Returns when there is nothing more to answer.
pub(crate) async fn questions_and_answers(
    mut input: LineReader,
    output: Writer,
    questions: Arc<Questions<impl Fn(u32) -> u64 + Send + Sync + 'static>>,
) -> io::Result<()> {
    while let Some(line) = input.next_line().await? {
        match Command::parse(&line) {
            Ok(Command::Blank) => {}
            Ok(Command::Exit) => {
                if timeout(EXIT_GRACE, questions.fewer_than(1)).await.is_err() {
                    command_line::complain_abandoned(&questions.open());
                }
                return Ok(());
            }
            Ok(Command::Fib(n)) => {
                questions.asked().push_back(n);
                questions.open().push(n);
                let (output, questions) = (output.clone(), Arc::clone(&questions));
                spawn(async move {
                    if let Err(error) = questions.ask(&output).await {
                        let _ = questions.failed.try_send(error); // the first error counts
                    }
                });
            }
            Err(error) => say(&output, error).await?,
        }
        questions.fewer_than(PENDING_MAX).await;
    }
    questions.fewer_than(1).await;
    Ok(())
}
// ANCHOR_END: answers

//! The second promise, with a task for each question.

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
    /// The n of each question that has no answer yet, in the order in which they were asked.
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
        let (compute, open) = (Arc::new(compute), Mutex::default());
        Questions { compute, permits, open, answered: bounded(1), failed }
    }

    /// The guard must not live across an `.await`. Else the task is not `Send`, and is refused.
    fn open(&self) -> MutexGuard<'_, Vec<u32>> {
        self.open.lock().expect("nobody panics while holding this lock")
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
    /// One question: a thread of the pool computes, or the thread that polls this task.
    async fn ask(&self, n: u32, output: &Writer) -> io::Result<()> {
        let compute = Arc::clone(&self.compute);
        let work = move || catch_unwind(AssertUnwindSafe(|| timed(|| compute(n))));
        if let Some((_, permit)) = &self.permits {
            permit.recv().await.expect("the sending end stands beside it");
        }
        let value = match self.permits {
            Some(_) => spawn_blocking(work).await,
            None => work(),
        };
        let said = match value {
            Ok(value) => say(output, answer(n, value)).await,
            Err(_) => Err(io::Error::other(format!("the thread that computed fib({n}) panicked"))),
        };
        // Not before it is said: the writer's queue is not fair, and the next answer could be said
        // before this one.
        if let Some((permits, _)) = &self.permits {
            release(permits);
        }
        said
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
                questions.open().push(n);
                let (output, questions) = (output.clone(), Arc::clone(&questions));
                spawn(async move {
                    let said = questions.ask(n, &output).await;
                    questions.close(n);
                    if let Err(error) = said {
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

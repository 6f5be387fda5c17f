//! The same program with a task for each question, as in `src/offload.rs`: what polls these tasks,
//! or computes for them, is more than one thread.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, EXIT_GRACE, answer, hello, timed};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc};
use tokio::task::{spawn, spawn_blocking};
use tokio::time::timeout;

use crate::threads::{LineReader, Writer};
use crate::{first_to_end, hellos, say};

/// How many questions may be open at once, where more than one may.
pub(crate) const PENDING_MAX: usize = 1024;

/// Which threads poll the tasks, and which compute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside {
    /// Several threads poll the tasks.
    pub(crate) multi_thread: bool,
    /// Answers are computed on the pool for blocking work, not by the thread that polls.
    pub(crate) offload: bool,
    /// How many threads poll; with `offload`, how many compute.
    pub(crate) workers: NonZero<usize>,
}

impl Beside {
    fn runtime(self) -> io::Result<Runtime> {
        let mut builder = match self.multi_thread {
            true => Builder::new_multi_thread(),
            false => Builder::new_current_thread(),
        };
        if self.multi_thread {
            builder.worker_threads(self.workers.get());
        }
        if self.offload {
            builder.max_blocking_threads(self.workers.get());
        }
        builder.enable_time().build()
    }

    /// How many questions may be open at once.
    ///
    /// One, where one thread polls all tasks and computes in them: tokio polls the task that was
    /// spawned last before those in its queue, so the last of many would be answered first. While
    /// that thread computes, it reads no line in any case. Only with a full output something is
    /// lost: an `exit` behind an answer that waits for room is not read, as in `run`.
    fn pending_max(self) -> usize {
        match (self.offload, self.workers.get()) {
            (false, 1) => 1,
            _ => PENDING_MAX,
        }
    }
}

// ANCHOR: run_beside
/// Like [`run`](crate::run), with a task for each question.
pub(crate) fn run_beside(
    input: LineReader,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + Send + Sync + 'static,
    beside: Beside,
) -> io::Result<()> {
    let start = Instant::now();
    let runtime = beside.runtime()?;
    let result = runtime.block_on(async {
        let output = Writer::new(output)?;
        say(&output, hello(SystemTime::now())).await?;
        let hello_output = output.clone();
        let (failed, mut failure) = mpsc::channel(1);
        let questions =
            Questions { open: Mutex::default(), answered: Notify::new(), failed, beside };
        first_to_end(
            async move { hellos(&hello_output, start, period).await },
            first_to_end(
                questions_and_answers(input, output, Arc::new(compute), Arc::new(questions)),
                async move { failure.recv().await.map_or(Ok(()), Err) },
            ),
        )
        .await
    });
    // Dropped, the runtime would wait for every thread of its own, and so for each answer that
    // `exit` has abandoned: it can stop no thread in the middle of a computation.
    runtime.shutdown_background();
    result
}
// ANCHOR_END: run_beside

// ANCHOR: questions
/// What the tasks share. A lock, since they may be polled by different threads.
struct Questions {
    /// The n of each question that has no answer yet, in the order in which they were asked.
    open: Mutex<Vec<u32>>,
    /// Notified when there is one less.
    answered: Notify,
    /// Where a task says that it cannot give its answer.
    failed: mpsc::Sender<io::Error>,
    beside: Beside,
}

impl Questions {
    /// The guard must not live across an `.await`. Else the task is not `Send`, and is refused.
    fn open(&self) -> MutexGuard<'_, Vec<u32>> {
        self.open.lock().expect("nobody panics while holding this lock")
    }

    async fn fewer_than(&self, count: usize) {
        while self.open().len() >= count {
            self.answered.notified().await;
        }
    }

    fn close(&self, n: u32) {
        let mut open = self.open();
        let index = open.iter().position(|open| *open == n);
        open.remove(index.expect("each question is closed once"));
        self.answered.notify_one();
    }
}
// ANCHOR_END: questions

// ANCHOR: answers
/// The second promise: makes a task of each question. Returns when there is nothing more to answer.
async fn questions_and_answers(
    mut input: LineReader,
    output: Writer,
    compute: Arc<impl Fn(u32) -> u64 + Send + Sync + 'static>,
    questions: Arc<Questions>,
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
                let said = ask(n, Arc::clone(&compute), output.clone(), questions.beside);
                let questions = Arc::clone(&questions);
                spawn(async move {
                    let said = said.await;
                    questions.close(n);
                    if let Err(error) = said {
                        let _ = questions.failed.try_send(error); // the first error counts
                    }
                });
            }
            Err(error) => say(&output, error).await?,
        }
        questions.fewer_than(questions.beside.pending_max()).await;
    }
    questions.fewer_than(1).await;
    Ok(())
}
// ANCHOR_END: answers

// ANCHOR: ask
/// One question: a thread of the pool computes, or whichever thread polls the task that computes.
///
/// What goes to the pool goes there in the call, and not at the first poll. So the task that reads
/// sends the questions in their order. A thread of the pool has the answer written before it takes
/// the next one. So one thread of the pool answers in that order.
fn ask(
    n: u32,
    compute: Arc<impl Fn(u32) -> u64 + Send + Sync + 'static>,
    output: Writer,
    beside: Beside,
) -> impl Future<Output = io::Result<()>> + Send {
    let pooled = beside.offload.then(|| {
        let (compute, output) = (Arc::clone(&compute), output.clone());
        spawn_blocking(move || {
            let value = timed(|| compute(n));
            output.blocking_write(format!("{}\n", answer(n, value)))
        })
    });
    async move {
        let panicked = |_| io::Error::other(format!("the thread that computed fib({n}) panicked"));
        if let Some(said) = pooled {
            return said.await.map_err(panicked)?;
        }
        let value = spawn(async move { timed(|| compute(n)) }).await.map_err(panicked)?;
        say(&output, answer(n, value)).await
    }
}
// ANCHOR_END: ask

//! The same program with the answers computed on the pool.
//!
//! Each question is a task of its own, which waits for a thread of the pool and then says the
//! answer. In exchange the program has to know which of its questions are open: at the end of the
//! input, after `exit`, and when there are too many.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{Command, EXIT_GRACE, answer, hello, timed};

use crate::line_reader::LineReader;
use crate::runtime::{Notify, Runtime, Sender, channel, spawn, spawn_blocking, timeout};
use crate::tasks::first_to_end;
use crate::writer::Writer;
use crate::{hellos, say};

/// How many questions may be open at once. Beyond that the program reads no further, and so
/// whoever writes to it waits: otherwise a fast writer would fill the memory with questions. An
/// `exit` behind so many is not read before one of them is answered.
pub const PENDING_MAX: usize = 1024;

// ANCHOR: run_offloaded
/// Like [`run`](crate::run), with `workers` answers computed at once, on threads of the runtime's
/// pool.
///
/// Answers come in the order in which they are ready. At the end of the input all of them are
/// waited for; after `exit`, those that are ready within [`EXIT_GRACE`].
///
/// # Errors
///
/// Those of [`run`](crate::run); and when `compute` panics.
pub fn run_offloaded(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    period: Duration,
    compute: impl Fn(u32) -> u64 + Send + Sync + 'static,
    workers: NonZero<usize>,
) -> io::Result<()> {
    let start = Instant::now();
    Runtime::with_blocking_threads(workers.get())?.block_on(async {
        let output = Writer::new(output)?;
        let input = LineReader::new(input)?;
        say(&output, hello(SystemTime::now())).await?;
        let hello_output = output.clone();
        let (failed, mut failure) = channel(1);
        let questions = Questions { open: RefCell::default(), answered: Notify::new(), failed };
        first_to_end(
            async move { hellos(&hello_output, start, period).await },
            first_to_end(
                questions_and_answers(input, output, Arc::new(compute), Rc::new(questions)),
                async move { failure.recv().await.map_or(Ok(()), Err) },
            ),
        )
        .await
    })
}
// ANCHOR_END: run_offloaded

// ANCHOR: questions
/// What the tasks share.
struct Questions {
    /// The n of each question that has no answer yet, in the order in which they were asked.
    open: RefCell<Vec<u32>>,
    /// Notified when there is one less.
    answered: Notify,
    /// Where a task says that it cannot give its answer.
    failed: Sender<io::Error>,
}

impl Questions {
    async fn fewer_than(&self, count: usize) {
        while self.open.borrow().len() >= count {
            self.answered.notified().await;
        }
    }

    fn close(&self, n: u32) {
        let mut open = self.open.borrow_mut();
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
    questions: Rc<Questions>,
) -> io::Result<()> {
    while let Some(line) = input.next_line().await? {
        match Command::parse(&line) {
            Ok(Command::Blank) => {}
            Ok(Command::Exit) => {
                if timeout(EXIT_GRACE, questions.fewer_than(1)).await.is_err() {
                    command_line::complain_abandoned(&questions.open.borrow());
                }
                return Ok(());
            }
            Ok(Command::Fib(n)) => {
                questions.open.borrow_mut().push(n);
                let (output, questions) = (output.clone(), Rc::clone(&questions));
                let compute = Arc::clone(&compute);
                spawn(async move {
                    // A task of its own, so that even its panic comes back, and is not lost.
                    let said = spawn(ask(n, compute, output)).await;
                    questions.close(n);
                    if let Err(error) =
                        said.unwrap_or_else(|error| Err(io::Error::other(error.to_string())))
                    {
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

// ANCHOR: ask
/// One question: a thread of the pool computes, and has the answer written before it takes the next
/// question. So one worker answers in the order of the questions.
async fn ask(
    n: u32,
    compute: Arc<impl Fn(u32) -> u64 + Send + Sync + 'static>,
    output: Writer,
) -> io::Result<()> {
    let panicked = |_| io::Error::other(format!("the thread that computed fib({n}) panicked"));
    let said = spawn_blocking(move || {
        let value = timed(|| compute(n));
        output.blocking_write(format!("{}\n", answer(n, value)))
    });
    said.await.map_err(panicked)?
}
// ANCHOR_END: ask

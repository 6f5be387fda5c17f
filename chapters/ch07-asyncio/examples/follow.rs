//! A stream, made by hand: the lines of a log that grows, and those of them that match.
//!
//! A stream is to an iterator what a future is to a value: the next item may be pending. One method
//! is enough, and an adaptor is a stream that owns a stream. While the log does not grow, `follow`
//! waits in a timer, and its thread is free: the task that writes the log runs there. Predict where
//! the two matches stand in the trace: at its end, or among what is written?
//!
//! `cargo run -p ch07-asyncio --example follow`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::env;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Write};
use std::mem;
use std::pin::Pin;
use std::process::{self, ExitCode};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ch07_asyncio::runtime::{JoinHandle, Runtime, Sleep, sleep, spawn};

// ANCHOR: stream
/// Items, one after another, each of which may have to be waited for. (In the crate futures-core it
/// has the same name and the same method.)
trait Stream {
    type Item;

    /// `Ready(None)` is the end.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;
}

/// Waits for the next item. Dropped before it is ready, it has taken nothing.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}
// ANCHOR_END: stream

/// How often `follow` looks whether the log has grown.
const LOOK: Duration = Duration::from_millis(5);

/// How long the program that writes the log waits before each piece.
const PAUSE: Duration = Duration::from_millis(40);

// ANCHOR: follow
/// The lines of a file that grows, until its writer has ended. A last line without its newline is
/// none.
///
/// The kernel does not tell when a file grows: a regular file is always ready, also at its end. So
/// we look now and then. (The read itself blocks the thread, as long as the disk does.)
struct Follow {
    log: BufReader<File>,
    /// Across polls: half a line waits here for its other half.
    line: String,
    /// The wait for the next look.
    pause: Option<Sleep>,
    writer: JoinHandle<io::Result<()>>,
}

impl Stream for Follow {
    type Item = io::Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(Pin::new(pause).poll(cx));
                this.pause = None;
            }
            // Asked before the read: what an ended writer has written is in the file by then.
            let writer_has_ended = this.writer.is_finished();
            let length = this.log.read_line(&mut this.line)?;
            if this.line.ends_with('\n') {
                this.line.pop();
                return Poll::Ready(Some(Ok(mem::take(&mut this.line))));
            }
            if length == 0 && writer_has_ended {
                return Poll::Ready(None);
            }
            this.pause = Some(sleep(LOOK));
        }
    }
}
// ANCHOR_END: follow

// ANCHOR: grep
/// Lets through the lines that contain the pattern, and errors.
struct Grep<S> {
    pattern: &'static str,
    lines: S,
}

impl<S: Stream<Item = io::Result<String>> + Unpin> Stream for Grep<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        loop {
            match ready!(Pin::new(&mut self.lines).poll_next(cx)) {
                Some(Ok(line)) if !line.contains(self.pattern) => {}
                item => return Poll::Ready(item),
            }
        }
    }
}
// ANCHOR_END: grep

/// What happened, in its order.
type Trace = Rc<RefCell<Vec<String>>>;

fn note(trace: &Trace, what: String) {
    trace.borrow_mut().push(what);
}

// ANCHOR: logsim
/// What the program writes, one write each. A write need not end where a line ends.
const PIECES: [&str; 4] = ["GET /\nGET /as", "ync\n", "GET /threads\nPOST /async\n", "GET /\n"];

/// A program that writes a log, and waits before each piece.
async fn logsim<F>(mut log: File, wait: impl Fn() -> F, trace: Trace) -> io::Result<()>
where
    F: Future<Output = ()>,
{
    for piece in PIECES {
        wait().await;
        note(&trace, format!("logsim writes {piece:?}"));
        log.write_all(piece.as_bytes())?;
    }
    Ok(())
}
// ANCHOR_END: logsim

/// An empty file, to write and to read. It has no name any more, so that nothing is left behind,
/// whatever becomes of us.
fn temporary_file() -> io::Result<(File, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0); // the tests run side by side, in one process
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("ch07-follow-{}-{count}.log", process::id()));
    let writer = File::create_new(&path)?;
    let reader = File::open(&path);
    fs::remove_file(&path)?;
    Ok((writer, reader?))
}

// ANCHOR: measure
/// Follows the log to its end.
async fn follow<F>(wait: impl Fn() -> F + 'static, got: impl Fn(), trace: &Trace) -> io::Result<()>
where
    F: Future<Output = ()> + 'static,
{
    let (log, reader) = temporary_file()?;
    let writer = spawn(logsim(log, wait, Rc::clone(trace)));
    let log = BufReader::new(reader);
    let lines = Follow { log, line: String::new(), pause: None, writer };
    let mut matches = Grep { pattern: "async", lines };
    while let Some(line) = next(&mut matches).await {
        note(trace, format!("    we got {:?}", line?));
        got();
    }
    matches.lines.writer.await.map_err(|error| io::Error::other(error.to_string()))?
}

fn measure() -> io::Result<Vec<String>> {
    let trace = Trace::default();
    Runtime::new()?.block_on(follow(|| sleep(PAUSE), || (), &trace))?;
    Ok(trace.take())
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    measure()?.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn main() -> ExitCode {
    command_line::experiment("follow", print)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{Ready, ready};

    use ch07_asyncio::runtime::{Elapsed, Notify, timeout};

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        Runtime::new().expect("the system gives a selector").block_on(future)
    }

    /// The lines of a log whose writer has ended.
    fn lines_of(pieces: &[&str]) -> Vec<String> {
        let (mut log, reader) = temporary_file().expect("the temporary folder can be written");
        pieces.iter().for_each(|piece| log.write_all(piece.as_bytes()).expect("it is ours"));
        block_on(async {
            let writer = spawn(ready(Ok(())));
            let log = BufReader::new(reader);
            let mut lines = Follow { log, line: String::new(), pause: None, writer };
            let mut all = Vec::new();
            while let Some(line) = next(&mut lines).await {
                all.push(line.expect("the log can be read"));
            }
            all
        })
    }

    #[test]
    fn a_match_comes_while_the_log_grows() {
        let (trace, got) = (Trace::default(), Rc::new(Notify::new()));
        let (pieces, seen) = (Cell::new(0), Rc::clone(&got));
        let wait = move || {
            pieces.set(pieces.get() + 1);
            let (is_third, seen) = (pieces.get() == 3, Rc::clone(&seen));
            async move {
                if is_third {
                    seen.notified().await; // does not return unless the first match has come
                }
            }
        };
        block_on(follow(wait, || got.notify_one(), &trace)).expect("the log can be written");
        let expected = [
            "logsim writes \"GET /\\nGET /as\"",
            "logsim writes \"ync\\n\"",
            "    we got \"GET /async\"",
            "logsim writes \"GET /threads\\nPOST /async\\n\"",
            "logsim writes \"GET /\\n\"",
            "    we got \"POST /async\"",
        ];
        assert_eq!(*trace.borrow(), expected);
    }

    #[test]
    fn half_a_line_waits_for_its_other_half() {
        assert_eq!(lines_of(&["one\ntw", "o\n"]), ["one", "two"]);
        assert_eq!(lines_of(&["one\nhalf a li"]), ["one"]);
        assert_eq!(lines_of(&[]), [""; 0]);
    }

    #[test]
    fn a_wait_for_the_next_line_that_is_given_up_loses_nothing() {
        let (mut log, reader) = temporary_file().expect("the temporary folder can be written");
        block_on(async {
            let writer = spawn(std::future::pending());
            let log_reader = BufReader::new(reader);
            let mut lines = Follow { log: log_reader, line: String::new(), pause: None, writer };
            log.write_all(b"half a").expect("it is ours");
            let given_up = timeout(LOOK * 3, next(&mut lines)).await;
            assert!(matches!(given_up, Err(Elapsed)));
            log.write_all(b" line\n").expect("it is ours");
            let line = next(&mut lines).await.expect("the writer has not ended");
            assert_eq!(line.expect("the log can be read"), "half a line");
        });
    }

    #[test]
    fn an_adaptor_passes_the_end_and_errors_on() {
        struct Items(Vec<io::Result<String>>);

        impl Stream for Items {
            type Item = io::Result<String>;

            fn poll_next(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                Poll::Ready(self.0.pop())
            }
        }

        let items = [Err(io::Error::other("the disk is gone")), Ok(String::from("b"))];
        let mut stream = Grep { pattern: "a", lines: Items(items.into()) };
        block_on(async {
            let error = next(&mut stream).await.expect("an error is an item");
            assert_eq!(error.expect_err("and not a line").to_string(), "the disk is gone");
            assert!(next(&mut stream).await.is_none());
        });
    }

    #[test]
    fn a_failing_writer_is_reported() {
        // It panics: the handle brings that, and nobody waits for a line for ever.
        let wait = || -> Ready<()> { panic!("on purpose") };
        let error = block_on(follow(wait, || (), &Trace::default())).expect_err("it panicked");
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}

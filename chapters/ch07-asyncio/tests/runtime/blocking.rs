//! The pool for what would block, and the thread that reads.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ch07_asyncio::runtime::{
    Elapsed, JoinError, Runtime, ThreadReader, sleep, spawn, spawn_blocking, timeout, yield_now,
};
use lab::inside::PATIENCE;

use super::run;
use crate::instruments::{Probe, Trace, watched};

/// Runs a future in a runtime whose pool has this many threads.
fn run_with_threads<F: Future<Output: Send> + 'static>(
    threads: usize,
    program: impl FnOnce() -> F + Send + 'static,
) -> F::Output {
    watched(move || {
        let runtime = Runtime::with_blocking_threads(threads);
        runtime.expect("a descriptor is free").block_on(program())
    })
}

/// How many jobs run at this moment, and how many did at most.
#[derive(Default)]
struct Running {
    now: usize,
    most: usize,
}

#[test]
fn as_many_jobs_run_at_once_as_there_are_threads_and_never_more() {
    const THREADS: usize = 3;
    let running = Arc::new((Mutex::new(Running::default()), Condvar::new()));
    let its_running = Arc::clone(&running);
    run_with_threads(THREADS, || async move {
        let jobs: Vec<_> = (0..20)
            .map(|_| {
                let running = Arc::clone(&its_running);
                spawn_blocking(move || {
                    let mut counts = running.0.lock().expect("nobody panics with this lock");
                    counts.now += 1;
                    counts.most = counts.most.max(counts.now);
                    running.1.notify_all();
                    // The first ones end when all threads are at work.
                    let few = |counts: &mut Running| counts.most < THREADS;
                    let wait = running.1.wait_timeout_while(counts, PATIENCE, few);
                    wait.expect("nobody panics with this lock").0.now -= 1;
                })
            })
            .collect();
        for job in jobs {
            job.await.expect("no job panics");
        }
    });
    let counts = running.0.lock().expect("nobody panics with this lock");
    assert_eq!((counts.now, counts.most), (0, THREADS));
}

#[test]
fn jobs_are_begun_in_order_and_elsewhere() {
    let trace = Trace::default();
    let its_trace = trace.clone();
    run_with_threads(1, || async move {
        let jobs: Vec<_> = ["a", "b", "c", "d"]
            .map(|name| {
                let trace = its_trace.clone();
                spawn_blocking(move || {
                    trace.add(name);
                    thread::current().id()
                })
            })
            .into();
        for job in jobs {
            assert_ne!(job.await.expect("no job panics"), thread::current().id());
        }
    });
    trace.expect(&["a", "b", "c", "d"]);
}

#[test]
fn the_loop_goes_on_meanwhile() {
    run(|| async {
        let (open, gate) = mpsc::channel::<&str>();
        let job = spawn_blocking(move || gate.recv());
        sleep(Duration::from_millis(1)).await;
        spawn(yield_now()).await.expect("it does not panic");
        assert!(!job.is_finished());
        open.send("opened by the loop").expect("the job listens");
        assert_eq!(job.await.expect("the job does not panic"), Ok("opened by the loop"));
    });
}

#[test]
fn the_panic_of_a_job_reaches_its_handle_and_the_thread_goes_on() {
    run_with_threads(1, || async {
        let job = spawn_blocking(|| panic!("in a job"));
        let Err(JoinError::Panicked(payload)) = job.await else { panic!("it has not panicked") };
        assert_eq!(payload.downcast_ref(), Some(&"in a job"));
        assert_eq!(spawn_blocking(|| 7).await.expect("this one does not panic"), 7);
    });
}

/// An output that nobody wants is dropped on the thread of the pool. The only one: if it ended, the
/// next job would wait for ever.
#[test]
fn the_panic_of_an_output_that_nobody_wants_does_not_cost_a_thread() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("of whom nobody hears");
        }
    }
    run_with_threads(1, || async {
        let (open, gate) = mpsc::channel::<()>();
        let job = spawn_blocking(move || {
            let _ = gate.recv(); // until nobody wants it any more
            PanicsOnDrop
        });
        job.abort();
        drop(open);
        assert_eq!(spawn_blocking(|| 7).await.expect("this one does not panic"), 7);
    });
}

#[test]
fn to_abort_a_job_is_to_give_up_waiting_only() {
    run_with_threads(1, || async {
        let (open, gate) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel();
        let job = spawn_blocking(move || {
            let _ = gate.recv(); // until it was aborted
            end.send("the job has run to its end").expect("the test listens");
        });
        job.abort();
        assert!(job.await.is_err_and(|error| error.is_cancelled()));
        drop(open);
        let last = spawn_blocking(|| {}); // one thread: it comes after the other
        last.await.expect("it does not panic");
        assert_eq!(ended.try_recv(), Ok("the job has run to its end"));
    });
}

#[test]
fn a_runtime_that_is_dropped_drops_the_jobs_that_have_not_begun() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let (start, started) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let trace = Trace::default();
        let its_trace = trace.clone();
        let runtime = Runtime::with_blocking_threads(1).expect("a descriptor is free");
        runtime.block_on(async move {
            let begun = spawn_blocking(move || {
                start.send(()).expect("the test listens");
                let _ = gate.recv(); // until the runtime is gone
                end.send("the job has run to its end").expect("the test listens");
            });
            let held = crate::instruments::OnDrop(its_trace.clone(), "dropped");
            let waiting = spawn_blocking(move || {
                its_trace.add("begun all the same");
                drop(held);
            });
            drop((begun, waiting));
        });
        started.recv().expect("the first job begins");
        trace.expect(&[]);
        drop(runtime);
        trace.expect(&["dropped"]);
        drop(open);
        assert_eq!(ended.recv_timeout(PATIENCE), Ok("the job has run to its end"));
        trace.expect(&[]);
    });
}

/// An input that gives what the test sends, and says when it is read and when it is dropped.
struct Scripted {
    script: Receiver<io::Result<Vec<u8>>>,
    reads: Sender<&'static str>,
}

impl Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = self.reads.send("read"); // the test may have ended
        let chunk = self.script.recv().unwrap_or(Ok(Vec::new()))?;
        buffer[..chunk.len()].copy_from_slice(&chunk);
        Ok(chunk.len())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let _ = self.reads.send("dropped"); // the test may have ended
    }
}

type Script = Sender<io::Result<Vec<u8>>>;

fn scripted() -> (Script, Receiver<&'static str>, Scripted) {
    let ((give, script), (reads, seen)) = (mpsc::channel(), mpsc::channel());
    (give, seen, Scripted { script, reads })
}

fn give(script: &Script, text: &str) {
    script.send(Ok(text.as_bytes().to_vec())).expect("it is read");
}

#[test]
fn a_thread_reads_while_the_loop_goes_on() {
    run(|| async {
        let (script, _, input) = scripted();
        let mut reader = ThreadReader::new(input).expect("the system gives a thread");
        let early = timeout(Duration::from_millis(1), reader.read()).await;
        assert!(matches!(early, Err(Elapsed)), "nothing was written yet");
        give(&script, "one");
        assert_eq!(reader.read().await.expect("it is open"), b"one");
        let probe = Probe::default();
        drop(spawn(probe.future()));
        let reads = spawn(async move { (reader.read().await, reader.read().await) });
        yield_now().await;
        probe.expect(1, 0);
        give(&script, "two");
        drop(script);
        let (two, end) = reads.await.expect("it does not panic");
        assert_eq!(two.expect("it is open"), b"two");
        assert_eq!(end.expect("it is at its end"), b"");
    });
}

#[test]
fn a_read_that_is_dropped_takes_nothing() {
    run(|| async {
        let (script, _, input) = scripted();
        let mut reader = ThreadReader::new(input).expect("the system gives a thread");
        for text in ["one", "two", "three"] {
            {
                let mut read = std::pin::pin!(reader.read());
                std::future::poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                give(&script, text); // the read is woken, or not yet, and dropped
            }
            assert_eq!(reader.read().await.expect("it is open"), text.as_bytes());
        }
    });
}

/// One chunk waits to be taken, one waits for room: the thread reads no further.
#[test]
fn the_thread_is_one_chunk_ahead() {
    run(|| async {
        let (script, seen, input) = scripted();
        let chunks: VecDeque<String> = (0..50).map(|k| format!("chunk {k}")).collect();
        for chunk in &chunks {
            give(&script, chunk);
        }
        let mut reader = ThreadReader::new(input).expect("the system gives a thread");
        let mut reads = 0;
        for (taken, chunk) in chunks.iter().enumerate() {
            assert_eq!(reader.read().await.expect("it is open"), chunk.as_bytes());
            reads += seen.try_iter().count();
            assert!(reads <= taken + 3, "{reads} reads when {} chunks were taken", taken + 1);
        }
    });
}

#[test]
fn an_error_is_told_and_is_the_last_word() {
    run(|| async {
        let (script, seen, input) = scripted();
        script.send(Err(io::ErrorKind::Interrupted.into())).expect("it is read");
        give(&script, "one");
        script.send(Err(io::ErrorKind::ConnectionReset.into())).expect("it is read");
        let mut reader = ThreadReader::new(input).expect("the system gives a thread");
        assert_eq!(reader.read().await.expect("an interrupted read is tried again"), b"one");
        let error = reader.read().await.expect_err("the input fails");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(seen.iter().last(), Some("dropped"), "the thread has ended");
        assert_eq!(reader.read().await.expect("after it comes the end"), b"");
        assert_eq!(reader.read().await.expect("and the end stays"), b"");
    });
}

#[test]
fn a_thread_whose_reader_is_dropped_ends_at_its_next_chunk() {
    run(|| async {
        let (script, seen, input) = scripted();
        let reader = ThreadReader::new(input).expect("the system gives a thread");
        assert_eq!(seen.recv_timeout(PATIENCE), Ok("read"));
        drop(reader);
        give(&script, "the next chunk");
        assert_eq!(seen.recv_timeout(PATIENCE), Ok("dropped"));
    });
}

/// A thread that was called for the first job is not idle any more, though it still looks so.
#[test]
fn two_jobs_that_wait_for_each_other_get_two_threads() {
    run_with_threads(2, || async {
        spawn_blocking(|| ()).await.expect("it does not panic"); // one thread is idle now
        let [here, there] = [(); 2].map(|()| mpsc::channel());
        let one = spawn_blocking(move || (here.0.send(()), there.1.recv()));
        let other = spawn_blocking(move || (there.0.send(()), here.1.recv()));
        assert!(one.await.expect("it does not panic").1.is_ok());
        assert!(other.await.expect("it does not panic").1.is_ok());
    });
}

/// Something of a runtime may outlive it. Its jobs do not.
#[test]
fn a_sleep_that_outlives_its_runtime_does_not_let_jobs_begin() {
    watched(|| {
        let runtime = Runtime::with_blocking_threads(1).expect("a descriptor is free");
        let (let_go, held) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let mut kept = Box::pin(sleep(Duration::from_secs(1_000)));
        runtime.block_on(async {
            let (started, is_running) = mpsc::channel();
            drop(spawn_blocking(move || (started.send(()), held.recv())));
            drop(spawn_blocking(move || begun.send(())));
            is_running.recv().expect("the first job begins");
            assert!(poll_fn(|cx| Poll::Ready(kept.as_mut().poll(cx).is_pending())).await);
        });
        drop(runtime);
        drop(let_go);
        assert!(has_begun.recv().is_err(), "the second job was dropped");
        drop(kept);
    });
}

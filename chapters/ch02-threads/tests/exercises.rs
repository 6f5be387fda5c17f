//! The exercises of this chapter. Each test fails until its exercise is solved.

use std::io::{self, BufReader, Read, Write};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use lab::inside::{PATIENCE, PERIOD};

/// An input that cannot be read.
struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the cable is out"))
    }
}

/// An input that stays silent until the test ends.
struct Silent(mpsc::Receiver<()>);

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let _ = self.0.recv(); // fails when the test drops the other end: the end of the input
        Ok(0)
    }
}

/// An output that takes one line and fails at the next.
struct OneLine(bool);

impl Write for OneLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(io::Error::other("the paper is out"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
#[ignore = "exercise: say in the error which of the two promises failed"]
fn the_error_says_who_failed() {
    let input = BufReader::new(Unreadable);
    let error = ch02_threads::run(input, io::sink(), Duration::from_secs(60), fib_timing::fib)
        .expect_err("its input cannot be read");
    assert_eq!(error.to_string(), "answers: the cable is out");

    let (end, silence) = mpsc::channel();
    let input = BufReader::new(Silent(silence));
    let error = ch02_threads::run(input, OneLine(false), PERIOD, fib_timing::fib)
        .expect_err("its output takes one line");
    assert_eq!(error.to_string(), "hello: the paper is out");
    drop(end);
}

/// What the test sees of the output, in order.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Written,
    /// `run` has returned.
    Returned,
    /// Nobody can write any more.
    Dropped,
}

struct Watched(Sender<Seen>);

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(Seen::Written).expect("the test listens until nobody can write");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.send(Seen::Dropped); // a test that failed does not listen any more
    }
}

/// One more hello may be on its way when `run` returns.
#[test]
#[ignore = "exercise: let the hello thread end soon after `run` has returned"]
fn the_hello_thread_does_not_outlive_run() {
    let (watched, seen) = mpsc::channel();
    ch02_threads::run(io::empty(), Watched(watched.clone()), PERIOD, fib_timing::fib)
        .expect("an input at its end is no error");
    watched.send(Seen::Returned).expect("we listen");
    let next = || seen.recv_timeout(PATIENCE).expect("the output is written or dropped");
    while next() != Seen::Returned {}
    let mut late = 0;
    while next() != Seen::Dropped {
        late += 1;
        assert!(late <= 1, "hello after hello is said although `run` has returned");
    }
}

//! The exercises of this chapter. Each test fails until somebody has solved it.
#![cfg(unix)]

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether poll(2) reports anything of `input` before the time is over.
fn is_ready(input: &impl AsFd, seconds: i64) -> bool {
    let mut polled = [PollFd::new(input, PollFlags::IN)];
    let time_limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    poll(&mut polled, Some(&time_limit)).expect("poll(2) of our own descriptors works");
    !polled[0].revents().is_empty()
}

// ANCHOR: broken_lines
/// The broken program of the page. Its fields and functions may change; `new` and `next_line` keep
/// their signatures.
struct BufferedLines<R> {
    input: BufReader<R>,
}

impl<R: Read + AsFd> BufferedLines<R> {
    fn new(input: R) -> BufferedLines<R> {
        BufferedLines { input: BufReader::new(input) }
    }

    /// The next line, without its newline. `None` if there is none yet: back to poll. Never blocks.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        if !is_ready(self.input.get_ref(), 0) {
            return Ok(None);
        }
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        Ok(line.strip_suffix('\n').map(str::to_owned))
    }
}
// ANCHOR_END: broken_lines

/// A pipe of which nobody can read too much: where a read would block, it is an error instead.
struct NeverBlocks(io::PipeReader);

impl Read for NeverBlocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !is_ready(&self.0, 0) {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl AsFd for NeverBlocks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[test]
#[ignore = "exercise: next_line looks into its buffer first, and reads once a readiness"]
fn every_line_is_taken_and_half_a_line_blocks_nobody() {
    let (reader, mut writer) = io::pipe().expect("two descriptors are free");
    let mut lines = BufferedLines::new(NeverBlocks(reader));
    let mut expect = |write: &str, expected: &[&str]| {
        writer.write_all(write.as_bytes()).expect("the pipe is empty");
        let next = || lines.next_line().expect("a read that would have blocked");
        assert_eq!(std::iter::from_fn(next).collect::<Vec<_>>(), expected, "after {write:?}");
    };
    expect("1\n2\n3\n", &["1", "2", "3"]);
    expect("4", &[]);
    expect("2\n5\n6", &["42", "5"]);
    expect("\n", &["6"]);
}

/// Far longer than any machine needs to tell that a pipe was closed.
const ENOUGH_SECONDS: i64 = 5;

#[test]
#[ignore = "exercise: the selector waits for the end of standard output as well"]
fn it_ends_when_nobody_reads_though_no_hello_is_due() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ch04-selectors"))
        .args(["--every", "86400"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo built the program");
    let mut output = BufReader::new(child.stdout.take().expect("it was asked for as a pipe"));
    let mut hello = String::new();
    output.read_line(&mut hello).expect("our programs write UTF-8");
    assert!(child.try_wait().expect("it is our child").is_none(), "it does not wait at all");
    drop(output); // nobody reads any more
    // When the program ends, its standard error is closed: that can be waited for.
    let ended =
        is_ready(child.stderr.as_ref().expect("it was asked for as a pipe"), ENOUGH_SECONDS);
    let _ = child.kill(); // fails only where it has ended
    let status = child.wait().expect("it is our child");
    assert!(ended, "it waits for its next hello, a day away");
    assert!(status.success(), "a reader that went away is no failure: {status}");
}

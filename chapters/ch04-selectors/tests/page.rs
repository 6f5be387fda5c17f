//! What the page of this chapter claims and no other test holds: the two dead ends, and the facts
//! about poll(2) and epoll(7) that decided for the one and against the other.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use lab::inside::{Gate, Output, Running, SLOW};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What poll(2) reports of one descriptor, asked for IN.
fn reported(input: &impl AsFd, timeout: Option<&Timespec>) -> PollFlags {
    let mut polled = [PollFd::new(input, PollFlags::IN)];
    poll(&mut polled, timeout).expect("poll(2) of our own descriptors works");
    polled[0].revents()
}

fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
    ch04_selectors::run(input, output, period, |n| gate.compute(n))
}

/// The first prediction of the page.
#[test]
fn silence_and_half_a_line_but_not_a_long_fib() {
    let mut running = Running::start(run);
    running.hellos(3); // in silence
    running.write("1");
    let hellos = running.hellos(3); // after half a line
    running.write("0\n");
    running.expect_answer(10, 55);
    running.write("40\n");
    let computes = running.gate.wait_started(SLOW);
    assert_eq!(computes, hellos[0].thread, "while it computes, nobody can say hello");
    running.gate.open_all();
    running.expect_answer(SLOW, u64::from(SLOW));
    running.close();
    running.expect_end();
}

/// A pipe of which nobody can read too much: where a read would block, it is an error instead.
struct NeverBlocks(io::PipeReader);

impl Read for NeverBlocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if reported(&self.0, Some(&AT_ONCE)).is_empty() {
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

fn buffered_pipe() -> (BufReader<NeverBlocks>, io::PipeWriter) {
    let (reader, writer) = io::pipe().expect("two descriptors are free");
    (BufReader::new(NeverBlocks(reader)), writer)
}

// ANCHOR: buffered_poll
/// Broken. Takes one line if poll(2) says that the input is ready, else none: back to poll.
fn line_if_ready<R: Read + AsFd>(input: &mut BufReader<R>) -> io::Result<Option<String>> {
    if reported(input.get_ref(), Some(&AT_ONCE)).is_empty() {
        return Ok(None);
    }
    let mut line = String::new();
    let length = input.read_line(&mut line)?;
    Ok((length > 0).then_some(line))
}
// ANCHOR_END: buffered_poll

/// What the broken program takes before poll(2) has nothing more to report.
fn lines_until_not_ready(input: &mut BufReader<NeverBlocks>) -> Vec<String> {
    let next = || line_if_ready(input).expect("whole lines are there");
    std::iter::from_fn(next).collect()
}

#[test]
fn lines_2_and_3_lie_where_poll_cannot_see_them() {
    let (mut input, mut writer) = buffered_pipe();
    writer.write_all(b"1\n2\n3\n").expect("the pipe is empty");
    assert_eq!(lines_until_not_ready(&mut input), ["1\n"]);
    assert_eq!(input.buffer(), b"2\n3\n");

    // Whatever is typed next lets them out.
    writer.write_all(b"4\n").expect("the pipe is empty");
    assert_eq!(lines_until_not_ready(&mut input), ["2\n", "3\n", "4\n"]);
}

#[test]
fn a_closed_pipe_hides_the_fault() {
    let (mut input, mut writer) = buffered_pipe();
    writer.write_all(b"1\n2\n3\n").expect("the pipe is empty");
    drop(writer);
    assert_eq!(lines_until_not_ready(&mut input), ["1\n", "2\n", "3\n"]);
}

#[test]
fn half_a_line_is_ready_and_read_line_blocks_on_it() {
    let (mut input, mut writer) = buffered_pipe();
    writer.write_all(b"4").expect("the pipe is empty");
    let blocked = line_if_ready(&mut input).map_err(|error| error.kind());
    assert_eq!(blocked, Err(ErrorKind::WouldBlock));
}

#[cfg(target_os = "linux")] // its only user is there
// ANCHOR: in_alone
/// Broken. Waits, with no time limit, and says whether there is something to read.
fn wait_for_data(input: &impl AsFd) -> bool {
    reported(input, None).contains(PollFlags::IN)
}
// ANCHOR_END: in_alone

/// On Linux. Other systems report IN as well.
#[cfg(target_os = "linux")]
#[test]
fn in_alone_spins_when_the_writer_is_gone() {
    let (mut reader, mut writer) = io::pipe().expect("two descriptors are free");
    writer.write_all(b"7\n").expect("the pipe is empty");
    drop(writer);
    assert!(wait_for_data(&reader), "the last line is data");
    let mut line = [0; 8];
    assert_eq!(reader.read(&mut line).expect("poll(2) said so"), 2);
    for _ in 0..1000 {
        assert!(!wait_for_data(&reader), "it waited for nothing and found nothing");
    }
    assert_eq!(reported(&reader, None), PollFlags::HUP);
    assert_eq!(reader.read(&mut line).expect("the end is there to read"), 0);
}

/// An input that counts how often somebody asks for its descriptor. While nothing is read, that is
/// how often the selector waits.
struct Counted {
    input: io::PipeReader,
    waits: Rc<Cell<usize>>,
}

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waits.set(self.waits.get() + 1);
        self.input.as_fd()
    }
}

/// An output that puts down at each hello how many waits there were, and ends after ten.
struct WaitsAtHellos {
    waits: Rc<Cell<usize>>,
    seen: Rc<Cell<Vec<usize>>>,
}

impl Write for WaitsAtHellos {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut seen = self.seen.take();
        seen.push(self.waits.get());
        let enough = seen.len() == 10;
        self.seen.set(seen);
        if enough { Err(ErrorKind::BrokenPipe.into()) } else { Ok(line.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In silence the thread wakes for a hello, and at no other time. And nothing that it is given has
/// to be `Send`: an `Rc` will do.
#[test]
fn in_silence_there_is_no_more_than_one_wait_a_hello() {
    let (input, _writer) = io::pipe().expect("two descriptors are free");
    let (waits, seen) = (Rc::default(), Rc::default());
    let input = Counted { input, waits: Rc::clone(&waits) };
    let output = WaitsAtHellos { waits, seen: Rc::clone(&seen) };
    let result = ch04_selectors::run(input, output, Duration::from_millis(2), u64::from);
    assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
    let seen = seen.take();
    assert_eq!(seen.len(), 10);
    for (hello, waits) in seen.iter().enumerate() {
        // One more is allowed: somebody may ask for the descriptor once, at the start.
        assert!(*waits <= hello + 1, "{waits} waits before hello {hello}");
    }
}

/// Why standard input is never made non-blocking: whoever holds a copy of the descriptor would find
/// it changed.
#[test]
fn non_blocking_belongs_to_the_open_file_not_to_the_descriptor() {
    let (mut ours, _writer) = io::pipe().expect("two descriptors are free");
    let theirs = ours.try_clone().expect("a descriptor is free");
    rustix::io::ioctl_fionbio(&theirs, true).expect("a pipe can be made non-blocking");
    let read = ours.read(&mut [0; 8]).map_err(|error| error.kind());
    assert_eq!(read, Err(ErrorKind::WouldBlock), "we changed their copy, and ours is changed");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::process::{Command, Stdio};

    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn the_whole_program_is_one_thread() {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ch04-selectors"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo built the program");
        let mut output = BufReader::new(child.stdout.take().expect("it was asked for as a pipe"));
        let mut hello = String::new();
        output.read_line(&mut hello).expect("our programs write UTF-8");
        let threads = std::fs::read_dir(format!("/proc/{}/task", child.id()));
        assert_eq!(threads.expect("it is our child, and it waits for us").count(), 1);
        drop(child.stdin.take());
        assert!(child.wait().expect("it is our child").success());
    }

    #[test]
    fn epoll_refuses_what_poll_calls_ready() {
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("a descriptor is free");
        for path in ["/dev/null", env!("CARGO_MANIFEST_PATH")] {
            let file = File::open(path).expect("it exists");
            let added = epoll::add(&epoll, &file, EventData::new_u64(0), EventFlags::IN);
            assert_eq!(added, Err(Errno::PERM), "{path}");
            assert_eq!(reported(&file, None), PollFlags::IN, "{path}");
        }
    }

    #[test]
    fn epoll_too_repeats_its_reports_unless_it_is_told_not_to() {
        for (flags, second) in [(EventFlags::IN, 1), (EventFlags::IN | EventFlags::ET, 0)] {
            let (reader, mut writer) = io::pipe().expect("two descriptors are free");
            let epoll = epoll::create(CreateFlags::CLOEXEC).expect("a descriptor is free");
            epoll::add(&epoll, &reader, EventData::new_u64(0), flags).expect("a pipe is taken");
            writer.write_all(b"x").expect("the pipe is empty");
            let event = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
            let mut events = [event; 4];
            let mut reports = || epoll::wait(&epoll, &mut events, Some(&AT_ONCE));
            assert_eq!([reports(), reports()], [Ok(1), Ok(second)], "{flags:?}");
        }
    }
}

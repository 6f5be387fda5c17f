//! What a non-blocking read says when there is nothing to read, and what stays behind of it.
//!
//! Predict: a read finds nothing, and then a byte comes. Does the byte reach the read's buffer?
//! And: two descriptors name one open pipe. One is made non-blocking. What is the other?
//!
//! `cargo run -q -p ch04-selectors --example nonblocking`

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;

use lab::experiment::{Experiment, Report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "nonblocking");

/// What a read left of its buffer, which was full of dots.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    result: Result<usize, ErrorKind>,
    buffer: String,
}

/// A connection to ourselves.
fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

// ANCHOR: reads
/// Reads before anything came, then when something came, then when the other side is closed.
fn three_reads() -> io::Result<[Seen; 3]> {
    let (mut reading, mut writing) = connection()?;
    reading.set_nonblocking(true)?;

    let mut buffer = *b"....";
    let result = reading.read(&mut buffer);
    writing.write_all(b"ab")?;
    wait_for(&reading)?;
    let nothing = seen(result, &buffer); // "ab" is here, and nobody has asked for it again

    let mut buffer = *b"....";
    let result = reading.read(&mut buffer);
    let something = seen(result, &buffer);

    drop(writing);
    wait_for(&reading)?;
    let mut buffer = *b"....";
    let result = reading.read(&mut buffer);
    Ok([nothing, something, seen(result, &buffer)])
}
// ANCHOR_END: reads

fn seen(result: io::Result<usize>, buffer: &[u8]) -> Seen {
    let buffer = String::from_utf8_lossy(buffer).into_owned();
    Seen { result: result.map_err(|error| error.kind()), buffer }
}

/// Until there is something to read, or the end.
fn wait_for(reading: &impl AsFd) -> io::Result<()> {
    poll(&mut [PollFd::new(reading, PollFlags::IN)], None)?;
    Ok(())
}

fn is_nonblocking(file: &impl AsFd) -> io::Result<bool> {
    Ok(fcntl_getfl(file)?.contains(OFlags::NONBLOCK))
}

/// Makes one of two descriptors of an open pipe non-blocking, and returns what the other is.
fn the_other() -> io::Result<bool> {
    let (one, _writing) = io::pipe()?;
    let other = one.try_clone()?;
    rustix::io::ioctl_fionbio(&one, true)?;
    is_nonblocking(&other)
}

/// Is the flag set at a file of the disk, and does a read there ever say that it would block?
fn a_file() -> io::Result<(bool, Result<usize, ErrorKind>)> {
    let mut file = File::open(env!("CARGO_MANIFEST_PATH"))?;
    fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::NONBLOCK)?;
    let read = file.read(&mut [0; 16]).map_err(|error| error.kind());
    Ok((is_nonblocking(&file)?, read))
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("WouldBlock at once, and what comes later does not come to that buffer")?;
    let when = ["nothing has come", "\"ab\" has come", "the other end is closed"];
    let reads = three_reads()?;
    report.say(format_args!("{:<26}{:<20}{}", "a read, when", "returns", "its buffer then"))?;
    for (when, Seen { result, buffer }) in when.iter().zip(&reads) {
        let result =
            result.map_or_else(|kind| format!("{kind:?}"), |length| format!("Ok({length})"));
        report.say(format_args!("{when:<26}{result:<20}{buffer}"))?;
    }
    let other = the_other()?;
    report.say(format_args!("the other descriptor of the same pipe is non-blocking: {other}"))?;
    let (is_set, read) = a_file()?;
    report.say(format_args!("a file has the flag: {is_set}, and its read: {read:?}"))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_would_block_says_so_and_leaves_nothing_pending() {
        let [nothing, something, end] = three_reads().expect("a port is free");
        assert_eq!(nothing, Seen { result: Err(ErrorKind::WouldBlock), buffer: "....".into() });
        assert_eq!(something, Seen { result: Ok(2), buffer: "ab..".into() });
        assert_eq!(end.result, Ok(0), "the end is no error");
    }

    #[test]
    fn the_flag_belongs_to_what_is_open_and_not_to_its_descriptor() {
        assert!(the_other().expect("a pipe is free"));
    }

    #[test]
    fn a_file_of_the_disk_never_says_that_it_would_block() {
        let (is_set, read) = a_file().expect("it exists");
        assert!(is_set);
        assert_eq!(read, Ok(16));
    }
}

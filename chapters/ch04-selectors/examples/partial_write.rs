//! 4 MiB are written to a socket that nobody reads yet, without blocking.
//!
//! "A non-blocking write is fire and forget." Predict how many bytes the kernel takes, where the
//! others are then, and how many writes are needed until the last one is gone.
//!
//! `cargo run -q -p ch04-selectors --example partial_write`

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

use lab::experiment::{Experiment, Judgement, Report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::socket_send_buffer_size;

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "partial_write");

const MESSAGE: usize = 4 << 20;

// ANCHOR: outbox
/// What could not be written yet.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    /// How many of them are gone already.
    written: usize,
    writes: usize,
    /// How many writes took a part of what they were given.
    partial: usize,
    /// How many took nothing: `WouldBlock`.
    refused: usize,
}

impl Outbox {
    fn left(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Writes until nothing is left, or the kernel takes no more.
    fn flush(&mut self, mut socket: &UnixStream) -> io::Result<()> {
        while self.left() > 0 {
            self.writes += 1;
            match socket.write(&self.bytes[self.written..]) {
                Ok(taken) => {
                    self.partial += usize::from(taken < self.left());
                    self.written += taken;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.refused += 1;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
// ANCHOR_END: outbox

/// What was seen.
struct Seen {
    send_buffer: usize,
    /// Taken while nobody read.
    taken: usize,
    /// Left in the outbox then.
    left: usize,
    outbox: Outbox,
    /// How often one waited for room.
    waits: usize,
    received: Vec<u8>,
}

/// Bytes of which each place can be told.
fn message(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

// ANCHOR: send
fn send(message: Vec<u8>) -> io::Result<Seen> {
    let (socket, mut peer) = UnixStream::pair()?;
    socket.set_nonblocking(true)?;
    let mut outbox = Outbox { bytes: message, ..Outbox::default() };
    outbox.flush(&socket)?; // nobody reads yet
    let (taken, left) = (outbox.written, outbox.left());

    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).map(|_| received)
    });
    let mut waits = 0;
    while outbox.left() > 0 {
        poll(&mut [PollFd::new(&socket, PollFlags::OUT)], None)?; // until there is room
        waits += 1;
        outbox.flush(&socket)?;
    }
    let send_buffer = socket_send_buffer_size(&socket)?;
    drop(socket);
    let received = reader.join().expect("it does not panic")?;
    Ok(Seen { send_buffer, taken, left, outbox, waits, received })
}
// ANCHOR_END: send

/// Without anybody who reads, nothing holds the sender back: how long is its outbox after so many
/// messages?
fn unbounded(messages: usize, length: usize) -> io::Result<usize> {
    let (socket, _peer) = UnixStream::pair()?;
    socket.set_nonblocking(true)?;
    let mut outbox = Outbox::default();
    for _ in 0..messages {
        outbox.bytes.extend(message(length));
        outbox.flush(&socket)?;
    }
    Ok(outbox.left())
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("about as much as the send buffer; the others are ours to keep")?;
    let Seen { send_buffer, taken, left, outbox, waits, received } = send(message(MESSAGE))?;
    report.say(format_args!("to be written      {MESSAGE:>9} bytes"))?;
    report.say(format_args!("the send buffer    {send_buffer:>9}"))?;
    report.say(format_args!("the kernel took    {taken:>9}"))?;
    report.say(format_args!("left in our memory {left:>9}"))?;
    let Outbox { writes, partial, refused, .. } = outbox;
    report.say(format_args!("\nthen somebody reads: {} bytes arrive", received.len()))?;
    let whole = writes - partial - refused;
    let kinds = format!("{partial} in part, {refused} WouldBlock, {whole} whole");
    report.say(format_args!("{waits} waits for room, {writes} writes: {kinds}"))?;
    let grown = unbounded(100, 64 << 10)?;
    report
        .say(format_args!("100 messages of 64 KiB, nobody reads: {grown} bytes in our memory\n"))?;
    let judged = Judgement::of(left > 0 && received == outbox.bytes, || "all was taken".into());
    report.claim("C24", 100.0 * left as f64 / MESSAGE as f64, "% not taken", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_a_part_and_the_rest_is_ours() {
        let seen = send(message(MESSAGE)).expect("two sockets are free");
        assert!(seen.taken > 0 && seen.left > 0, "{} {}", seen.taken, seen.left);
        assert!(seen.taken <= 2 * seen.send_buffer, "{} {}", seen.taken, seen.send_buffer);
        assert!(seen.outbox.partial > 0 && seen.outbox.refused > 0 && seen.waits > 0);
        assert!(seen.received == seen.outbox.bytes, "each byte came, in its order");
    }

    #[test]
    fn a_short_message_to_an_empty_socket_is_taken_whole() {
        let seen = send(message(100)).expect("two sockets are free");
        assert_eq!((seen.left, seen.outbox.writes, seen.waits), (0, 1, 0));
    }

    #[test]
    fn an_outbox_without_a_limit_grows_with_what_is_sent() {
        let grown = |messages| unbounded(messages, 64 << 10).expect("two sockets are free");
        let (some, many) = (grown(20), grown(40));
        assert_eq!(many - some, 20 * (64 << 10));
    }
}

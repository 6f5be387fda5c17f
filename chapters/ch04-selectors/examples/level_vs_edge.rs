//! Ten bytes come, and each report is answered by a read of one byte.
//!
//! Four ways of waiting: select(2), poll(2), and epoll(7) in its two kinds. Predict how many of the
//! ten bytes each of them gets, before nothing is reported any more.
//!
//! `cargo run -q -p ch04-selectors --example level_vs_edge`

#![forbid(unsafe_code)]

mod epoll;

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use epoll::{Epoll, Trigger};
use lab::experiment::{Experiment, Judgement, Report};
use nix::sys::select::{FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "level_vs_edge");

const BYTES: usize = 10;
/// What is written when nothing is reported any more.
const MORE: &[u8] = b"y";
const KEY: u64 = 7;
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn by_select(pipe: &PipeReader) -> io::Result<bool> {
    let mut set = FdSet::new();
    set.insert(pipe.as_fd());
    Ok(select(None, &mut set, None, None, &mut TimeVal::zero())? > 0)
}

fn by_poll(pipe: &PipeReader) -> io::Result<bool> {
    let mut polled = [PollFd::new(pipe, PollFlags::IN)];
    Ok(poll(&mut polled, Some(&Timespec::default()))? > 0)
}

fn by_epoll(epoll: &mut Epoll) -> io::Result<bool> {
    Ok(epoll.wait(AT_ONCE)? == [KEY])
}

// ANCHOR: count
/// How often the pipe was reported, and how many bytes were read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    reports: usize,
    bytes: usize,
}

/// What is done at a report.
#[derive(Clone, Copy)]
enum Reading {
    OneByte,
    UntilItWouldBlock,
}

/// Waits and reads until nothing is reported.
fn count(
    pipe: &PipeReader,
    reading: Reading,
    mut is_reported: impl FnMut() -> io::Result<bool>,
) -> io::Result<Counts> {
    let mut counts = Counts { reports: 0, bytes: 0 };
    while is_reported()? {
        counts.reports += 1;
        loop {
            match read(pipe, &mut [0]) {
                Ok(length) => counts.bytes += length,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
            if let Reading::OneByte = reading {
                break;
            }
        }
    }
    Ok(counts)
}
// ANCHOR_END: count

/// A pipe that never blocks, with bytes in it.
fn full() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, mut writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    writer.write_all(&[b'x'; BYTES])?;
    Ok((reader, writer))
}

fn selected() -> io::Result<Counts> {
    let (reader, _writer) = full()?;
    count(&reader, Reading::OneByte, || by_select(&reader))
}

fn polled() -> io::Result<Counts> {
    let (reader, _writer) = full()?;
    count(&reader, Reading::OneByte, || by_poll(&reader))
}

/// Before and after more is written.
fn by_trigger(trigger: Trigger, reading: Reading) -> io::Result<(Counts, Counts)> {
    let (reader, mut writer) = full()?;
    let mut epoll = Epoll::new()?;
    epoll.add(&reader, KEY, trigger)?;
    let before = count(&reader, reading, || by_epoll(&mut epoll))?;
    writer.write_all(MORE)?;
    Ok((before, count(&reader, reading, || by_epoll(&mut epoll))?))
}

/// Bytes are written, one by one, and nobody waits meanwhile: how many reports there are in as many
/// waits afterwards, of which each could have one.
fn without_a_wait() -> io::Result<usize> {
    let (reader, mut writer) = io::pipe()?;
    let mut epoll = Epoll::new()?;
    epoll.add(&reader, KEY, Trigger::Edge)?;
    for _ in 0..BYTES {
        writer.write_all(b"x")?;
    }
    (0..BYTES).map(|_| epoll.count(AT_ONCE)).sum()
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("all ten, but from the edge-triggered epoll one, with nine left behind")?;
    report.say(format_args!("{:<40}{:>8}{:>7}{:>7}", "", "reports", "bytes", "left"))?;
    let mut row = |name: &str, Counts { reports, bytes }| {
        let left = BYTES - bytes;
        report.say(format_args!("{name:<40}{reports:>8}{bytes:>7}{left:>7}"))
    };
    let (selected, polled) = (selected()?, polled()?);
    row("select", selected)?;
    row("poll", polled)?;
    let (level, _) = by_trigger(Trigger::Level, Reading::OneByte)?;
    row("epoll, level-triggered", level)?;
    let (edge, more) = by_trigger(Trigger::Edge, Reading::OneByte)?;
    row("epoll, edge-triggered", edge)?;
    let (drained, _) = by_trigger(Trigger::Edge, Reading::UntilItWouldBlock)?;
    row("the same, and reads until WouldBlock", drained)?;
    let left = BYTES + MORE.len() - edge.bytes - more.bytes;
    report.say(format_args!(
        "the fourth row goes on: {} more written, reports {}, bytes read {}, left {left}\n",
        MORE.len(),
        more.reports,
        more.bytes
    ))?;

    let all = Counts { reports: BYTES, bytes: BYTES };
    let judged = Judgement::of([selected, polled, level] == [all; 3], || "not all ten".into());
    report.claim("C53", polled.reports as f64, "reports of ten bytes by poll", judged)?;
    let judged = Judgement::of(level == all && edge.bytes == 1, || format!("{level:?} {edge:?}"));
    report.claim("C55", level.reports as f64, "reports by epoll as it is by default", judged)?;
    let reports = without_a_wait()?;
    let judged = Judgement::of(reports == 1, || format!("{reports} reports"));
    report.claim("C25", reports as f64, "report in ten waits, for ten earlier writes", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Counts = Counts { reports: BYTES, bytes: BYTES };

    #[test]
    fn select_and_poll_report_as_long_as_there_is_something() {
        assert_eq!(selected().expect("a pipe is free"), ALL);
        assert_eq!(polled().expect("a pipe is free"), ALL);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn epoll_does_the_same_unless_it_is_told_otherwise() {
        let (level, _) = by_trigger(Trigger::Level, Reading::OneByte).expect("a pipe is free");
        assert_eq!(level, ALL);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn edge_triggered_nine_bytes_are_left_and_a_new_one_frees_one() {
        let counts = by_trigger(Trigger::Edge, Reading::OneByte).expect("a pipe is free");
        let one = Counts { reports: 1, bytes: 1 };
        assert_eq!(counts, (one, one));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_reads_until_it_would_block_leaves_nothing() {
        let counts = by_trigger(Trigger::Edge, Reading::UntilItWouldBlock);
        let (ten, one) = counts.expect("a pipe is free");
        assert_eq!(ten, Counts { reports: 1, bytes: BYTES });
        assert_eq!(one, Counts { reports: 1, bytes: 1 });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_keeps_a_report_until_somebody_waits() {
        assert_eq!(without_a_wait().expect("a pipe is free"), 1);
    }
}

//! What epoll keeps in the kernel, and what it shares with this process.
//!
//! "epoll uses mmap to share memory with the kernel. With 1 GB it can watch about 100,000." Predict
//! how many mappings of this process are epoll's, and how many bytes a watch takes.
//!
//! `cargo run -q -p ch04-selectors --example epoll_memory`

#![forbid(unsafe_code)]

mod epoll;
mod limit;

use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::time::Duration;

use epoll::{Epoll, Trigger};
use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::{self, of_the_machine};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "epoll_memory");

/// Each list watches as many pipes.
const PIPES: usize = 400;
const LISTS: usize = 500;

/// Descriptors that are none of those.
const OTHERS: usize = 50;

/// The lines of `/proc/self/maps`: what is mapped into this process.
fn mappings() -> io::Result<Vec<String>> {
    Ok(proc::read("/proc/self/maps")?.lines().map(str::to_owned).collect())
}

struct Maps {
    before: usize,
    /// While epoll watches and reports.
    after: usize,
    /// The name of what the list's descriptor stands for. A mapping of it would have it, too.
    name: String,
    of_epoll: usize,
}

fn maps() -> io::Result<Maps> {
    let (reader, writer) = io::pipe()?;
    rustix::io::write(&writer, b"x")?;
    let before = mappings()?;
    let mut epoll = Epoll::new()?;
    epoll.add(&reader, 0, Trigger::Level)?;
    epoll.count(Some(Duration::ZERO))?;
    let after = mappings()?;
    let descriptor = format!("/proc/self/fd/{}", epoll.as_fd().as_raw_fd());
    let name = fs::read_link(descriptor)?.to_string_lossy().into_owned();
    let of_epoll = after.iter().filter(|mapping| mapping.contains(&name)).count();
    Ok(Maps { before: before.len(), after: after.len(), name, of_epoll })
}

// ANCHOR: slab
/// Bytes of the kernel for one watch: a pipe in a list. What else happens on this machine
/// meanwhile is in it, too.
fn bytes_a_watch(lists: usize, pipes: usize) -> io::Result<f64> {
    let pipes: Vec<_> = (0..pipes).map(|_| io::pipe()).collect::<io::Result<_>>()?;
    let before = of_the_machine("Slab")?;
    let mut all = Vec::new();
    for _ in 0..lists {
        let list = Epoll::new()?;
        for (key, (reader, _)) in (0..).zip(&pipes) {
            list.add(reader, key, Trigger::Level)?;
        }
        all.push(list);
    }
    let grown = of_the_machine("Slab")?.saturating_sub(before);
    Ok(grown as f64 / (lists * pipes.len()) as f64)
}
// ANCHOR_END: slab

/// What a watch should take.
const EXPECTED: Range<f64> = 100.0..400.0;

/// Bytes of one watch, if so many can be had, and what they say. The kernel's memory is the whole
/// machine's: others take and give back. So there are several tries. Those of a watch that takes
/// something else are alike.
fn a_watch(lists: usize, pipes: usize) -> io::Result<(Option<f64>, Judgement)> {
    const TRIES: usize = 5;

    if let Some(reason) = too_many(lists, pipes)? {
        return Ok((None, Judgement::NotJudged(reason)));
    }
    let mut tries = Vec::new();
    while tries.len() < TRIES {
        let bytes = bytes_a_watch(lists, pipes)?;
        if EXPECTED.contains(&bytes) {
            return Ok((Some(bytes), Judgement::AsExpected));
        }
        tries.push(bytes);
    }
    tries.sort_by(f64::total_cmp);
    let (low, high) = (tries[1], tries[TRIES - 2]); // but for one that others have spoilt, or two
    let otherwise = Judgement::Otherwise(format!("{tries:.0?} bytes"));
    let others = (high > 2.0 * low).then(|| format!("others use the memory: {tries:.0?} bytes"));
    Ok((Some(tries[TRIES / 2]), otherwise.unless(others)))
}

/// Why so many watches cannot be had here, if so.
fn too_many(lists: usize, pipes: usize) -> io::Result<Option<String>> {
    if limit::raise() < lists + 2 * pipes + OTHERS {
        return Ok(Some("the limit on descriptors".into()));
    }
    let most = most_watches()?; // of all processes of this user
    Ok((most < 2 * (lists * pipes) as u64).then(|| format!("a user may have {most} watches")))
}

/// How many watches a user may have.
fn most_watches() -> io::Result<u64> {
    let text = proc::read("/proc/sys/fs/epoll/max_user_watches")?;
    text.trim().parse().map_err(io::Error::other)
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("no mapping, and some 200 bytes a watch")?;
    let Maps { before, after, name, of_epoll } = maps()?;
    report.say(format_args!("mappings before: {before}, while it watches: {after}"))?;
    report.say(format_args!("of them epoll's: {of_epoll} ({name})"))?;
    report.say(format_args!("one report:      {} bytes", Epoll::REPORT_BYTES))?;
    let (bytes, judged_bytes) = a_watch(LISTS, PIPES)?;
    if let Some(bytes) = bytes {
        let watches = LISTS * PIPES;
        report.say(format_args!("one watch:       {bytes:.0} bytes, of {watches} watches"))?;
    }
    let (most, memory) = (most_watches()?, of_the_machine("MemTotal")?);
    let a_gib = most as f64 / (memory as f64 / f64::from(1 << 30));
    report.say(format_args!("a user may have: {most} watches, for each GiB {a_gib:.0}\n"))?;

    let judged = Judgement::of(of_epoll == 0, || format!("{of_epoll} mappings"));
    report.claim("C57", of_epoll as f64, "mappings of epoll", judged)?;
    report.claim("C58", bytes.unwrap_or(0.0), "bytes a watch", judged_bytes)?;
    let judged = Judgement::of(a_gib > 150_000.0, || format!("{a_gib} watches"));
    report.claim("C58", a_gib, "watches allowed for each GiB", judged)?;
    let bytes = Epoll::REPORT_BYTES;
    let judged = Judgement::of(bytes == REPORT, || format!("{bytes} bytes"));
    report.claim("C54", bytes as f64, "bytes for each report, by its type", judged)
}

/// On x86-64 a report is packed, so that 32-bit programs have the same.
const REPORT: usize = if cfg!(target_arch = "x86_64") { 12 } else { 16 };

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn epoll_shares_no_memory_with_the_process() {
        let maps = maps().expect("a pipe is free");
        assert_eq!((&*maps.name, maps.of_epoll), ("anon_inode:[eventpoll]", 0));
    }

    #[test]
    fn a_watch_is_some_hundred_bytes_of_the_kernel() {
        let (_, judged) = a_watch(200, 300).expect("Linux says it");
        judged.assert();
    }

    #[test]
    fn a_report_is_12_bytes_on_this_processor() {
        assert_eq!(Epoll::REPORT_BYTES, REPORT);
    }

    /// A twenty-fifth, and a watch is some 200 bytes.
    #[test]
    fn the_number_of_watches_is_limited_by_memory() {
        let (most, memory) = (most_watches(), of_the_machine("MemTotal"));
        let part = 200.0 * most.expect("Linux says it") as f64 / memory.expect("so it does") as f64;
        assert!((0.01..0.08).contains(&part), "{part} of the memory");
    }
}

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
use std::process::ExitCode;
use std::time::Duration;

use epoll::{Epoll, Trigger};
use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::of_the_machine;

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "epoll_memory");

/// Each list watches as many pipes.
const PIPES: usize = 400;
const LISTS: usize = 500;

/// The lines of `/proc/self/maps`: what is mapped into this process.
fn mappings() -> io::Result<Vec<String>> {
    Ok(fs::read_to_string("/proc/self/maps")?.lines().map(str::to_owned).collect())
}

// ANCHOR: maps
struct Maps {
    before: usize,
    /// While epoll watches and reports.
    after: usize,
    /// How many have the name of epoll.
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
    let of_epoll = after.iter().filter(|mapping| mapping.contains("eventpoll")).count();
    Ok(Maps { before: before.len(), after: after.len(), of_epoll })
}
// ANCHOR_END: maps

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

/// How many watches a user may have.
fn most_watches() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/sys/fs/epoll/max_user_watches")?;
    text.trim().parse().map_err(io::Error::other)
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("no mapping, and some 200 bytes a watch")?;
    let Maps { before, after, of_epoll } = maps()?;
    report.say(format_args!("mappings before: {before}, while it watches: {after}"))?;
    report.say(format_args!("of them epoll's: {of_epoll}"))?;
    report.say(format_args!("one report:      {} bytes", Epoll::REPORT_BYTES))?;
    let enough = limit::raise() > LISTS + 2 * PIPES + 50;
    let bytes = if enough { bytes_a_watch(LISTS, PIPES)? } else { 0.0 };
    report.say(format_args!("one watch:       {bytes:.0} bytes, of {} watches", LISTS * PIPES))?;
    let (most, memory) = (most_watches()?, of_the_machine("MemTotal")?);
    let a_gib = most as f64 / (memory as f64 / f64::from(1 << 30));
    report.say(format_args!("a user may have: {most} watches, for each GiB {a_gib:.0}\n"))?;

    let judged = Judgement::of(of_epoll == 0, || format!("{of_epoll} mappings"));
    report.claim("C57", of_epoll as f64, "mappings of epoll", judged)?;
    let judged = Judgement::of((100.0..400.0).contains(&bytes), || format!("{bytes} bytes"));
    let reason = (!enough).then(|| "the limit on descriptors".to_owned());
    report.claim("C58", bytes, "bytes a watch", judged.unless(reason))?;
    let judged = Judgement::of(a_gib > 150_000.0, || format!("{a_gib} watches"));
    report.claim("C58", a_gib, "watches allowed for each GiB", judged)?;
    let bytes = Epoll::REPORT_BYTES;
    let judged = Judgement::of(bytes == 12 || bytes == 16, || format!("{bytes} bytes"));
    report.claim("C54", bytes as f64, "bytes copied at each wait for each report", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn epoll_shares_no_memory_with_the_process() {
        assert_eq!(maps().expect("a pipe is free").of_epoll, 0);
    }

    #[test]
    fn a_watch_is_some_hundred_bytes_of_the_kernel() {
        // The kernel's memory is the whole machine's: others take and give back. So: several tries.
        let tries: Vec<f64> = (0..5)
            .map(|_| bytes_a_watch(100, 200).expect("descriptors are free"))
            .take_while(|bytes| !(50.0..600.0).contains(bytes))
            .collect();
        if tries.len() == 5 {
            println!("not judged: the kernel's memory changed by other things: {tries:?}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_report_is_12_bytes_on_this_processor() {
        assert_eq!(Epoll::REPORT_BYTES, 12);
    }

    #[test]
    fn the_number_of_watches_is_limited_by_memory() {
        assert!(most_watches().is_ok_and(|most| most > 1_000));
    }
}

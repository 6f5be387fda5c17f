//! One small interface, and three ways of waiting behind it: select(2), poll(2), and epoll(7) on
//! Linux or kqueue(2) on macOS and FreeBSD.
//!
//! This is what Python's `selectors` does, and `mio` and `polling` in Rust. Predict which one this
//! machine gets when it asks for the best, and what a program still notices of the choice.
//!
//! `cargo run -q -p ch04-selectors --example mini_selectors`

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod epoll;
#[cfg(any(target_os = "macos", target_os = "freebsd"))]
mod kqueue;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::ExitCode;
use std::time::Duration;

use lab::experiment::{Experiment, Report};

/// The one of this system.
#[cfg(target_os = "linux")]
use epoll as system;
#[cfg(any(target_os = "macos", target_os = "freebsd"))]
use kqueue as system;

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "mini_selectors");

// ANCHOR: interface
type Key = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    Read,
    Write,
}

trait Selector<'fd> {
    fn register(&mut self, key: Key, fd: BorrowedFd<'fd>, interest: Interest) -> io::Result<()>;

    fn unregister(&mut self, key: Key) -> io::Result<()>;

    /// The keys of what is ready, sorted. Waits until there is one, but no longer than `timeout`.
    fn select(&mut self, timeout: Duration) -> io::Result<Vec<Key>>;

    fn modify(&mut self, key: Key, fd: BorrowedFd<'fd>, interest: Interest) -> io::Result<()> {
        self.unregister(key)?;
        self.register(key, fd, interest)
    }
}
// ANCHOR_END: interface

/// What a selector has to know of each key.
type Watched<'fd> = HashMap<Key, (BorrowedFd<'fd>, Interest)>;

fn forget(watched: &mut Watched<'_>, key: Key) -> io::Result<()> {
    watched.remove(&key).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn sorted(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_unstable();
    keys
}

#[derive(Default)]
struct Select<'fd>(Watched<'fd>);

impl<'fd> Selector<'fd> for Select<'fd> {
    fn register(&mut self, key: Key, fd: BorrowedFd<'fd>, interest: Interest) -> io::Result<()> {
        if fd.as_raw_fd() >= nix::sys::select::FD_SETSIZE as i32 {
            return Err(io::ErrorKind::InvalidInput.into()); // the set has no bit for it
        }
        self.0.insert(key, (fd, interest));
        Ok(())
    }

    fn unregister(&mut self, key: Key) -> io::Result<()> {
        forget(&mut self.0, key)
    }

    fn select(&mut self, timeout: Duration) -> io::Result<Vec<Key>> {
        use nix::sys::select::{FdSet, select};
        use nix::sys::time::{TimeVal, TimeValLike};

        let (mut reading, mut writing) = (FdSet::new(), FdSet::new());
        for (fd, interest) in self.0.values() {
            match interest {
                Interest::Read => reading.insert(*fd),
                Interest::Write => writing.insert(*fd),
            }
        }
        let micros = timeout.as_nanos().div_ceil(1_000).try_into().unwrap_or(i64::MAX);
        let mut timeout = TimeVal::microseconds(micros);
        select(None, &mut reading, &mut writing, None, &mut timeout)?;
        let is_ready = |(fd, interest): &(BorrowedFd<'_>, Interest)| match interest {
            Interest::Read => reading.contains(*fd),
            Interest::Write => writing.contains(*fd),
        };
        let ready = self.0.iter().filter(|(_, watched)| is_ready(watched));
        Ok(sorted(ready.map(|(key, _)| *key).collect()))
    }
}

// ANCHOR: poll
#[derive(Default)]
struct Poll<'fd>(Watched<'fd>);

impl<'fd> Selector<'fd> for Poll<'fd> {
    fn register(&mut self, key: Key, fd: BorrowedFd<'fd>, interest: Interest) -> io::Result<()> {
        self.0.insert(key, (fd, interest));
        Ok(())
    }

    fn unregister(&mut self, key: Key) -> io::Result<()> {
        forget(&mut self.0, key)
    }

    fn select(&mut self, timeout: Duration) -> io::Result<Vec<Key>> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let flags = |interest: &Interest| match interest {
            Interest::Read => PollFlags::IN,
            Interest::Write => PollFlags::OUT,
        };
        let (keys, mut polled): (Vec<Key>, Vec<PollFd<'_>>) = self
            .0
            .iter()
            .map(|(key, (fd, interest))| (*key, PollFd::from_borrowed_fd(*fd, flags(interest))))
            .unzip();
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        poll(&mut polled, Some(&timeout))?;
        let ready = keys.iter().zip(&polled).filter(|(_, polled)| !polled.revents().is_empty());
        Ok(sorted(ready.map(|(key, _)| *key).collect()))
    }
}
// ANCHOR_END: poll

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
mod system {
    use super::*;

    pub(crate) const NAME: &str = "poll";

    pub(crate) fn best<'fd>() -> io::Result<Box<dyn Selector<'fd> + 'fd>> {
        Ok(Box::new(Poll::default()))
    }
}

/// All that there are, the best one last.
fn all<'fd>() -> io::Result<[(&'static str, Box<dyn Selector<'fd> + 'fd>); 3]> {
    Ok([
        ("select", Box::new(Select::default())),
        ("poll", Box::new(Poll::default())),
        (system::NAME, system::best()?),
    ])
}

/// What a selector reports, and whether it takes a file of the disk.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Of two pipes, before something is written to the second one, after it, and when the first
    /// one's writing end is watched instead.
    reports: [Vec<Key>; 3],
    takes_a_file: bool,
}

/// The same for each of them, whatever stands behind the interface.
fn seen<'fd>(
    selector: &mut dyn Selector<'fd>,
    pipes: &'fd [(io::PipeReader, io::PipeWriter); 2],
    file: &'fd File,
) -> io::Result<Seen> {
    const AT_ONCE: Duration = Duration::ZERO;

    selector.register(1, pipes[0].0.as_fd(), Interest::Read)?;
    selector.register(2, pipes[1].0.as_fd(), Interest::Read)?;
    let silent = selector.select(AT_ONCE)?;
    (&pipes[1].1).write_all(b"x")?;
    let written = selector.select(Duration::from_secs(10))?;
    selector.modify(1, pipes[0].1.as_fd(), Interest::Write)?;
    let room = selector.select(AT_ONCE)?;
    let takes_a_file = selector.register(3, file.as_fd(), Interest::Read).is_ok();
    Ok(Seen { reports: [silent, written, room], takes_a_file })
}

/// Tells what is seen of each selector, as soon as it is seen.
fn each(mut tell: impl FnMut(&str, Seen) -> io::Result<()>) -> io::Result<()> {
    let file = File::open(env!("CARGO_MANIFEST_PATH"))?;
    let each_has_its_own = || Ok::<_, io::Error>([io::pipe()?, io::pipe()?]);
    let pipes = [each_has_its_own()?, each_has_its_own()?, each_has_its_own()?];
    for ((name, mut selector), pipes) in all()?.into_iter().zip(&pipes) {
        tell(name, seen(&mut *selector, pipes, &file)?)?;
    }
    Ok(())
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("the same reports from each; epoll is the best here, and takes no file")?;
    report.say(format_args!(
        "{:<10}{:>9}{:>12}{:>16}{:>18}",
        "", "silent", "2 written", "room in 1, too", "takes a file"
    ))?;
    each(|name, Seen { reports, takes_a_file }| {
        let [silent, written, room] = reports.map(|keys| format!("{keys:?}"));
        report.say(format_args!("{name:<10}{silent:>9}{written:>12}{room:>16}{takes_a_file:>18}"))
    })?;
    report.say(format_args!("\nthe best one of this system: {}", system::NAME))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_one_interface_all_three_report_the_same() {
        let mut names = Vec::new();
        let told = each(|name, seen| {
            assert_eq!(seen.reports, [vec![], vec![2], vec![1, 2]], "{name}");
            names.push(name.to_owned());
            Ok(())
        });
        told.expect("pipes are free");
        assert_eq!(names, ["select", "poll", system::NAME]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_the_best_one_refuses_a_file() {
        let mut takes = Vec::new();
        let told = each(|_, seen| {
            takes.push(seen.takes_a_file);
            Ok(())
        });
        told.expect("pipes are free");
        assert_eq!(takes, [true, true, false]);
    }

    #[test]
    fn what_was_unregistered_is_not_reported_and_cannot_be_twice() {
        let (reader, writer) = io::pipe().expect("a pipe is free");
        rustix::io::write(&writer, b"x").expect("the pipe is empty");
        for (name, mut selector) in all().expect("a descriptor is free") {
            let registered = selector.register(1, reader.as_fd(), Interest::Read);
            registered.expect("it can be watched");
            assert_eq!(selector.select(Duration::ZERO).expect("it works"), [1], "{name}");
            selector.unregister(1).expect("it was registered");
            assert!(selector.select(Duration::ZERO).expect("it works").is_empty(), "{name}");
            assert!(selector.unregister(1).is_err(), "{name}");
        }
    }
}

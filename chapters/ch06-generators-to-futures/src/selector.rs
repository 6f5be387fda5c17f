//! A selector: one call that waits for any of many.
//!
//! It holds interests, each a descriptor and a key, and [`Selector::select`] blocks until one of
//! the descriptors is ready to be read, or the time is over. It is poll(2): like
//! select(2) it is portable and calls a regular file always ready, so that `< numbers.txt` works.
//! Linux has epoll(7) as well, which refuses a regular file.
//!
//! What select returns is **readiness**: a read would not block now. It is not data, and it may be
//! outdated. As long as the condition holds it is reported again (level-triggered).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

// ANCHOR: interests
/// What an interest is called by whoever registered it.
pub(crate) type Key = u64;

/// Descriptors that somebody waits for. They stay open as long as they are registered, since the
/// selector holds their owner `S` (or a borrow of it).
#[derive(Debug)]
pub(crate) struct Selector<S> {
    interests: Vec<(Key, S)>,
}

impl<S: AsFd> Selector<S> {
    pub(crate) fn new() -> Selector<S> {
        Selector { interests: Vec::new() }
    }

    /// From now on, `select` reports `key` when `source` can be read.
    pub(crate) fn register(&mut self, key: Key, source: S) {
        self.interests.push((key, source));
    }
    // ANCHOR_END: interests

    // ANCHOR: deregister
    /// The opposite of [`Selector::register`]: gives the source back.
    #[allow(dead_code, reason = "this file is the same in every chapter that has it")]
    pub(crate) fn deregister(&mut self, key: Key) -> Option<S> {
        let index = self.interests.iter().position(|(registered, _)| *registered == key)?;
        Some(self.interests.remove(index).1)
    }
    // ANCHOR_END: deregister

    // ANCHOR: select
    /// Blocks until a registered descriptor is ready, but no longer than `timeout` (`None`: for
    /// ever), and returns the keys of those that are. When a signal handler ran it returns none
    /// of them: the caller knows better than we do how long there is still to wait. (A process that
    /// was stopped and goes on, Ctrl-Z and `fg`, does not get here: the kernel goes on waiting, for
    /// as long as was left when it was stopped.)
    pub(crate) fn select(&self, timeout: Option<Duration>) -> io::Result<Vec<Key>> {
        let mut polled: Vec<PollFd<'_>> =
            self.interests.iter().map(|(_, source)| PollFd::new(source, PollFlags::IN)).collect();
        match poll(&mut polled, timeout.map(timespec).as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let mut ready = Vec::new();
        for ((key, _), polled) in self.interests.iter().zip(&polled) {
            if is_ready(polled.revents())? {
                ready.push(*key);
            }
        }
        Ok(ready)
    }
    // ANCHOR_END: select
}

// ANCHOR: is_ready
/// Whatever the kernel reports means "read now". A writer that closed its end is reported as HUP
/// *without* IN: a program that tests IN alone never sees the end, and never sleeps again.
fn is_ready(reported: PollFlags) -> io::Result<bool> {
    if reported.contains(PollFlags::NVAL) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the input cannot be polled (poll says NVAL)",
        ));
    }
    Ok(!reported.is_empty())
}
// ANCHOR_END: is_ready

// ANCHOR: timespec
/// The longest wait that every poll(2) accepts: some counts milliseconds in an `int`. About 24
/// days; whoever asked for more comes back early and asks again.
const TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

fn timespec(timeout: Duration) -> Timespec {
    let timeout = timeout.min(TIMEOUT_MAX);
    Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() }
}
// ANCHOR_END: timespec

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Instant;

    use super::*;

    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    fn select<S: AsFd>(selector: &Selector<S>, timeout: Option<Duration>) -> Vec<Key> {
        selector.select(timeout).expect("poll(2) of our own pipes works")
    }

    #[test]
    fn readiness_is_reported_as_long_as_it_holds() {
        let (reader, mut writer) = io::pipe().expect("two descriptors are free");
        let mut selector = Selector::new();
        selector.register(7, &reader);
        assert_eq!(select(&selector, AT_ONCE), [0_u64; 0]);
        writer.write_all(b"x").expect("the pipe is empty");
        assert_eq!(select(&selector, None), [7]);
        assert_eq!(select(&selector, None), [7], "level-triggered: nobody has read it");
    }

    #[test]
    fn a_closed_writer_is_reported_though_there_is_nothing_to_read() {
        let (reader, writer) = io::pipe().expect("two descriptors are free");
        let mut selector = Selector::new();
        selector.register(7, &reader);
        drop(writer);
        assert_eq!(select(&selector, None), [7]);
    }

    #[test]
    fn only_the_ready_one_of_many_is_reported_and_none_that_was_deregistered() {
        let pipes: Vec<_> =
            (0..10).map(|_| io::pipe().expect("two descriptors are free")).collect();
        let mut selector = Selector::new();
        for (key, (reader, _)) in pipes.iter().enumerate() {
            selector.register(key as Key, reader);
        }
        (&pipes[3].1).write_all(b"x").expect("the pipe is empty");
        (&pipes[5].1).write_all(b"x").expect("the pipe is empty");
        assert!(selector.deregister(5).is_some());
        assert_eq!(select(&selector, None), [3]);
    }

    #[test]
    fn a_regular_file_and_dev_null_are_always_ready() {
        for path in ["/dev/null", env!("CARGO_MANIFEST_PATH")] {
            let mut selector = Selector::new();
            selector.register(7, std::fs::File::open(path).expect("it exists"));
            assert_eq!(select(&selector, None), [7], "{path}");
        }
    }

    #[test]
    fn without_readiness_it_returns_when_the_time_is_over_and_not_before() {
        let (reader, _writer) = io::pipe().expect("two descriptors are free");
        let mut selector = Selector::new();
        selector.register(7, &reader);
        let start = Instant::now();
        let timeout = Duration::from_micros(2_500);
        assert_eq!(select(&selector, Some(timeout)), [0_u64; 0]);
        assert!(start.elapsed() >= timeout, "it came back early: the caller would spin");
    }

    #[test]
    fn no_timeout_is_too_long() {
        let longest = timespec(Duration::MAX);
        assert_eq!((longest.tv_sec, longest.tv_nsec), (2_147_483, 647_000_000));
        let mut selector = Selector::new();
        selector.register(7, std::fs::File::open("/dev/null").expect("it exists"));
        assert_eq!(select(&selector, Some(Duration::MAX)), [7]);
    }

    #[test]
    fn whatever_is_reported_means_read_and_what_cannot_be_polled_is_an_error() {
        for reported in [PollFlags::IN, PollFlags::HUP, PollFlags::ERR] {
            assert!(is_ready(reported).expect("it can be polled"), "{reported:?}");
        }
        assert!(!is_ready(PollFlags::empty()).expect("it can be polled"));
        assert!(is_ready(PollFlags::NVAL).is_err());
    }
}

//! epoll(7) in three calls: make an interest list, change it, wait. Where there is no epoll, making
//! one is an error that says so.

#![allow(dead_code, reason = "no example uses all of it")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::event::epoll;

/// How many reports one wait takes at most.
const REPORTS: usize = 16_384;

// ANCHOR: kind
/// When the kernel reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// At every wait, as long as there is something to read.
    Level,
    /// Once, when something new arrives.
    Edge,
    /// Once, when something new arrives or there is room again for what is to be written.
    EdgeBoth,
}
// ANCHOR_END: kind

/// An interest list that the kernel keeps.
pub(crate) struct Epoll {
    list: OwnedFd,
    #[cfg(target_os = "linux")]
    reports: Vec<epoll::Event>,
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.list.as_fd()
    }
}

#[cfg(target_os = "linux")]
impl Epoll {
    /// How many bytes the kernel writes for one report.
    pub(crate) const REPORT_BYTES: usize = size_of::<epoll::Event>();

    // ANCHOR: calls
    pub(crate) fn new() -> io::Result<Epoll> {
        let list = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Epoll { list, reports: Vec::with_capacity(REPORTS) })
    }

    /// From now on a wait reports `key` when `source` can be read.
    pub(crate) fn add(&self, source: impl AsFd, key: u64, trigger: Trigger) -> io::Result<()> {
        let flags = match trigger {
            Trigger::Level => epoll::EventFlags::IN,
            Trigger::Edge => epoll::EventFlags::IN | epoll::EventFlags::ET,
            Trigger::EdgeBoth => {
                epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET
            }
        };
        Ok(epoll::add(&self.list, source, epoll::EventData::new_u64(key), flags)?)
    }

    pub(crate) fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.list, source)?)
    }

    /// The keys of what is ready. Waits until there is one, but no longer than `timeout`.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<u64>> {
        self.count(timeout)?;
        Ok(self.reports.iter().map(|report| report.data.u64()).collect())
    }
    // ANCHOR_END: calls

    /// The same, for who wants to know only how many there are.
    pub(crate) fn count(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        use rustix::buffer::spare_capacity;
        use rustix::event::Timespec;

        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        self.reports.clear();
        match epoll::wait(&self.list, spare_capacity(&mut self.reports), timeout.as_ref()) {
            Ok(count) => Ok(count),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Epoll {
    pub(crate) const REPORT_BYTES: usize = 0;

    pub(crate) fn new() -> io::Result<Epoll> {
        Err(unsupported())
    }

    pub(crate) fn add(&self, _: impl AsFd, _: u64, _: Trigger) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn remove(&self, _: impl AsFd) -> io::Result<()> {
        Err(unsupported())
    }

    pub(crate) fn wait(&mut self, _: Option<Duration>) -> io::Result<Vec<u64>> {
        Err(unsupported())
    }

    pub(crate) fn count(&mut self, _: Option<Duration>) -> io::Result<usize> {
        Err(unsupported())
    }
}

/// With this an experiment is not judged.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "epoll(7) needs Linux")
}

//! epoll(7), of Linux: the list of interests is the kernel's.

use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::*;

pub(crate) struct Epoll<'fd> {
    list: OwnedFd,
    /// Only because a key is what our interface removes.
    watched: Watched<'fd>,
}

impl Epoll<'_> {
    pub(crate) fn new() -> io::Result<Self> {
        let list = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Epoll { list, watched: Watched::new() })
    }
}

impl<'fd> Selector<'fd> for Epoll<'fd> {
    fn register(&mut self, key: Key, fd: BorrowedFd<'fd>, what: Interest) -> io::Result<()> {
        let flags = match what {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
        };
        epoll::add(&self.list, fd, epoll::EventData::new_u64(key), flags)?;
        self.watched.insert(key, (fd, what));
        Ok(())
    }

    fn unregister(&mut self, key: Key) -> io::Result<()> {
        let (fd, _) = self.watched.remove(&key).ok_or(io::ErrorKind::NotFound)?;
        Ok(epoll::delete(&self.list, fd)?)
    }

    fn select(&mut self, timeout: Duration) -> io::Result<Vec<Key>> {
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let mut reports = Vec::with_capacity(64);
        epoll::wait(&self.list, spare_capacity(&mut reports), Some(&timeout))?;
        Ok(sorted(reports.iter().map(|report: &epoll::Event| report.data.u64()).collect()))
    }
}

pub(crate) const NAME: &str = "epoll";

pub(crate) fn best<'fd>() -> io::Result<Box<dyn Selector<'fd> + 'fd>> {
    Ok(Box::new(Epoll::new()?))
}

//! kqueue(2), of macOS and FreeBSD. Type-checked only: we have no such machine.

use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue as List};

use super::*;

pub(crate) struct Kqueue<'fd> {
    list: List,
    watched: Watched<'fd>,
}

fn event(fd: BorrowedFd<'_>, interest: Interest, flags: EvFlags, key: Key) -> KEvent {
    let filter = match interest {
        Interest::Read => EventFilter::EVFILT_READ,
        Interest::Write => EventFilter::EVFILT_WRITE,
    };
    let number = fd.as_raw_fd() as usize;
    KEvent::new(number, filter, flags, FilterFlag::empty(), 0, key as isize)
}

impl<'fd> Selector<'fd> for Kqueue<'fd> {
    fn register(&mut self, key: Key, fd: BorrowedFd<'fd>, what: Interest) -> io::Result<()> {
        self.list.kevent(&[event(fd, what, EvFlags::EV_ADD, key)], &mut [], None)?;
        self.watched.insert(key, (fd, what));
        Ok(())
    }

    fn unregister(&mut self, key: Key) -> io::Result<()> {
        let (fd, what) = self.watched.remove(&key).ok_or(io::ErrorKind::NotFound)?;
        self.list.kevent(&[event(fd, what, EvFlags::EV_DELETE, key)], &mut [], None)?;
        Ok(())
    }

    fn select(&mut self, timeout: Duration) -> io::Result<Vec<Key>> {
        let mut reports = [nothing(); 64];
        let timeout = nix::libc::timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let count = self.list.kevent(&[], &mut reports, Some(timeout))?;
        Ok(sorted(reports[..count].iter().map(|report| report.udata() as Key).collect()))
    }
}

fn nothing() -> KEvent {
    let (filter, flags) = (EventFilter::EVFILT_READ, EvFlags::empty());
    KEvent::new(0, filter, flags, FilterFlag::empty(), 0, 0)
}

pub(crate) const NAME: &str = "kqueue";

pub(crate) fn best<'fd>() -> io::Result<Box<dyn Selector<'fd> + 'fd>> {
    Ok(Box::new(Kqueue { list: List::new()?, watched: Watched::new() }))
}

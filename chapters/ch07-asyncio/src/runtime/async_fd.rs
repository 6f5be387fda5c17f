//! Any descriptor that epoll takes: a pipe, a socket of another kind, a terminal, an eventfd.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};

use super::reactor::{self, Registered};

// ANCHOR: async_fd
/// A descriptor that tasks can wait for.
///
/// It must be non-blocking (`O_NONBLOCK`), because operations are tried first. Regular files are
/// refused, since epoll refuses them; and a descriptor that the program shares with others (its
/// standard input) should not be made non-blocking at all: read that on a thread.
pub struct AsyncFd<T: AsFd> {
    descriptor: Registered<Descriptor<T>>,
}

struct Descriptor<T>(T);

impl<T: AsFd> AsyncFd<T> {
    /// Registers `inner` with the current runtime.
    ///
    /// # Errors
    ///
    /// When the system's selector cannot wait for it.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        Ok(AsyncFd { descriptor: Registered::new(Descriptor(inner))? })
    }

    /// Waits until `read` does not say `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub async fn read_with<R>(&self, mut read: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        poll_fn(|cx| self.descriptor.poll_io(reactor::read, cx, |inner| read(&inner.0))).await
    }

    /// Waits until `write` does not say `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub async fn write_with<R>(&self, mut write: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        poll_fn(|cx| self.descriptor.poll_io(reactor::write, cx, |inner| write(&inner.0))).await
    }

    /// What is inside.
    pub fn get_ref(&self) -> &T {
        &self.descriptor.source.0
    }
}
// ANCHOR_END: async_fd

impl<T: AsFd> event::Source for Descriptor<T> {
    fn register(&mut self, at: &Registry, token: Token, ways: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_fd().as_raw_fd()).register(at, token, ways)
    }

    fn reregister(&mut self, at: &Registry, token: Token, ways: Interest) -> io::Result<()> {
        SourceFd(&self.0.as_fd().as_raw_fd()).reregister(at, token, ways)
    }

    fn deregister(&mut self, at: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_fd().as_raw_fd()).deregister(at)
    }
}

//! A stream that loses its patience with a client that reads nothing.
//!
//! hyper limits how long a client may take to send. Nothing limits how long it may take to read:
//! the kernel's buffer is full, the write is pending, and would be for ever. Here a write that has
//! been pending for too long is an error. An idle connection pays a few bytes for it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep, sleep};

/// A stream, and the time for which a write to it may be pending.
pub(crate) struct Patient<S> {
    stream: S,
    write_timeout: Duration,
    /// While a write is pending: when that is too long.
    pending: Option<Pin<Box<Sleep>>>,
    /// When something was written last.
    written: Option<Instant>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, write_timeout: Duration) -> Patient<S> {
        Patient { stream, write_timeout, pending: None, written: None }
    }

    /// When something was written last.
    pub(crate) fn written(&self) -> Option<Instant> {
        self.written
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    // ANCHOR: watched
    /// Passes on what a write has said, and looks at the clock where it said `Pending`.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.pending = None;
            self.written = Some(Instant::now());
            return written;
        }
        let write_timeout = self.write_timeout;
        let pending = self.pending.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        pending.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
    // ANCHOR_END: watched
}

impl<S: Read + Unpin> Read for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: Write + Unpin> Write for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

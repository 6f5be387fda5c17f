//! TCP, for tasks.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll, ready};

use super::reactor::{Registered, read, write};

// ANCHOR: listener
/// A TCP socket that listens.
pub struct TcpListener {
    listener: Registered<mio::net::TcpListener>,
}

impl TcpListener {
    /// Listens at `address`. Port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// What the system says: the address is in use, or no descriptor is free.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let listener = mio::net::TcpListener::bind(address)?;
        Ok(TcpListener { listener: Registered::new(listener)? })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// Mostly those of one connection, after which the next `accept` may work. When no descriptor
    /// is free (EMFILE) it fails at once, again and again, and is never pending: sleep a little
    /// before you ask again, or the loop never goes on, and nobody can close a descriptor.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = poll_fn(|cx| self.listener.poll_io(read, cx, |tcp| tcp.accept()));
        let (stream, peer) = accepted.await?;
        Ok((TcpStream { stream: Registered::new(stream)? }, peer))
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.source.local_addr()
    }
}
// ANCHOR_END: listener

// ANCHOR: stream
/// A TCP connection. All methods take `&self`: one task may read while another one writes.
pub struct TcpStream {
    stream: Registered<mio::net::TcpStream>,
}

impl TcpStream {
    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that nobody listens there.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream { stream: Registered::new(mio::net::TcpStream::connect(address)?)? };
        // The attempt has ended when the peer has a name, or when there is an error to fetch.
        let ended = |stream: &mio::net::TcpStream| match (stream.take_error()?, stream.peer_addr())
        {
            (Some(error), _) => Err(error),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            (None, peer) => peer,
        };
        poll_fn(|cx| stream.stream.poll_io(write, cx, ended)).await?;
        Ok(stream)
    }

    /// Reads what has come, at most as much as `buffer` holds. 0 is the end. Dropped before it is
    /// ready, it has taken nothing.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that the peer has reset the connection.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    /// [`TcpStream::read`], as a poll.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let length = ready!(self.stream.poll_io(read, cx, |mut tcp| tcp.read(buffer)))?;
        if 0 < length && length < buffer.len() {
            self.stream.drained(read);
        }
        Poll::Ready(Ok(length))
    }

    /// Writes what fits into the kernel's buffer now, and says how much that was.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that the peer has closed the connection.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write(cx, bytes)).await
    }

    /// [`TcpStream::write`], as a poll.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let length = ready!(self.stream.poll_io(write, cx, |mut tcp| tcp.write(bytes)))?;
        if 0 < length && length < bytes.len() {
            self.stream.drained(write);
        }
        Poll::Ready(Ok(length))
    }

    /// Writes all of `bytes`. Dropped before it is ready, it may have written a part of them.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                length => bytes = &bytes[length..],
            }
        }
        Ok(())
    }

    /// Says our last word in one direction, or in both. The peer reads an end then.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that the connection has ended.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.source.shutdown(how)
    }

    /// Sends small writes at once, instead of waiting for more to send with them.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.stream.source.set_nodelay(nodelay)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that the connection has ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.source.peer_addr()
    }
}
// ANCHOR_END: stream

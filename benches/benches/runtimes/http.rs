//! hyper on our runtime and on tokio's: one route, connections that are kept alive.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ch07_asyncio::runtime;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::runtimes::ANY_PORT;

/// How much is read at once, in bytes. The same for both.
const CHUNK: usize = 8 * 1024;

/// Tells its address, and answers. It ends with its process.
pub(crate) async fn on_ours(tell: fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
    let listener = runtime::TcpListener::bind(ANY_PORT)?;
    tell(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        runtime::spawn(serve(stream));
    }
}

/// The same.
pub(crate) async fn on_tokio(tell: fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(ANY_PORT).await?;
    tell(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: impl Stream) {
    let answer = async |_: Request<hyper::body::Incoming>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    };
    let stream = Adapter { stream, chunk: vec![0; CHUNK] };
    // A client that goes away ends its connection, and nothing else.
    let _ = http1::Builder::new().serve_connection(stream, service_fn(answer)).await;
}

/// What the two kinds of streams can do.
trait Stream: Unpin {
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    fn end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Stream for runtime::TcpStream {
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read(cx, buffer)
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(cx, bytes)
    }

    fn end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(std::net::Shutdown::Write))
    }
}

impl Stream for tokio::net::TcpStream {
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(self).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }

    fn end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }
}

/// A stream as hyper wants it. What is read is copied once, so that no unsafe code is needed.
struct Adapter<S> {
    stream: S,
    chunk: Vec<u8>,
}

impl<S: Stream> Read for Adapter<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Adapter { stream, chunk } = &mut *self;
        let room = buffer.remaining().min(chunk.len());
        let length = ready!(stream.read(cx, &mut chunk[..room]))?;
        buffer.put_slice(&chunk[..length]);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> Write for Adapter<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // TCP keeps nothing back
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.end(cx)
    }
}

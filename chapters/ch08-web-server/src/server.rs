//! Accept, serve, end.
//!
//! A task for each connection. hyper reads its requests and writes the responses; an [`App`]
//! answers them. What can go wrong around that stands here: no descriptor is left, a client goes on
//! sending after its last answer, the server is told to end.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener as StdListener;
use std::pin::{Pin, pin};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::App;
use crate::limits::{ACCEPT_PAUSE, HEAD_MAX, LINGER_BYTES, LINGER_TIME};
use crate::patient::Patient;

// ANCHOR: ended
/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How many connections were still open when the time for them was over.
    pub abandoned: usize,
}
// ANCHOR_END: ended

// ANCHOR: serve
/// Serves `app` until `end`: then it accepts nothing more, and what runs may finish within the grace
/// of its limits.
///
/// # Errors
///
/// When the listener cannot be waited for.
pub async fn serve(
    listener: StdListener,
    app: Arc<App>,
    end: CancellationToken,
) -> io::Result<Ended> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let connections = TaskTracker::new();
    let watched = Arc::clone(&app);
    let watch = tokio::spawn(async move { watched.stats().watch().await });
    tokio::select! {
        () = end.cancelled() => {}
        () = accept_all(&listener, &app, &connections, &end) => {}
    }
    drop(listener);
    connections.close();
    let ended = timeout(app.limits().grace, connections.wait()).await;
    watch.abort();
    Ok(Ended { abandoned: if ended.is_ok() { 0 } else { connections.len() } })
}
// ANCHOR_END: serve

// ANCHOR: accept_all
/// A task for each connection. The number of descriptors is their limit: at that limit `accept`
/// fails at once, and would fail again and again. The loop would have no turn for those who are
/// about to close theirs.
async fn accept_all(
    listener: &TcpListener,
    app: &Arc<App>,
    connections: &TaskTracker,
    end: &CancellationToken,
) {
    let mut complained = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                complained = false;
                connections.spawn(connection(stream, Arc::clone(app), end.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                app.stats().accept_failed();
                if !std::mem::replace(&mut complained, true) {
                    command_line::complain(&format!("accept: {error}\n"));
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client was gone before it was accepted. The next one is not concerned.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};

    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
// ANCHOR_END: accept_all

// ANCHOR: connection
/// One connection, from its first request to its end. How it ends is the client's affair.
async fn connection(stream: TcpStream, app: Arc<App>, end: CancellationToken) {
    let _connected = app.stats().connected();
    let _ = stream.set_nodelay(true); // else the last piece of a response may wait for an ACK
    let limits = app.limits();
    let io = Patient::new(TokioIo::new(stream), limits.write_timeout);
    let answering = Arc::clone(&app);
    let service = service_fn(move |request| {
        let app = Arc::clone(&answering);
        // Boxed: an idle connection has no room for a request.
        let answer: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { app.answer(request).await });
        answer
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .half_close(limits.half_close)
        .max_header_size(HEAD_MAX)
        .serve_connection(io, service);
    let served = {
        let mut ending = pin!(end.cancelled());
        let mut was_told = false;
        poll_fn(|cx| {
            if !was_told && ending.as_mut().poll(cx).is_ready() {
                was_told = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            connection.poll_without_shutdown(cx)
        })
        .await
    };
    // What is no request was answered too, with 400 or 431, though hyper calls it an error.
    if served.as_ref().map_or_else(hyper::Error::is_parse, |()| true) {
        linger(connection.into_parts().io.into_inner().into_inner()).await;
    }
}
// ANCHOR_END: connection

// ANCHOR: linger
/// Says that nothing more will be written, and reads what still comes. A socket that is closed with
/// unread bytes sends a reset, and that can overtake our last answer in the client's kernel.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return; // the client is gone
    }
    let mut chunk = vec![0; 4096]; // not in the task, which would have the room for it all its life
    let mut left = LINGER_BYTES;
    let drained = async {
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            left = left.saturating_sub(length);
            if left == 0 {
                return;
            }
        }
    };
    let _ = timeout(LINGER_TIME, drained).await;
}
// ANCHOR_END: linger

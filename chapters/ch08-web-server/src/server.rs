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
use crate::stats::Connected;

// ANCHOR: ended
/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How many connections were still open when the time for them was over.
    pub abandoned: usize,
}
// ANCHOR_END: ended

// ANCHOR: serve
/// Serves `app` until `end`: then it accepts nothing more, and what runs may finish within the
/// grace of its limits.
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
    let tasks = Tasks::default();
    let watched = Arc::clone(&app);
    let watch = tokio::spawn(async move { watched.stats().watch().await });
    tokio::select! {
        () = end.cancelled() => {}
        () = accept_all(&listener, &app, &tasks, &end) => {}
    }
    drop(listener);
    let ended = timeout(app.limits().grace, tasks.ended()).await;
    watch.abort();
    Ok(Ended { abandoned: if ended.is_ok() { 0 } else { tasks.connections.len() } })
}

/// The tasks of the connections, and of those that have had their last answer and only linger.
#[derive(Clone, Default)]
struct Tasks {
    connections: TaskTracker,
    lingering: TaskTracker,
}

impl Tasks {
    async fn ended(&self) {
        for tasks in [&self.connections, &self.lingering] {
            tasks.close();
            tasks.wait().await;
        }
    }
}
// ANCHOR_END: serve

// ANCHOR: accept_all
/// A task for each connection. The number of descriptors is their limit: at that limit `accept`
/// fails at once, and would fail again and again. The loop would have no turn for those who are
/// about to close theirs.
async fn accept_all(
    listener: &TcpListener,
    app: &Arc<App>,
    tasks: &Tasks,
    end: &CancellationToken,
) {
    let mut complained = false;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                complained = false;
                let lingering = tasks.lingering.clone();
                let served = connection(stream, Arc::clone(app), end.clone(), lingering);
                tasks.connections.spawn(served);
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
///
/// This is no `async fn`, since that would keep its arguments beside what they become. And what is
/// rare is in boxes of its own. An idle connection then holds little more than hyper's part.
fn connection(
    stream: TcpStream,
    app: Arc<App>,
    end: CancellationToken,
    lingering: TaskTracker,
) -> impl Future<Output = ()> + Send {
    let connected = Connected::new(app.stats());
    let _ = stream.set_nodelay(true); // else the last piece of a response may wait for an ACK
    let limits = app.limits().clone();
    let stream = Patient::new(TokioIo::new(stream), limits.write_timeout);
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        Box::pin(async move { app.answer(request).await })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .half_close(limits.half_close)
        .max_header_size(HEAD_MAX)
        .serve_connection(stream, service);
    async move {
        let mut told = Some(pin!(end.cancelled()));
        let served = poll_fn(|cx| {
            if told.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
                told = None;
                Pin::new(&mut connection).graceful_shutdown();
            }
            connection.poll_without_shutdown(cx)
        })
        .await;
        // What is no request was answered too, with 400 or 431, though hyper calls it an error.
        let was_answered = served.as_ref().map_or_else(hyper::Error::is_parse, |()| true);
        let stream = connection.into_parts().io; // the rest is gone, and with it a request
        if was_answered && stream.written().is_some_and(|at| at.elapsed() < LINGER_TIME) {
            lingering.spawn(linger(stream.into_inner().into_inner(), connected));
        }
    }
}
// ANCHOR_END: connection

// ANCHOR: linger
/// Says that nothing more will be written, and reads what still comes. A socket that is closed with
/// unread bytes sends a reset, and that can overtake our last answer in the client's kernel. (An
/// answer that was written longer ago has arrived.)
async fn linger(mut stream: TcpStream, _connected: Connected) {
    if stream.shutdown().await.is_err() {
        return; // the client is gone
    }
    let mut chunk = [0; 4096];
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

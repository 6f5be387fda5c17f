//! An echo server with one thread, and one with a thread for each connection.
//!
//! A first client connects and says nothing. Predict whether a second one is answered, by each of
//! the two servers. Then predict how many threads 200 silent clients keep.
//!
//! `cargo run -p ch02-threads --example echo_threads`

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lab::experiment::{Experiment, Report};

/// How many clients are silent.
const CLIENTS: usize = 200;

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "echo_threads")
    .with_threads(CLIENTS)
    .with_descriptors(2 * CLIENTS + 32);

// ANCHOR: servers
/// Sends back what comes, until the client has closed its side.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

/// Serves so many connections, one after the other.
fn in_turn(listener: &TcpListener, connections: usize) -> io::Result<()> {
    for _ in 0..connections {
        echo(listener.accept()?.0)?;
    }
    Ok(())
}

/// Serves so many connections, each in a thread of its own.
fn in_threads(listener: &TcpListener, connections: usize) -> io::Result<()> {
    thread::scope(|scope| {
        for _ in 0..connections {
            let stream = listener.accept()?.0;
            let serve = || {
                SERVING.fetch_add(1, Ordering::SeqCst);
                let served = echo(stream);
                SERVING.fetch_sub(1, Ordering::SeqCst);
                served
            };
            thread::Builder::new().spawn_scoped(scope, serve)?;
        }
        Ok(())
    })
}
// ANCHOR_END: servers

/// How many threads are in `echo` now.
static SERVING: AtomicUsize = AtomicUsize::new(0);

type Server = fn(&TcpListener, usize) -> io::Result<()>;

fn with_server<T>(
    serve: Server,
    connections: usize,
    clients: impl FnOnce(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, connections));
        // A client that fails drops its connections, and the server has less to do than it waits
        // for: so what is missing is connected here.
        let seen = clients(address);
        if seen.is_err() {
            (0..connections).for_each(|_| drop(TcpStream::connect(address)));
        }
        server.join().map_err(|_| io::Error::other("the server panicked"))??;
        seen
    })
}

/// Is a second client answered (while the first one is silent, after the first one has left)?
fn second_is_answered(serve: Server, patience: Duration) -> io::Result<(bool, bool)> {
    with_server(serve, 2, |address| {
        let silent = TcpStream::connect(address)?;
        let mut second = TcpStream::connect(address)?;
        second.write_all(b"hello")?;
        second.shutdown(Shutdown::Write)?;
        second.set_read_timeout(Some(patience))?;
        let mut echoed = String::new();
        let at_once = second.read_to_string(&mut echoed).is_ok();
        drop(silent);
        second.set_read_timeout(None)?;
        second.read_to_string(&mut echoed)?;
        Ok((at_once, echoed == "hello"))
    })
}

/// How many threads serve, while so many clients are connected and say nothing more.
fn threads_of(clients: usize) -> io::Result<usize> {
    with_server(in_threads, clients, |address| {
        let mut streams = Vec::new();
        for _ in 0..clients {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"!")?;
            stream.read_exact(&mut [0])?; // so its thread is there
            streams.push(stream);
        }
        Ok(SERVING.load(Ordering::SeqCst))
    })
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_millis(300);

    report
        .expects("one thread: not while the first is silent; threads: at once, and 200 of them")?;
    let yes = |answered| if answered { "answered" } else { "not answered" };
    for (name, serve) in [("one thread", in_turn as Server), ("a thread each", in_threads)] {
        let (at_once, later) = second_is_answered(serve, PATIENCE)?;
        report.say(format_args!("{name}:"))?;
        report.say(format_args!("  the first is silent:   {}", yes(at_once)))?;
        report.say(format_args!("  the first has left:    {}", yes(later)))?;
    }
    report.say(format_args!("\n{CLIENTS} clients, all silent: {} threads", threads_of(CLIENTS)?))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For what comes, and for what does not.
    const PATIENCE: Duration = Duration::from_secs(10);
    const A_WHILE: Duration = Duration::from_millis(100);

    // One test: the number of threads is that of the process.
    #[test]
    fn a_silent_client_keeps_one_thread_and_with_it_all_who_share_that_thread() {
        let in_turn = second_is_answered(in_turn, A_WHILE);
        assert_eq!(in_turn.expect("loopback works"), (false, true));
        let in_threads = second_is_answered(in_threads, PATIENCE);
        assert_eq!(in_threads.expect("loopback works"), (true, true));
        assert_eq!(threads_of(20).expect("20 threads are free"), 20);
    }
}

//! An echo server and its clients on one thread, and how often a read has to wait.
//!
//! One often reads that `read(…).await` registers the socket, suspends the task, and reads when it
//! is resumed. Here the socket is registered once, when the connection is made, and a read tries
//! first. Predict how often each of these reads is `Pending`: its bytes come later; its bytes are
//! there; its bytes are there, but the last read got fewer than it had room for.
//!
//! `cargo run -p ch07-asyncio --example echo`

#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::pin::pin;
use std::process::ExitCode;

use ch07_asyncio::runtime::{JoinHandle, Runtime, TcpListener, TcpStream, spawn};

/// How much one read takes at most, in bytes.
const BUFFER: usize = 8;

// ANCHOR: server
/// Accepts connections for ever, and gives each a task.
async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        spawn(echo(stream));
    }
}

/// Sends back what comes, until the client has said its last word. Then the answer has ended too.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length]).await?,
        }
    }
}
// ANCHOR_END: server

// ANCHOR: client
/// Sends all, closes its own direction, and reads until the server has closed the other one.
///
/// It reads nothing before it has sent all. So a text of many megabytes, more than the kernel's
/// buffers hold, would stop both sides for ever: each would wait for the other one to read.
async fn ask(address: SocketAddr, text: &str) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown(Shutdown::Write)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; BUFFER]);
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(String::from_utf8_lossy(&answer).into_owned()),
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
}

/// What each client of one server gets.
async fn ask_all(texts: &[&'static str]) -> io::Result<Vec<String>> {
    let listener = TcpListener::bind(localhost())?;
    let address = listener.local_addr()?;
    spawn(serve(listener));
    let clients: Vec<JoinHandle<_>> = texts.iter().map(|text| spawn(ask(address, text))).collect();
    let mut answers = Vec::new();
    for client in clients {
        answers.push(client.await.expect("nobody aborts it, and it does not panic")?);
    }
    Ok(answers)
}
// ANCHOR_END: client

/// A free port of this machine.
fn localhost() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

// ANCHOR: counted
/// Waits for `future`, and counts how often it was pending.
async fn counted<F: Future>(future: F) -> (F::Output, usize) {
    let (mut future, mut pendings) = (pin!(future), 0);
    let output = poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        pendings += usize::from(poll.is_pending());
        poll
    });
    (output.await, pendings)
}
// ANCHOR_END: counted

// ANCHOR: measure
/// The two ends of a connection.
async fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(localhost())?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((server, client))
}

/// The server reads. Only then the client sends.
async fn sent_later() -> io::Result<usize> {
    let (server, client) = connection().await?;
    let sent = spawn(async move {
        client.write_all(b"later").await?;
        Ok::<TcpStream, io::Error>(client)
    });
    let pendings = read_counted(&server).await?;
    sent.await.expect("nobody aborts it, and it does not panic")?;
    Ok(pendings)
}

/// The second half of what came together: that the first half was there proves that this is, too.
async fn there() -> io::Result<usize> {
    let (server, client) = connection().await?;
    client.write_all(&[b'x'; 2 * BUFFER]).await?;
    read_counted(&server).await?;
    read_counted(&server).await
}

/// Sent after a read that did not fill its buffer. The runtime concludes from such a read that
/// nothing is left, and does not try in vain. What has come since then, it learns from the selector
/// after the loop's next wait. That costs a wait, and saves a system call for each message.
async fn there_after_a_short_read() -> io::Result<usize> {
    let (server, client) = connection().await?;
    client.write_all(b"short").await?;
    read_counted(&server).await?;
    client.write_all(b"next").await?;
    read_counted(&server).await
}

async fn read_counted(stream: &TcpStream) -> io::Result<usize> {
    let mut buffer = [0; BUFFER];
    let (length, pendings) = counted(stream.read(&mut buffer)).await;
    length.map(|_| pendings)
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    let runtime = Runtime::new()?;
    writeln!(out, "{:<54}pending", "a read, and its bytes")?;
    for (name, pendings) in [
        ("come later", runtime.block_on(sent_later())?),
        ("are there", runtime.block_on(there())?),
        (
            "are there, after a read that got less than fits",
            runtime.block_on(there_after_a_short_read())?,
        ),
    ] {
        writeln!(out, "    {name:<50}{pendings:>7}")?;
    }
    writeln!(out, "clients that close their own direction, and what they get")?;
    let texts = ["one", "a text that is longer than the buffer", ""];
    for (text, answer) in texts.iter().zip(runtime.block_on(ask_all(&texts))?) {
        writeln!(out, "    {text:?} gets {answer:?}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("echo", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future<Output = io::Result<T>>, T>(future: F) -> T {
        let runtime = Runtime::new().expect("the system gives a selector");
        runtime.block_on(future).expect("loopback can be used")
    }

    #[test]
    fn a_read_whose_bytes_are_there_is_never_pending() {
        assert_eq!(block_on(there()), 0);
    }

    #[test]
    fn a_read_whose_bytes_come_later_is_pending_once() {
        assert_eq!(block_on(sent_later()), 1);
    }

    #[test]
    fn after_a_short_read_the_next_one_waits_for_the_selector() {
        let pending = if cfg!(windows) { 0 } else { 1 }; // mio's Windows wants a `WouldBlock` first
        assert_eq!(block_on(there_after_a_short_read()), pending);
    }

    #[test]
    fn a_client_that_has_closed_its_direction_gets_its_whole_answer() {
        let long: &str = Box::leak("0123456789".repeat(1000).into_boxed_str());
        let texts = ["", "x", long, "12345678"];
        assert_eq!(block_on(ask_all(&texts)), texts);
    }
}

//! The client of all servers: it writes a request on every connection, and then reads all answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::child::Process;
use crate::servers::{ECHO, HTTP};
use crate::sizes::sizes;

/// A server that does not answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many requests on each connection are not measured.
const WARM_UP: usize = 20;

/// What an echo server gets, in bytes.
const ECHOED: [u8; 64] = [b'x'; 64];

/// What an HTTP server gets.
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The CPU time of a server a request, in nanoseconds. It is started for this, so its port is new.
pub(crate) fn measure(kind: &str, name: &str, connections: usize) -> io::Result<f64> {
    let mut server = Process::start(kind, name)?;
    let address: SocketAddr = server.line()?.parse().map_err(io::Error::other)?;
    let mut client = Client::connect(kind, address, connections)?;
    client.waves(WARM_UP)?;
    let waves = sizes().requests.div_ceil(connections);
    let before = server.cpu_time()?;
    client.waves(waves)?;
    Ok((server.cpu_time()? - before) / (waves * connections) as f64)
}

struct Client {
    request: &'static [u8],
    /// As long as every answer is.
    answer: Vec<u8>,
    streams: Vec<TcpStream>,
}

impl Client {
    /// Opens the connections one after the other, each when the last one was answered: a listener
    /// keeps a few waiting only.
    fn connect(kind: &str, address: SocketAddr, connections: usize) -> io::Result<Client> {
        let request = match kind {
            ECHO => &ECHOED[..],
            HTTP => GET,
            _ => return Err(io::Error::other(format!("no client knows {kind:?}"))),
        };
        let mut client = Client { request, answer: Vec::new(), streams: Vec::new() };
        for _ in 0..connections {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request)?;
            if client.answer.is_empty() {
                client.answer = first_answer(kind, &mut stream)?;
            } else {
                stream.read_exact(&mut client.answer)?;
            }
            client.streams.push(stream);
        }
        Ok(client)
    }

    fn waves(&mut self, times: usize) -> io::Result<()> {
        for _ in 0..times {
            for stream in &mut self.streams {
                stream.write_all(self.request)?;
            }
            for stream in &mut self.streams {
                stream.read_exact(&mut self.answer)?;
            }
        }
        Ok(())
    }
}

/// Only the first answer shows how long an answer is.
fn first_answer(kind: &str, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let ended = |answer: &[u8]| match kind {
        HTTP => answer.ends_with(b"\r\n\r\nhello"),
        _ => answer == ECHOED,
    };
    while !ended(&answer) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    Ok(answer)
}

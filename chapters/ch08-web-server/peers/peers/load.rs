//! The client of all servers: it writes a request on every connection, and then reads all answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use reqwest::Url;

/// A server that does not answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest head of an answer, in bytes.
const HEAD_MAX: usize = 4096;

const GET: &[u8] = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What every answer begins and ends with.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const PONG: &[u8] = b"\r\n\r\n{\"pong\":true}";

pub(crate) struct Client {
    address: SocketAddr,
    /// As long as every answer is.
    answer: Vec<u8>,
    streams: Vec<TcpStream>,
}

impl Client {
    pub(crate) fn new(server: &Url) -> io::Result<Client> {
        let addresses = server.socket_addrs(|| None)?;
        let address = addresses.first().filter(|address| address.ip().is_loopback());
        let address = *address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Client { address, answer: Vec::new(), streams: Vec::new() })
    }

    /// Opens more connections one after the other, each when the last one was answered: a listener
    /// keeps a few waiting only.
    pub(crate) fn connect(&mut self, connections: usize) -> io::Result<()> {
        for _ in 0..connections {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(GET)?;
            if self.answer.is_empty() {
                self.answer = first_answer(&mut stream)?;
            } else {
                stream.read_exact(&mut self.answer)?;
                check(&self.answer)?;
            }
            self.streams.push(stream);
        }
        Ok(())
    }

    /// Each time a request on every connection.
    pub(crate) fn waves(&mut self, times: usize) -> io::Result<()> {
        for _ in 0..times {
            for stream in &mut self.streams {
                stream.write_all(GET)?;
            }
            for stream in &mut self.streams {
                stream.read_exact(&mut self.answer)?;
                check(&self.answer)?;
            }
        }
        Ok(())
    }
}

/// Only the first answer shows how long an answer is.
fn first_answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    while !answer.ends_with(PONG) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
        if answer.len() > HEAD_MAX {
            return Err(unexpected(&answer));
        }
    }
    check(&answer)?;
    Ok(answer)
}

fn check(answer: &[u8]) -> io::Result<()> {
    match answer.starts_with(OK) && answer.ends_with(PONG) {
        true => Ok(()),
        false => Err(unexpected(answer)),
    }
}

fn unexpected(answer: &[u8]) -> io::Error {
    io::Error::other(format!("an answer is {:?}", String::from_utf8_lossy(answer)))
}

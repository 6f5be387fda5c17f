//! An echo server without a runtime: what the kernel's work costs, and a loop around it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::runtimes::ANY_PORT;
use crate::servers::BUFFER;

/// How many events one wait takes at most: as many as our reactor and tokio's.
const EVENTS_MAX: usize = 1024;

/// What epoll calls the listener by. The connections are called by their place.
const LISTENER: u64 = u64::MAX;

/// Tells its address, and sends back what it gets. A request is small enough to be written at once.
pub(crate) fn echo(tell: fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    tell(listener.local_addr()?)?;
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let data = event.data;
            if data.u64() != LISTENER {
                let place = usize::try_from(data.u64()).expect("it was a usize");
                if let Ended::Yes = answer(&mut streams[place])? {
                    epoll::delete(&epoll, &streams[place])?;
                }
                continue;
            }
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(streams.len() as u64), EventFlags::IN)?;
            streams.push(stream);
        }
    }
}

enum Ended {
    Yes,
    No,
}

fn answer(stream: &mut TcpStream) -> io::Result<Ended> {
    let mut buffer = [0; BUFFER];
    let length = stream.read(&mut buffer)?;
    stream.write_all(&buffer[..length])?;
    Ok(if length == 0 { Ended::Yes } else { Ended::No })
}

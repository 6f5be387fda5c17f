//! Sockets and pipes: nothing hangs, nothing is woken by what belongs to another, nothing is left.
#![cfg(unix)]

use std::cell::Cell;
use std::env;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::process::Command;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ch07_asyncio::runtime::{
    AsyncFd, POLLS_A_TURN, Runtime, TcpListener, TcpStream, spawn, timeout, yield_now,
};
use lab::inside::PATIENCE;
use rustix::io::ioctl_fionbio;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a runtime says of itself when nothing is left in it.
const EMPTY: &str = "Runtime { tasks: 0, timers: 0, descriptors: 0, .. }";

/// The system chooses the port.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// One test at a time: descriptors are counted, and a free number must not go to a neighbour.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());

    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test in a runtime of its own. A wait for ever is a failure, and so is what is left: a
/// task, a timer, a descriptor.
fn run<F: Future>(test: F) -> F::Output {
    let _alone = alone();
    let before = open_descriptors();
    let runtime = Runtime::new().expect("descriptors are free");
    let output = runtime.block_on(timeout(PATIENCE, test)).expect("nothing here waits for ever");
    assert_eq!(format!("{runtime:?}"), EMPTY);
    drop(runtime);
    assert_eq!(open_descriptors(), before);
    output
}

/// How many descriptors this process has. `None` where the system does not say.
fn open_descriptors() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Two ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let client = TcpStream::connect(address).await.expect("somebody listens there");
    let (server, peer) = listener.accept().await.expect("somebody has connected");
    assert_eq!(server.peer_addr().expect("it is connected"), peer);
    (client, server)
}

/// The same, with an end that is no part of the runtime.
async fn pair_with_foreign_client() -> (std::net::TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    // It does not block: the kernel makes the connection before anybody accepts it.
    let client = std::net::TcpStream::connect(address).expect("somebody listens there");
    (client, listener.accept().await.expect("somebody has connected").0)
}

/// A pipe whose ends are both non-blocking.
fn pipe() -> (AsyncFd<OwnedFd>, OwnedFd) {
    let (reader, writer) = io::pipe().expect("two descriptors are free");
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    for end in [&reader, &writer] {
        ioctl_fionbio(end, true).expect("a pipe need not block");
    }
    (AsyncFd::new(reader).expect("a pipe can be waited for"), writer)
}

async fn read_pipe(reader: &AsyncFd<OwnedFd>) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 64];
    let length = reader.read_with(|fd| Ok(rustix::io::read(fd, &mut buffer)?)).await?;
    Ok(buffer[..length].to_vec())
}

async fn read(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 1024]; // larger than what the tests write at once
    let length = stream.read(&mut buffer).await?;
    Ok(buffer[..length].to_vec())
}

/// Lets every task have its turn, and the loop look at its descriptors, several times.
async fn some_turns() {
    for _ in 0..4 * POLLS_A_TURN {
        yield_now().await;
    }
}

/// Counts how often a future is polled.
async fn counting<F: Future>(polls: Rc<Cell<usize>>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(cx)
    })
    .await
}

// ANCHOR: fin
/// The last bytes and the end arrive in one edge. The read that takes the bytes is short, which
/// mostly means that the next one would be in vain. But here no other edge follows.
#[test]
fn an_end_that_comes_together_with_data_is_read() {
    run(async {
        let (client, server) = pair().await;
        let reader = spawn(async move {
            let mut reads = Vec::new();
            loop {
                reads.push(read(&server).await.expect("it was not reset"));
                if reads.last().is_some_and(Vec::is_empty) {
                    return reads;
                }
            }
        });
        some_turns().await; // the reader waits
        client.write_all(b"last words").await.expect("it is connected");
        client.shutdown(Shutdown::Write).expect("it is connected");
        let reads = reader.await.expect("nobody panics");
        assert_eq!(reads, [&b"last words"[..], b""]);
    });
}
// ANCHOR_END: fin

#[test]
fn who_has_said_its_last_word_can_still_be_answered() {
    run(async {
        let (client, server) = pair().await;
        let answers = spawn(async move {
            assert_eq!(read(&server).await.expect("it was not reset"), b"question");
            assert_eq!(read(&server).await.expect("it was not reset"), b"");
            server.write_all(b"answer").await.expect("the client still reads");
        });
        client.write_all(b"question").await.expect("it is connected");
        some_turns().await; // it was read, and the end comes by itself
        client.shutdown(Shutdown::Write).expect("it is connected");
        assert_eq!(read(&client).await.expect("it was not reset"), b"answer");
        assert_eq!(read(&client).await.expect("it was not reset"), b"");
        answers.await.expect("nobody panics");
    });
}

#[test]
fn a_reset_is_an_error_for_whoever_waits() {
    run(async {
        let (client, server) = pair_with_foreign_client().await;
        let server = Rc::new(server);
        let reader = spawn({
            let server = Rc::clone(&server);
            async move { read(&server).await }
        });
        some_turns().await; // the reader waits
        set_socket_linger(&client, Some(Duration::ZERO)).expect("it is a socket");
        drop(client); // which resets the connection
        let error = reader.await.expect("nobody panics").expect_err("it was reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = server.write(b"anybody?").await.expect_err("it was reset");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

    run(async {
        // Bound, so that nobody else can listen there, and not listening.
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None);
        let socket = socket.expect("a descriptor is free");
        bind(&socket, &LOOPBACK).expect("a port is free");
        let address = getsockname(&socket).expect("it is bound");
        let address = SocketAddr::try_from(address).expect("it is an address of IPv4");
        let error = TcpStream::connect(address).await.err().expect("nobody listens there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

/// More than the kernel's buffers hold, so that both directions have to wait. Each task would hang
/// if the other one's wait took the place of its own.
#[test]
fn one_task_reads_and_another_one_writes_the_same_stream() {
    const LENGTH: usize = 16 << 20;

    run(async {
        let (client, server) = pair().await;
        let client = Rc::new(client);
        let echo = spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            loop {
                match server.read(&mut buffer).await.expect("it was not reset") {
                    0 => return,
                    length => server.write_all(&buffer[..length]).await.expect("it is read"),
                }
            }
        });
        let writer = spawn({
            let client = Rc::clone(&client);
            async move {
                let bytes: Vec<u8> = (0..LENGTH).map(byte_at).collect();
                client.write_all(&bytes).await.expect("the echo reads");
                client.shutdown(Shutdown::Write).expect("it is connected");
            }
        });
        let reader = spawn(async move {
            let (mut buffer, mut place) = (vec![0; 64 << 10], 0);
            loop {
                let length = client.read(&mut buffer).await.expect("it was not reset");
                if length == 0 {
                    return place;
                }
                let right = (place..).zip(&buffer[..length]).all(|(at, byte)| *byte == byte_at(at));
                assert!(right, "the bytes after {place}");
                place += length;
            }
        });
        assert_eq!(reader.await.expect("nobody panics"), LENGTH);
        writer.await.expect("nobody panics");
        echo.await.expect("nobody panics");
    });
}

/// Repeats itself, but not after a power of two.
fn byte_at(place: usize) -> u8 {
    u8::try_from(place % 251).expect("it is less than 251")
}

#[test]
fn two_tasks_that_read_one_stream_both_see_its_end() {
    run(async {
        let (client, server) = pair().await;
        let server = Rc::new(server);
        let readers = [(); 2].map(|()| {
            let server = Rc::clone(&server);
            spawn(async move { read(&server).await })
        });
        some_turns().await; // both wait
        drop(client);
        for reader in readers {
            assert_eq!(reader.await.expect("nobody panics").expect("it was not reset"), b"");
        }
    });
}

#[test]
fn two_tasks_accept_on_one_listener() {
    run(async {
        let listener = Rc::new(TcpListener::bind(LOOPBACK).expect("a port is free"));
        let address = listener.local_addr().expect("it listens");
        let accepts = [(); 2].map(|()| {
            let listener = Rc::clone(&listener);
            spawn(async move { listener.accept().await.expect("descriptors are free").1 })
        });
        let connect = || std::net::TcpStream::connect(address).expect("somebody listens there");
        some_turns().await; // both wait
        let first = connect();
        some_turns().await; // both were woken, and one has waited again
        assert_eq!(accepts.iter().filter(|accept| accept.is_finished()).count(), 1);
        let second = connect();
        let mut expected = [first, second].map(|stream| stream.local_addr().expect("it is bound"));
        let mut accepted = Vec::new();
        for accept in accepts {
            accepted.push(accept.await.expect("nobody panics"));
        }
        accepted.sort();
        expected.sort();
        assert_eq!(accepted, expected);
    });
}

/// Two that come in one edge: who has taken one must ask again, or somebody else must.
#[test]
fn connections_that_come_in_one_edge_are_all_accepted() {
    run(async {
        let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let accepts = spawn(async move {
            let mut peers = Vec::new();
            while peers.len() < 5 {
                peers.push(listener.accept().await.expect("descriptors are free").1);
            }
            peers
        });
        some_turns().await; // it waits
        let connect = |_| std::net::TcpStream::connect(address).expect("somebody listens there");
        let streams: Vec<_> = (0..5).map(connect).collect();
        let expected: Vec<_> =
            streams.iter().map(|stream| stream.local_addr().expect("it is bound")).collect();
        assert_eq!(accepts.await.expect("nobody panics"), expected);
    });
}

#[test]
fn a_pipe_can_be_waited_for() {
    run(async {
        let (reader, writer) = pipe();
        let reads = spawn(async move {
            let first = read_pipe(&reader).await.expect("it is a pipe");
            (first, read_pipe(&reader).await.expect("it is a pipe"))
        });
        some_turns().await; // it waits
        rustix::io::write(&writer, b"7\n").expect("the pipe is empty");
        some_turns().await; // it waits again
        assert!(!reads.is_finished());
        drop(writer);
        assert_eq!(reads.await.expect("nobody panics"), (b"7\n".to_vec(), Vec::new()));
    });
}

#[test]
fn a_full_pipe_makes_its_writer_wait() {
    run(async {
        let (reader, writer) = pipe();
        let writer = AsyncFd::new(writer).expect("a pipe can be waited for");
        let written = Rc::new(Cell::new(0));
        let writes = spawn({
            let written = Rc::clone(&written);
            async move {
                let bytes = [0; 4096];
                while written.get() < 1 << 20 {
                    let write = writer.write_with(|fd| Ok(rustix::io::write(fd, &bytes)?));
                    written.set(written.get() + write.await.expect("the reader exists"));
                }
            }
        });
        some_turns().await;
        assert!(!writes.is_finished(), "a pipe holds less than a megabyte");
        let mut read = 0;
        loop {
            match read_pipe(&reader).await.expect("it is a pipe").len() {
                0 => break,
                length => read += length,
            }
        }
        writes.await.expect("nobody panics");
        assert_eq!(read, written.get());
    });
}

/// epoll and kqueue differ in what they take: Linux refuses a regular file.
#[cfg(target_os = "linux")]
#[test]
fn a_regular_file_is_refused_and_leaves_nothing() {
    run(async {
        let file = File::open(file!()).or_else(|_| File::open("Cargo.toml"));
        let refused = AsyncFd::new(file.expect("tests run in the folder of their package"));
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
    });
}

// ANCHOR: reuse
/// A number is given out again as soon as it is free. What the kernel still has to say of its last
/// owner must not reach the next one: also where that owner lives on behind another number.
#[test]
fn a_descriptor_that_has_the_number_of_a_closed_one_hears_nothing_of_it() {
    run(async {
        let (old, old_writer) = pipe();
        let number = old.get_ref().as_raw_fd();
        let waits = spawn(async move {
            let twin = old.get_ref().try_clone().expect("a descriptor is free");
            let waited = timeout(Duration::ZERO, read_pipe(&old)).await;
            assert!(waited.is_err(), "nothing was written");
            twin // and `old` is closed
        });
        let twin = waits.await.expect("nobody panics");

        let (new, new_writer) = pipe();
        assert_eq!(new.get_ref().as_raw_fd(), number);
        let polls = Rc::new(Cell::new(0));
        let read = spawn({
            let polls = Rc::clone(&polls);
            async move { counting(polls, read_pipe(&new)).await }
        });
        some_turns().await; // it waits
        rustix::io::write(&old_writer, b"old").expect("the pipe is empty");
        drop(old_writer); // an end, too
        some_turns().await;
        assert_eq!(polls.get(), 1, "it was woken by what another one has got");

        rustix::io::write(&new_writer, b"new").expect("the pipe is empty");
        assert_eq!(read.await.expect("nobody panics").expect("it is a pipe"), b"new");
        assert_eq!(polls.get(), 2);
        drop(twin);
    });
}
// ANCHOR_END: reuse

/// The same with connections, and with an edge that the loop has not yet taken from the kernel.
#[test]
fn a_connection_that_follows_a_closed_one_waits_for_its_own_data() {
    run(async {
        for round in 0..20_u8 {
            let (client, server) = pair().await;
            client.write_all(b"nobody reads this").await.expect("it is connected");
            drop(server);
            drop(client);
            let (client, server) = pair().await;
            let reader = spawn(async move { read(&server).await });
            some_turns().await; // it waits
            client.write_all(&[round]).await.expect("it is connected");
            assert_eq!(reader.await.expect("nobody panics").expect("it was not reset"), [round]);
        }
    });
}

/// Each wait leaves a waker with the reactor. A wait that is given up must not leave the loop
/// something to do, and the next one must not miss its data.
#[test]
fn a_wait_that_was_given_up_takes_nothing() {
    run(async {
        let (client, server) = pair().await;
        for _ in 0..100 {
            let waited = timeout(Duration::ZERO, read(&server)).await;
            assert!(waited.is_err(), "nothing was written");
        }
        client.write_all(b"here").await.expect("it is connected");
        assert_eq!(read(&server).await.expect("it was not reset"), b"here");
    });
}

#[test]
fn a_stream_that_is_dropped_while_its_task_waits_is_closed() {
    run(async {
        let (client, server) = pair().await;
        let waits = spawn(async move { read(&server).await });
        some_turns().await; // it waits
        waits.abort();
        assert_eq!(read(&client).await.expect("it was not reset"), b"");
        assert!(waits.await.expect_err("it was aborted").is_cancelled());
    });
}

#[test]
fn a_stream_may_outlive_the_loop_and_the_runtime() {
    let _alone = alone();
    let runtime = Runtime::new().expect("descriptors are free");
    let (client, server) = runtime.block_on(pair());
    let waits = runtime.spawn(async move { read(&server).await });
    runtime.block_on(some_turns()); // it waits, and no loop runs
    let text = runtime.block_on(async {
        client.write_all(b"still here").await.expect("it is connected");
        timeout(PATIENCE, waits).await.expect("nothing here waits for ever")
    });
    assert_eq!(text.expect("nobody panics").expect("it was not reset"), b"still here");
    assert_eq!(format!("{runtime:?}"), EMPTY.replace("descriptors: 0", "descriptors: 1"));
    drop(runtime);
    drop(client);
}

/// Set for the process that may use up its descriptors.
const CHILD: &str = "CH07_WITHOUT_DESCRIPTORS";

// ANCHOR: emfile
/// With no descriptor free, `accept` says so, and the connection waits in the kernel's queue. The
/// limit is the whole process's, so this happens in a process of its own.
#[test]
fn accept_without_a_free_descriptor_fails_and_works_later() {
    if env::var_os(CHILD).is_none() {
        let _alone = alone();
        let test = "accept_without_a_free_descriptor_fails_and_works_later";
        let program = env::current_exe().expect("the system knows what it runs");
        let mut child = Command::new(program);
        let output = child.args(["--exact", test]).env(CHILD, "1").output();
        let output = output.expect("a test can be started");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    run(async {
        let listener = TcpListener::bind(LOOPBACK).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let client = std::net::TcpStream::connect(address).expect("somebody listens there");
        let fillers = use_up_descriptors();
        for _ in 0..3 {
            let error = listener.accept().await.err().expect("no descriptor is free");
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
        }
        drop(fillers);
        let (_, peer) = listener.accept().await.expect("descriptors are free again");
        assert_eq!(peer, client.local_addr().expect("it is bound"));
    });
}

/// Opens files until there is no descriptor left.
fn use_up_descriptors() -> Vec<File> {
    let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).expect("a limit may be lowered");
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}
// ANCHOR_END: emfile

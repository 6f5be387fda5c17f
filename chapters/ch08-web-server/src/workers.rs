//! Several processes that share one listener, and a parent that replaces one that dies.
//!
//! Each worker has a loop, a pool and a memory of its own. What they share is the listener: the
//! kernel gives a new connection to whoever accepts first. A worker that is stalled accepts
//! nothing, so new clients do not meet it; those that it has already wait.
//!
//! A worker's standard input is the listener, as inetd did it: no descriptor has to be numbered,
//! and no unsafe code is needed. Its standard output is a socket to the parent. When that ends, the
//! parent is gone, and the worker ends too.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::options::{Options, WORKER};
use crate::program::tell;
use crate::signals::Signals;

/// A worker that lived less than this is replaced only after as long a pause: one that cannot start
/// would else be started again and again.
const LIFE_MIN: Duration = Duration::from_millis(500);
/// How much longer than its grace a worker may take to end before it is killed.
const KILL_AFTER: Duration = Duration::from_secs(1);

/// Starts the workers, and replaces those that die, until a signal comes. Then it passes the signal
/// on and waits for them.
///
/// # Errors
///
/// When a signal cannot be listened for.
pub(crate) fn supervise(options: &Options, listener: TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all_ended = runtime.block_on(async {
        let mut signals = Signals::new()?;
        tell(&listener)?;
        let (end, slots) = (CancellationToken::new(), TaskTracker::new());
        let program = std::env::current_exe()?; // now: later its file may be another one
        for _ in 0..options.workers.get() {
            let slot = Slot::new(&program, options, listener.try_clone()?);
            slots.spawn(slot.keep_filled(end.clone()));
        }
        slots.close();
        signals.next().await;
        end.cancel();
        drop(listener);
        Ok::<_, io::Error>(tokio::select! {
            () = slots.wait() => true,
            () = signals.next() => false,
        })
    })?;
    if !all_ended {
        drop(runtime); // and the workers with it: they are killed
        std::process::exit(1);
    }
    Ok(())
}

/// The place of one worker.
struct Slot {
    program: PathBuf,
    listener: TcpListener,
    grace: Duration,
}

/// A running worker. It is killed when it is dropped.
struct Worker {
    process: Child,
    id: u32,
    /// Held open: its end is the worker's sign that we are gone.
    _socket: UnixStream,
}

impl Slot {
    fn new(program: &Path, options: &Options, listener: TcpListener) -> Slot {
        Slot { program: program.to_owned(), listener, grace: options.limits.grace }
    }

    // ANCHOR: keep_filled
    /// Starts a worker, waits for its end, and starts the next one, until `end`.
    async fn keep_filled(self, end: CancellationToken) {
        let mut complained = false;
        while !end.is_cancelled() {
            let started = Instant::now();
            match self.start() {
                Ok(mut worker) => {
                    complained = false;
                    tokio::select! {
                        status = worker.process.wait() => complain_of_end(&worker, status),
                        () = end.cancelled() => return self.end(worker).await,
                    }
                }
                Err(_) if complained => {}
                Err(error) => {
                    complained = true;
                    let program = self.program.display();
                    command_line::complain(&format!("worker: {program}: {error}\n"));
                }
            }
            if started.elapsed() < LIFE_MIN {
                tokio::select! { () = sleep(LIFE_MIN) => {}, () = end.cancelled() => {} }
            }
        }
    }
    // ANCHOR_END: keep_filled

    // ANCHOR: start
    /// The same program with the same options. Its standard input is the listener.
    fn start(&self) -> io::Result<Worker> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&self.program);
        command.arg(WORKER).args(std::env::args_os().skip(1));
        command.stdin(OwnedFd::from(self.listener.try_clone()?)).stdout(OwnedFd::from(theirs));
        // Ctrl-C at a terminal goes to each process of the group: only the parent is to hear it.
        let process = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = process.id().expect("nobody has waited for it");
        Ok(Worker { process, id, _socket: socket })
    }
    // ANCHOR_END: start

    /// Asks a worker to end, waits for it, and kills it when that takes too long.
    async fn end(self, mut worker: Worker) {
        drop(self.listener); // the last one closed, the kernel refuses what comes now
        // It is ours and was not waited for, so the number is still its own.
        if let Some(pid) = i32::try_from(worker.id).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(self.grace + KILL_AFTER, worker.process.wait()).await.is_err() {
            command_line::complain("end: killed a worker that did not end\n");
            let _ = worker.process.kill().await;
        }
    }
}

fn complain_of_end(worker: &Worker, status: io::Result<ExitStatus>) {
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    command_line::complain(&format!("worker {}: {status}; replaced\n", worker.id));
}

/// The worker's side: the listener, and the socket to the parent.
///
/// # Errors
///
/// When standard input is no listener: then nobody started us as a worker.
pub(crate) fn inherited() -> io::Result<(TcpListener, UnixStream)> {
    let no_worker =
        |error: io::Error| io::Error::other(format!("{WORKER} is for the program itself: {error}"));
    let listener = TcpListener::from(rustix::stdio::stdin().try_clone_to_owned()?);
    listener.local_addr().map_err(no_worker)?;
    // Else the kernel would go on to take connections when we have closed ours.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    let socket = UnixStream::from(rustix::stdio::stdout().try_clone_to_owned()?);
    socket.peer_addr().map_err(no_worker)?;
    Ok((listener, socket))
}

/// Returns when the parent is gone. Without a parent, never.
pub(crate) async fn orphaned(parent: Option<UnixStream>) {
    let Some(parent) = parent else { return std::future::pending().await };
    if parent.set_nonblocking(true).is_err() {
        return;
    }
    let Ok(mut parent) = tokio::net::UnixStream::from_std(parent) else { return };
    // It never sends anything: whatever is read is the end, or an error.
    let _ = parent.read(&mut [0; 1]).await;
}

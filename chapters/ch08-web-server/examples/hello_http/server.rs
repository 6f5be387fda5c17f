//! The server: a process of its own, seen from both sides.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ch08_web_server::{BlockingPool, Cores, Limits, Places, Processes, routes, serve};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

// ANCHOR: server
/// The server's process. Dropped, it is ended, and not asked.
pub(crate) struct Server {
    process: Child,
    /// Its standard input. The end of it tells the server that we are gone, also if we were killed.
    held: Option<ChildStdin>,
    address: SocketAddr,
}

impl Server {
    /// Starts the server, and waits until it says where it listens.
    pub(crate) fn start(mut command: Command) -> io::Result<Server> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        // Taken out, since waiting for a process closes what is left in it.
        let held = process.stdin.take();
        let stdout = process.stdout.take().expect("it was asked for as a pipe");
        let address = (Ipv4Addr::UNSPECIFIED, 0).into();
        let mut server = Server { process, held, address };
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let said = lines.find_map(|line| address_in(&line));
        server.address = said.ok_or_else(|| io::Error::other("the server did not start"))?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to end, and waits for that: for what is in progress, and for the loop to hear us.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.terminate()?;
        let status = self.process.wait()?;
        let failed = || Err(io::Error::other(format!("the server has ended: {status}")));
        if status.success() { Ok(()) } else { failed() }
    }

    #[cfg(unix)]
    fn terminate(&mut self) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};

        // It was not waited for, so the number is still its own.
        Ok(kill_process(Pid::from_child(&self.process), Signal::TERM)?)
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) -> io::Result<()> {
        self.held = None;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.held = None;
        let _ = self.process.wait();
    }
}
// ANCHOR_END: server

fn address_in(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("http://")?.strip_suffix('/')?.parse().ok()
}

// ANCHOR: serve
/// The server's side: one loop, and `workers` of whatever computes beside it.
pub(crate) fn serve_until_told(workers: usize) -> io::Result<()> {
    end_with_the_client()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let end = CancellationToken::new();
    let places = Places {
        pool: BlockingPool::new(workers),
        cores: Cores::new(workers).map_err(io::Error::other)?,
        processes: Processes::new(std::env::current_exe()?, workers),
    };
    let limits = Limits {
        // An answer may take as long as it likes, and so may a terminal that was told to pause.
        request_timeout: Duration::MAX,
        write_timeout: Duration::MAX,
        // The client ends us when it wants no answer any more.
        grace: Duration::ZERO,
        ..Limits::default()
    };
    let app = Arc::new(routes(limits, places, None, 1, end.clone()));
    // The loop looks for events only when there is nothing else to do. So it begins the questions
    // in the order in which they came: looking sooner, it could see the third while the first two
    // have not had their turn.
    let runtime = Builder::new_current_thread().enable_all().event_interval(u32::MAX).build()?;
    runtime.block_on(async {
        end_when_told(end.clone())?;
        let mut out = io::stdout();
        writeln!(out, "http://{}/", listener.local_addr()?).and_then(|()| out.flush())?;
        serve(listener, app, end).await
    })?;
    runtime.shutdown_background(); // the pool may still compute what nobody waits for
    Ok(())
}
// ANCHOR_END: serve

/// The exit status of a server whose client is gone. Without a SIGTERM that is the orderly end.
const CLIENT_GONE: i32 = if cfg!(unix) { 1 } else { 0 };

// ANCHOR: end_with_the_client
/// On a thread of its own: a loop that computes would not see that the client is gone.
fn end_with_the_client() -> io::Result<()> {
    thread::Builder::new().spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(CLIENT_GONE)
    })?;
    Ok(())
}
// ANCHOR_END: end_with_the_client

// ANCHOR: end_when_told
/// Ends with SIGTERM. Ctrl-C at a terminal goes to both processes: the client ends by it, and then
/// we do.
#[cfg(unix)]
fn end_when_told(end: CancellationToken) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    drop(signal(SignalKind::interrupt())?); // once listened for, it kills nobody
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        end.cancel();
    });
    Ok(())
}
// ANCHOR_END: end_when_told

#[cfg(not(unix))]
fn end_when_told(_: CancellationToken) -> io::Result<()> {
    Ok(())
}

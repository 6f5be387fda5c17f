//! The program: a runtime of the kind that was asked for, a listener, and an orderly end.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, available_parallelism};

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::options::{HELP, NAME, Options};
use crate::signals::{Signals, ignore_interrupts};
use crate::{BlockingPool, Cores, FIB_WORKER, Places, Processes, routes, serve, serve_fib};

/// The exit status of a program that was started with options it does not know.
const USAGE: u8 = 2;

/// The whole program: 0 when it was ended, 1 after an I/O error, 2 when the options are wrong.
pub fn run() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments == [FIB_WORKER] {
        // At a terminal, Ctrl-C goes to this process too, and it has a question to answer first.
        let ignored = ignore_interrupts();
        let questions = io::BufReader::new(io::stdin());
        return exit_code(
            ignored.and_then(|()| serve_fib(questions, io::stdout(), fib_timing::fib)),
        );
    }
    match Options::parse(arguments) {
        Ok(Some(options)) => exit_code(start(&options)),
        Ok(None) => exit_code(io::stdout().write_all(HELP.as_bytes())),
        Err(error) => {
            command_line::complain(&format!("{NAME}: {error} (--help lists the options)\n"));
            ExitCode::from(USAGE)
        }
    }
}

fn exit_code(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            command_line::complain(&format!("{NAME}: {error}\n"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(unix)]
fn start(options: &Options) -> io::Result<()> {
    if options.is_worker {
        let (listener, parent) = crate::workers::inherited()?;
        return serve_here(options, listener, Some(parent));
    }
    let listener = listen(options.port)?;
    if options.workers.get() == 1 {
        serve_here(options, listener, None)
    } else {
        crate::workers::supervise(options, listener)
    }
}

#[cfg(not(unix))]
fn start(options: &Options) -> io::Result<()> {
    if options.is_worker || options.workers.get() > 1 {
        let reason = "--workers needs a Unix: there a process can be given a listener";
        return Err(io::Error::other(reason));
    }
    serve_here(options, listen(options.port)?, None)
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| io::Error::new(error.kind(), format!("port {port} on 127.0.0.1: {error}")))
}

/// Tells the address. Whoever reads it may send a signal at once, so signals are heard already.
/// Whoever started us may have gone away: that is no reason not to serve.
pub(crate) fn tell(listener: &TcpListener) -> io::Result<()> {
    let mut out = io::stdout();
    let _ = writeln!(out, "http://{}/", listener.local_addr()?).and_then(|()| out.flush());
    Ok(())
}

#[cfg(unix)]
type Parent = std::os::unix::net::UnixStream;
#[cfg(unix)]
use crate::workers::orphaned;

#[cfg(not(unix))]
type Parent = std::convert::Infallible;

#[cfg(not(unix))]
async fn orphaned(_: Option<Parent>) {
    std::future::pending().await
}

/// Serves in this process, until a signal comes or the parent is gone.
fn serve_here(options: &Options, listener: TcpListener, parent: Option<Parent>) -> io::Result<()> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let end = CancellationToken::new();
    let places = Places {
        pool: BlockingPool::new(options.pool.get()),
        cores: Cores::new(cores).map_err(io::Error::other)?,
        processes: Processes::new(std::env::current_exe()?, cores),
    };
    let limits = options.limits.clone();
    let threads = options.threads.get();
    let app = routes(limits, places, options.files.as_deref(), threads, end.clone());
    let app = Arc::new(app);
    let runtime = runtime(threads, options.pool.get())?;
    let is_told = parent.is_none();
    listen_for_end(parent, end.clone())?;
    if is_told {
        tell(&listener)?;
    }
    let ended = runtime.block_on(serve(listener, app, end))?;
    // A thread of the pool may still sleep: nobody waits for it.
    runtime.shutdown_background();
    if ended.abandoned > 0 {
        let s = if ended.abandoned == 1 { "" } else { "s" };
        command_line::complain(&format!("end: abandoned {} connection{s}\n", ended.abandoned));
    }
    Ok(())
}

/// One loop on this thread, or several threads that poll.
fn runtime(threads: usize, pool: usize) -> io::Result<Runtime> {
    /// Threads for what tokio itself lends: files, and the pool of `where=pool` beside the routes.
    const SPARE: usize = 64;

    let mut builder =
        if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().max_blocking_threads(pool + SPARE);
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.build()
}

// ANCHOR: told_to_end
/// The first signal asks what runs to finish. The second does not ask. They are waited for on a
/// thread of its own: where a handler blocks the loop, nothing on the loop could hear the second.
fn listen_for_end(parent: Option<Parent>, end: CancellationToken) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let told_to_end = async move {
        tokio::select! {
            () = signals.next() => {}
            () = orphaned(parent) => {}
        }
        end.cancel();
        signals.next().await;
        std::process::exit(1)
    };
    thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(told_to_end))?;
    Ok(())
}
// ANCHOR_END: told_to_end

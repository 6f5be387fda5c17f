//! `book serve`: the built book on a port of this machine, built again when a source changes.
//!
//! Sources are looked at twice a second; there is nothing to install and nothing that differs
//! between systems. A browser asks once a second whether it shows the newest book.

mod http;
mod watch;

use crate::build::{self, Failure};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Connections answered at the same time. A browser opens six.
const CONNECTIONS: usize = 64;

/// How often sources are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The book as it is served.
#[derive(Debug)]
pub struct Site {
    /// The folder of `book.toml`.
    book: PathBuf,
    /// The built book. Answers hold the lock for reading, an exchange of the book for writing.
    built: RwLock<PathBuf>,
    /// Counts the exchanges, so that a browser can tell.
    version: AtomicUsize,
}

impl Site {
    /// The site of the book at `book`, built into `built`.
    #[must_use]
    pub fn new(book: PathBuf, built: PathBuf) -> Site {
        Site { book, built: RwLock::new(built), version: AtomicUsize::new(0) }
    }

    /// Builds the book. If it is broken, the last good one stays.
    ///
    /// # Errors
    ///
    /// With every problem that was found.
    pub fn rebuild(&self) -> Result<(), Failure> {
        let place = self.built.read().unwrap_or_else(PoisonError::into_inner).clone();
        let staged = build::stage(&self.book, &place)?;
        let place = self.built.write().unwrap_or_else(PoisonError::into_inner);
        staged.publish(&place)?;
        self.version.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `site` on `port` of the loopback address; port 0 takes any free one.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub fn start(site: Arc<Site>, port: u16) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let accepting = thread::spawn({
            let ended = Arc::clone(&ended);
            move || accept(&listener, &site, &ended)
        });
        Ok(Server { address, ended, accepting: Some(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // A last connection wakes the thread that waits in `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Answers each connection on a thread of its own, at most [`CONNECTIONS`] at a time.
fn accept(listener: &TcpListener, site: &Arc<Site>, ended: &AtomicBool) {
    let open = Arc::new(());
    for stream in listener.incoming() {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(stream), true) = (stream, Arc::strong_count(&open) <= CONNECTIONS) else {
            continue;
        };
        let (site, held) = (Arc::clone(site), Arc::clone(&open));
        thread::spawn(move || {
            // A connection that breaks is the browser's affair.
            let _ = http::answer(stream, &site);
            drop(held);
        });
    }
}

/// Builds, serves and watches until the process is ended.
///
/// # Errors
///
/// When the port is taken.
pub fn run(book: PathBuf, port: u16) -> io::Result<()> {
    let watched = watch::Watched::of_book(&book);
    let site = Arc::new(Site::new(book.clone(), book.join("build")));
    let mut seen = watched.state();
    report(site.rebuild());
    let server = Server::start(Arc::clone(&site), port)?;
    println!("http://{}/", server.address());
    loop {
        thread::sleep(LOOK);
        let state = watched.state();
        if state != seen {
            seen = state;
            report(site.rebuild());
        }
    }
}

/// Says how a build went.
fn report(result: Result<(), Failure>) {
    match result {
        Ok(()) => eprintln!("built"),
        Err(failure) => eprintln!("{failure}; the last good book stays"),
    }
}

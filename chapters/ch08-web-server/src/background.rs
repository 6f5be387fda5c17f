//! A server on a thread of its own, for tests and experiments.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::{App, Ended, serve};

/// A server of this process, with one loop on a thread of its own. Dropped, it is told to end, and
/// is waited for.
#[derive(Debug)]
pub struct Background {
    address: SocketAddr,
    end: CancellationToken,
    thread: Option<JoinHandle<io::Result<Ended>>>,
}

impl Background {
    /// Serves what `app` makes, on a port that the system chooses. `app` is given what ends the
    /// server.
    ///
    /// # Errors
    ///
    /// When no port, thread or runtime can be had.
    pub fn start(
        app: impl FnOnce(CancellationToken) -> App + Send + 'static,
    ) -> io::Result<Background> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let end = CancellationToken::new();
        let ended = end.clone();
        let thread = thread::Builder::new().name("server".to_owned()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let app = Arc::new(app(ended.clone()));
            let result = runtime.block_on(serve(listener, app, ended));
            runtime.shutdown_background();
            result
        })?;
        Ok(Background { address, end, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it to end, and does not wait.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Tells it to end, and waits for that.
    ///
    /// # Errors
    ///
    /// What [`serve`] returned.
    ///
    /// # Panics
    ///
    /// When the server has panicked.
    pub fn join(mut self) -> io::Result<Ended> {
        self.end();
        let thread = self.thread.take().expect("only this and drop take it, and both end it");
        thread.join().expect("the server does not panic")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

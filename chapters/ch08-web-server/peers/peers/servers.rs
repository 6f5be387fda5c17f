//! The servers, and how each is started: one process, one loop, a port that the system chooses.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::Options;
use crate::process::Process;

/// Where the FastAPI app lies.
const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/fastapi_app.py");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// One answer to everything: it has no pings.
    Hyper,
    Ours,
    Axum,
    FastApiUvloop,
    FastApiAsyncio,
}

use Server::{Axum, FastApiAsyncio, FastApiUvloop, Hyper, Ours};

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Hyper => "bare hyper",
            Ours => "ours",
            Axum => "axum",
            FastApiUvloop => "FastAPI, uvloop + httptools",
            FastApiAsyncio => "FastAPI, asyncio + h11",
        }
    }

    pub(crate) fn is_python(self) -> bool {
        matches!(self, FastApiUvloop | FastApiAsyncio)
    }

    /// How many good pings it lets sleep at once.
    pub(crate) fn tokens(self) -> usize {
        match self {
            Axum => 512, // tokio's limit for blocking threads
            _ => 40,
        }
    }

    pub(crate) fn start(self, options: &Options) -> io::Result<Process> {
        let mut command = match self {
            Hyper => Command::new(beside_this_program("peer_hyper")?),
            Axum => Command::new(beside_this_program("peer_axum")?),
            Ours => Command::new(beside_this_program("../ch08-web-server")?),
            FastApiUvloop | FastApiAsyncio => {
                let python = options.python.as_deref().unwrap_or(Path::new("python3"));
                let mut command = Command::new(python);
                command.args(["-B", APP]); // it leaves no compiled files behind
                command
            }
        };
        command.args(["--port", "0"]);
        if self == FastApiUvloop {
            command.args(["--loop", "uvloop", "--http", "httptools"]);
        }
        Process::start(&mut command)
    }
}

/// Cargo puts examples into a folder beside the programs.
fn beside_this_program(name: &str) -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let path = this.with_file_name(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(io::Error::other(format!("{} is not built", path.display()))),
    }
}

/// Those that can be started here.
pub(crate) fn with_pings(options: &Options) -> Vec<Server> {
    let all = [Ours, Axum, FastApiUvloop, FastApiAsyncio];
    all.into_iter().filter(|server| !server.is_python() || options.python.is_some()).collect()
}

/// The first is what the others are compared with.
pub(crate) fn all(options: &Options) -> Vec<Server> {
    [vec![Hyper], with_pings(options)].concat()
}

//! The running program once more, as a client of the web server.
//!
//! The chapter says that hello was the heartbeat, a typed line a request, fib the work in a
//! handler, and `exit` the SIGTERM. Here that is so. A second process of this program is the web
//! server. The first one keeps no time and computes nothing: it prints a hello for each event of
//! the heartbeat, asks `/fib/{n}` for each number, and at the end sends SIGTERM.
//!
//! `--where` says where the server computes. Predict for `inline`: type a number that takes some
//! seconds, then `exit`. Which of the two promises is broken, and when does the program end?
//!
//! `cargo run -p ch08-web-server --example hello_http -- --where inline`

#![forbid(unsafe_code)]

mod client;
mod server;

#[cfg(test)]
mod tests;

use std::env;
use std::io;
use std::process::{Command, ExitCode};

use ch08_web_server::{FIB_WORKER, serve_fib};
use command_line::{Extra, Options};
use fib_timing::fib;

use client::Target;
use server::Server;

fn main() -> ExitCode {
    if env::args_os().skip(1).eq([FIB_WORKER]) {
        let served = serve_fib(io::BufReader::new(io::stdin()), io::stdout(), fib);
        return ExitCode::from(u8::from(served.is_err()));
    }
    let extras = [Extra::Where, Extra::Workers, Extra::Serve];
    command_line::main("hello_http", &extras, |options| {
        if options.serve {
            return server::serve_until_told(options.workers.get());
        }
        let mut command = Command::new(env::current_exe()?);
        command.arg("--serve").args(["--workers", &options.workers.to_string()]);
        program(options, command)
    })
}

// ANCHOR: program
/// Starts the server, is its client, and ends it.
fn program(options: Options, server: Command) -> io::Result<()> {
    let server = Server::start(server)?;
    let target = Target {
        address: server.address(),
        place: options.place,
        in_turn: options.place == "inline" || options.workers.get() == 1,
    };
    let said = client::run(io::stdin(), io::stdout(), options.every, target);
    let ended = server.end();
    said.and(ended)
}
// ANCHOR_END: program

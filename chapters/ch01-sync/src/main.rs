//! `cargo run -p ch01-sync`: one thing at a time.

use std::io;
use std::process::ExitCode;

use fib_timing::fib;

fn main() -> ExitCode {
    command_line::main("ch01-sync", &[], |options| {
        ch01_sync::run(io::stdin().lock(), io::stdout(), options.every, fib)
    })
}

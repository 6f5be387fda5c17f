//! `cargo run -p ch02-threads`: let the kernel overlap the waiting.

use std::io::{self, BufReader};
use std::process::ExitCode;

use fib_timing::fib;

// ANCHOR: main
fn main() -> ExitCode {
    command_line::main("ch02-threads", &[], |options| {
        // Not `stdin().lock()`, as in chapter 1: a lock that one thread holds cannot be moved to
        // another.
        ch02_threads::run(BufReader::new(io::stdin()), io::stdout(), options.every, fib)
    })
}
// ANCHOR_END: main

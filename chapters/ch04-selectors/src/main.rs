//! `cargo run -p ch04-selectors`: one thread, many waits.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    use std::io;

    command_line::main("ch04-selectors", &[], |options| {
        ch04_selectors::run(io::stdin(), io::stdout(), options.every, fib_timing::fib)
    })
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    command_line::needs_unix("ch04-selectors")
}

//! `cargo run -p ch06-generators-to-futures`: get the stack back.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    use std::io;

    command_line::main("ch06-generators-to-futures", &[], |options| {
        ch06_generators_to_futures::run(io::stdin(), io::stdout(), options.every, fib_timing::fib)
    })
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    command_line::needs_unix("ch06-generators-to-futures")
}

//! `cargo run -p lab -- matrix`: which behaviours does each implementation show? `… -- transcript`:
//! do the recorded dialogues still hold? `… -- record`: what does an experiment print here?

#![forbid(unsafe_code)]

use std::process::ExitCode;

#[cfg(unix)]
mod cli;
#[cfg(unix)]
mod matrix;

#[cfg(unix)]
fn main() -> ExitCode {
    cli::main()
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("lab drives programs through the pipes and signals of Unix");
    ExitCode::FAILURE
}

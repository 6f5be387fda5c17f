//! How every form of the program is started and how it ends: its options, its one line of advice,
//! its exit status.
//!
//! The rules are the same in all chapters, and they are not the lesson. A `main` reads
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     command_line::main("ch99-example", &[], |options| {
//!         println!("a hello every {:?}", options.every);
//!         Ok(())
//!     })
//! }
//! ```

#![forbid(unsafe_code)]

mod experiment;
mod options;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

pub use experiment::experiment;
pub use options::{
    EVERY_MAX, EVERY_MIN, Extra, Options, PLACES, UsageError, WORKERS_MAX, default_workers,
};

/// The exit status of a program that was started with options it does not know.
const USAGE: u8 = 2;

/// Reads the options, calls `program`, and turns what it returns into an exit status: 0 when all
/// went well, 1 after an I/O error, 2 when the options are wrong.
///
/// A reader of our output that went away (`… | head -1`) is no failure: a program ends quietly
/// then, with status 0.
pub fn main(
    name: &str,
    extras: &[Extra],
    program: impl FnOnce(Options) -> io::Result<()>,
) -> ExitCode {
    let options = match Options::parse(extras, std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return exit_code(name, print(io::stdout(), &options::help(name, extras))),
        Err(error) => {
            complain(&format!("{name}: {error} (--help lists the options)\n"));
            return ExitCode::from(USAGE);
        }
    };
    if io::stdin().is_terminal() {
        complain(&format!("{}\n", advice()));
    }
    exit_code(name, program(options))
}

/// The one line a person at a terminal is greeted with.
fn advice() -> String {
    format!(
        "Type a whole number from 0 to {} and press Enter; \"exit\" ends the program.",
        fib_timing::FIB_MAX
    )
}

fn exit_code(name: &str, result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{name}: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard error, where a failure to write cannot be reported anywhere and `eprintln!`
/// would panic.
pub fn complain(text: &str) {
    let _ = print(io::stderr(), text);
}

fn print(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

/// Says in one line which answers were not waited for: `exit: abandoned fib(45)`.
pub fn complain_abandoned(numbers: &[u32]) {
    /// More than these are counted, not named: the line is for a person.
    const NAMED_MAX: usize = 10;

    let named = numbers.iter().take(NAMED_MAX).map(|n| format!("fib({n})"));
    let mut text = format!("exit: abandoned {}", named.collect::<Vec<_>>().join(", "));
    if numbers.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", numbers.len() - NAMED_MAX));
    }
    complain(&format!("{text}\n"));
}

/// Says that a program cannot run here, and why. The exit status is 1.
pub fn needs_unix(name: &str) -> ExitCode {
    complain(&format!(
        "{name}: needs a Unix: it waits for its input with poll(2), and a Windows console cannot be polled\n"
    ));
    ExitCode::FAILURE
}

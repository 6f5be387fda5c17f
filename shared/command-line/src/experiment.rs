//! How an experiment (an example of a chapter) is started and how it ends.

use std::io::{self, Write};
use std::process::ExitCode;

/// Refuses arguments with status 2, and hands `experiment` the standard output to write to.
///
/// A reader of that output that went away (`… | head -1`) is no failure: the experiment ends
/// quietly.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     command_line::experiment("answer", |output| writeln!(output, "{}", 6 * 7))
/// }
/// ```
pub fn experiment(
    name: &str,
    experiment: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> ExitCode {
    if let Some(argument) = std::env::args_os().nth(1) {
        crate::complain(&format!("{name}: expected no arguments, got {argument:?}\n"));
        return ExitCode::from(crate::USAGE);
    }
    crate::exit_code(name, experiment(&mut io::stdout().lock()))
}

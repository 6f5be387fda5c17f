//! The command line: which command, which options, which exit status.

mod matrix;
mod record;
mod transcript;

use std::process::ExitCode;

use lexopt::prelude::*;

const HELP: &str = "\
Looks at the programs from outside.

  lab matrix [--only NAME] [--behaviour ID]… [--reasons] [--markdown] [--check FILE]
      Builds the implementations, judges each for every behaviour, and prints the table and
      whatever contradicts what was expected.
        --only NAME        only implementations whose name, or package's name, begins with NAME
        --behaviour ID     only this one (B1 … B16, B3b); may be given again
        --reasons          tell for each ✗ what was seen, not only for those nobody expected
        --markdown         print the table as Markdown, and the remarks on standard error
        --check FILE       compare it with the Markdown table in FILE

  lab transcript --check FILE…
      Runs the dialogues again and says where they differ.
  lab transcript --record FILE…
      Runs the dialogues and writes down what the programs print now.

  lab record [--table] NAME -- COMMAND…
      Runs an experiment and keeps its output as book/recordings/NAME.txt, with the command, the
      machine and the date. Nothing is written where the command fails.
        --table            the output is a Markdown table: book/recordings/NAME.md

Exit status: 0 if everything agrees, 1 if something does not or could not be done, 2 for a wrong
command line.";

const DISAGREES: u8 = 1;
const USAGE: u8 = 2;

/// What went wrong with a command.
enum Trouble {
    /// Something contradicts the table, the file or the transcript. It has been told.
    Disagrees,
    /// The command line makes no sense.
    Usage(lexopt::Error),
    /// Something could not be done.
    Failed(std::io::Error),
}

impl From<lexopt::Error> for Trouble {
    fn from(error: lexopt::Error) -> Trouble {
        Trouble::Usage(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Trouble {
        Trouble::Failed(error)
    }
}

pub(crate) fn main() -> ExitCode {
    match command(lexopt::Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Disagrees) => ExitCode::from(DISAGREES),
        Err(Trouble::Usage(error)) => {
            eprintln!("lab: {error}; try --help");
            ExitCode::from(USAGE)
        }
        Err(Trouble::Failed(error)) => {
            eprintln!("lab: {error}");
            ExitCode::from(DISAGREES)
        }
    }
}

fn command(mut parser: lexopt::Parser) -> Result<(), Trouble> {
    match parser.next()? {
        Some(Value(command)) if command == "matrix" => matrix::command(parser),
        Some(Value(command)) if command == "record" => record::command(parser),
        Some(Value(command)) if command == "transcript" => transcript::command(parser),
        Some(Short('h') | Long("help")) => {
            help();
            Ok(())
        }
        Some(other) => Err(Trouble::Usage(other.unexpected())),
        None => Err(Trouble::Usage("a command is missing".into())),
    }
}

fn help() {
    println!("{HELP}");
}

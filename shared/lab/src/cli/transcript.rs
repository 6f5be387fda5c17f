//! `lab transcript`.

use std::path::{Path, PathBuf};

use crate::matrix::build::{Target, one};
use lab::dialogue::{Command, Transcript, hold, record};
use lexopt::prelude::*;

use super::{Trouble, help};

#[derive(Clone, Copy)]
enum Task {
    Check,
    Record,
}

/// Holds or records each file; all of them, also after one that does not hold.
pub(super) fn command(mut parser: lexopt::Parser) -> Result<(), Trouble> {
    let (mut task, mut files) = (None, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("check") => task = Some(Task::Check),
            Long("record") => task = Some(Task::Record),
            Value(file) => files.push(PathBuf::from(file)),
            Short('h') | Long("help") => {
                help();
                return Ok(());
            }
            other => return Err(Trouble::Usage(other.unexpected())),
        }
    }
    let Some(task) = task else {
        return Err(Trouble::Usage("--check or --record is missing".into()));
    };
    if files.is_empty() {
        return Err(Trouble::Usage("a file is missing".into()));
    }
    let failed = files.iter().filter(|file| !holds(task, file)).count();
    println!("{} transcripts, {failed} failed", files.len());
    if failed == 0 { Ok(()) } else { Err(Trouble::Disagrees) }
}

/// Does one file, and tells what went wrong.
fn holds(task: Task, file: &Path) -> bool {
    let done = try_one(task, file);
    match &done {
        Ok(()) => eprintln!("{}: done", file.display()),
        Err(why) => eprintln!("{why}"),
    }
    done.is_ok()
}

fn try_one(task: Task, file: &Path) -> Result<(), String> {
    let command = Transcript::read(file).map_err(|mismatch| mismatch.to_string())?.command;
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let Command { package, example, features, .. } = command;
    let exe = one(&Target { package, example, features }).map_err(told)?;
    match task {
        Task::Check => hold(file, &exe).map_err(|mismatch| mismatch.to_string()),
        Task::Record => record(file, &exe).map_err(told),
    }
}

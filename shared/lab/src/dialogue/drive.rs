//! What holding and recording a transcript have in common: starting the command and doing what is
//! typed.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::parse::{Command, Step};
use crate::driven::{Driven, Input, Launch, Output};

/// A whole dialogue may take this long. It is no measure of anything: a dialogue that hangs must
/// end some time, also where fifty others run on the same machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// Starts the program of a transcript, with what is fed to it and closed of it.
pub(super) fn start(command: &Command, exe: &Path) -> io::Result<Driven> {
    let input = command.fed.as_ref().map_or(Input::Pipe, |text| Input::Ended(text.clone()));
    let output = command.head.map_or(Output::Read, Output::CloseAfter);
    Driven::start(&Launch { exe, args: &command.args, input, output })
}

/// Does what the step says, if it is ours to do; false if it is the program's.
pub(super) fn act(driven: &mut Driven, step: &Step) -> io::Result<bool> {
    match step {
        Step::Type(line) => driven.send(format!("{line}\n").as_bytes())?,
        Step::EndInput => driven.close_input(),
        Step::Signal(_, signal) => driven.signal(*signal)?,
        Step::Out(_) | Step::Err(_) | Step::Status(_) => return Ok(false),
    }
    Ok(true)
}

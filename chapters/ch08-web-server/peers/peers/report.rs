//! One part after the other, and what of it holds.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::options::{HELP, Options, Part};
use crate::shapes::Verdict;
use crate::{costs, pings, process};

pub(crate) fn everything() -> ExitCode {
    let fail = |error: &dyn Display, status: u8| {
        command_line::complain(&format!("peers: {error}\n"));
        ExitCode::from(status)
    };
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            command_line::complain(HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&format!("{error} (--help lists the options)"), 2),
    };
    match run(&options, &mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => fail(&"a shape does not hold", 1),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Does everything hold that could be judged?
fn run(options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    process::end_children_with_this_process()?;
    process::allow_many_descriptors()?;
    let load = process::load_of_the_machine()?;
    let mut verdicts = Vec::new();
    if options.does(Part::Pings) {
        verdicts.extend(pings::everything(options, out)?);
    }
    if options.does(Part::Costs) {
        verdicts.extend(costs::everything(options, out)?);
    }
    writeln!(out, "When this began, the load of the machine was {load}.")?;
    tell(&verdicts)?;
    Ok(!verdicts.iter().any(|verdict| matches!(verdict, Verdict::Wrong(_))))
}

/// On standard error, as it is no part of the tables. What was not judged is counted, so that
/// it is not taken for what holds.
fn tell(verdicts: &[Verdict]) -> io::Result<()> {
    let mut out = io::stderr();
    let (mut hold, mut wrong, mut not_judged) = (0, 0, 0);
    for verdict in verdicts {
        match verdict {
            Verdict::Holds => hold += 1,
            Verdict::Wrong(what) => {
                wrong += 1;
                writeln!(out, "wrong: {what}")?;
            }
            Verdict::NotJudged(why) => {
                not_judged += 1;
                writeln!(out, "not judged: {why}")?;
            }
        }
    }
    writeln!(out, "{hold} shapes hold, {wrong} are wrong, {not_judged} were not judged")
}

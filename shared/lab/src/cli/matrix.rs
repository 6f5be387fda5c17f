//! `lab matrix`.

use std::path::PathBuf;

use crate::matrix::{Measured, Totals, check, measure, table};
use lab::behaviour::Behaviour;
use lab::expected::TABLE;
use lexopt::prelude::*;

use super::{Trouble, help};

/// A cell that could not be judged agrees with everything. Where there is more than one for so many
/// that were, `--check` has checked nothing.
const MOST_NOT_JUDGED: usize = 3;

#[derive(Default)]
struct Options {
    only: String,
    behaviours: Vec<Behaviour>,
    markdown: bool,
    reasons: bool,
    check: Option<PathBuf>,
}

/// Measures, prints, compares.
pub(super) fn command(parser: lexopt::Parser) -> Result<(), Trouble> {
    let Some(options) = parse(parser)? else { return Ok(()) };
    let recorded = options.check.as_ref().map(std::fs::read_to_string).transpose()?;
    let rows = measure(&options.only, &options.behaviours, |doing| eprintln!("{doing}"))?;
    report(&rows, &options, recorded.as_deref())
}

/// None when help was asked for and given.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, Trouble> {
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("only") => options.only = parser.value()?.string()?,
            Long("behaviour") => options.behaviours.push(behaviour(&parser.value()?.string()?)?),
            Long("reasons") => options.reasons = true,
            Long("markdown") => options.markdown = true,
            Long("check") => options.check = Some(parser.value()?.into()),
            Short('h') | Long("help") => {
                help();
                return Ok(None);
            }
            other => return Err(Trouble::Usage(other.unexpected())),
        }
    }
    if !TABLE.iter().any(|row| row.is_called(&options.only)) {
        return Err(Trouble::Usage(
            format!("no implementation is built whose name begins with {:?}", options.only).into(),
        ));
    }
    if options.behaviours.is_empty() {
        options.behaviours = Behaviour::ALL.to_vec();
    }
    options.behaviours.sort_unstable();
    options.behaviours.dedup();
    Ok(Some(options))
}

fn behaviour(id: &str) -> Result<Behaviour, lexopt::Error> {
    Behaviour::named(id)
        .ok_or_else(|| format!("{id:?} is no behaviour: they are B1 to B16, and B3b").into())
}

fn report(rows: &[Measured], options: &Options, recorded: Option<&str>) -> Result<(), Trouble> {
    let render = if options.markdown { table::markdown } else { table::aligned };
    print!("{}", render(rows, &options.behaviours));
    // With --markdown, standard output is the table alone and can be kept as a file.
    let differences = recorded
        .map(|text| check::differences(rows, &options.behaviours, text, options.only.is_empty()))
        .unwrap_or_default();
    let totals = Totals::of(rows);
    let seen = if options.reasons { table::reasons } else { table::not_judged };
    let mut remarks = seen(rows) + &table::disagreements(rows);
    for difference in &differences {
        remarks += &format!("{difference}\n");
    }
    remarks += &totals.to_string();
    if options.markdown {
        eprintln!("{remarks}")
    } else {
        println!("\n{remarks}")
    }
    if recorded.is_some() && totals.not_judged * MOST_NOT_JUDGED > totals.shown + totals.not_shown {
        eprintln!("too few cells could be judged: this compares nothing");
        return Err(Trouble::Disagrees);
    }
    if totals.disagree == 0 && differences.is_empty() { Ok(()) } else { Err(Trouble::Disagrees) }
}

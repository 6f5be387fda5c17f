//! Judges the chosen rows, one program and one behaviour at a time: what is measured must not be
//! disturbed by us.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use super::{Measured, build};
use lab::behaviour::Behaviour;
use lab::black_box::{Subject, probe};
use lab::expected::{Program, Row, TABLE};

/// Builds and judges the implementations whose name begins with `only`, for the given behaviours.
/// `progress` is told what is being done.
///
/// # Errors
///
/// When something cannot be built.
pub(crate) fn measure(
    only: &str,
    behaviours: &[Behaviour],
    mut progress: impl FnMut(&str),
) -> io::Result<Vec<Measured>> {
    let rows: Vec<&Row> = TABLE.iter().filter(|row| row.name.starts_with(only)).collect();
    progress("building");
    let programs = build_programs(&rows)?;
    let mut measured = Vec::new();
    for row in rows {
        let subject = subject(row, &programs);
        let verdicts = subject.map(|subject| {
            let judge = |behaviour: &Behaviour| {
                progress(&format!("{}: {behaviour}, {}", row.name, behaviour.promise()));
                (*behaviour, probe(&subject, *behaviour))
            };
            behaviours.iter().map(judge).collect()
        });
        measured.push(Measured { row, verdicts });
    }
    Ok(measured)
}

/// Builds those whose package exists: the table knows implementations that are still to be written.
fn build_programs(rows: &[&Row]) -> io::Result<HashMap<String, PathBuf>> {
    let existing = build::packages()?;
    let mut wanted: Vec<&str> = rows.iter().filter_map(|row| package(row)).collect();
    wanted.retain(|package| existing.iter().any(|existing| existing == package));
    wanted.dedup(); // rows of one package stand together
    if wanted.is_empty() { Ok(HashMap::new()) } else { build::mains(&wanted) }
}

fn package(row: &Row) -> Option<&'static str> {
    match row.program {
        Program::Main { package, .. } => Some(package),
        Program::NotBuilt => None,
    }
}

fn subject(row: &Row, programs: &HashMap<String, PathBuf>) -> Option<Subject> {
    let Program::Main { package, args, takes_workers } = row.program else { return None };
    let exe = programs.get(package)?.clone();
    Some(Subject { exe, args: args.iter().map(ToString::to_string).collect(), takes_workers })
}

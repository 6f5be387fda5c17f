//! Judges the chosen rows, one program and one behaviour at a time: what is measured must not be
//! disturbed by us.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::build::{self, Target};
use super::{Measured, Totals};
use lab::behaviour::Behaviour;
use lab::black_box::{Subject, probe};
use lab::expected::{Program, Row, TABLE};

/// Builds and judges the implementations that are called so, for the given behaviours. `progress`
/// is told what is being done, row by row. A row whose package is not in the workspace is left out:
/// a reader may delete a chapter.
///
/// # Errors
///
/// When something cannot be built.
pub(crate) fn measure(
    only: &str,
    behaviours: &[Behaviour],
    mut progress: impl FnMut(&str),
) -> io::Result<Vec<Measured>> {
    let (begun, packages) = (Instant::now(), build::packages()?);
    let exists =
        |row: &&Row| packages.iter().any(|name| row.program.package() == Some(name.as_str()));
    let (rows, missing): (Vec<&Row>, Vec<&Row>) =
        TABLE.iter().filter(|row| row.is_called(only)).partition(exists);
    for row in missing {
        progress(&format!("{}: its package is not in the workspace", row.name));
    }
    progress(&format!("building what {} rows need", rows.len()));
    let mut targets: Vec<Target> = rows.iter().filter_map(|row| target(row)).collect();
    targets.dedup(); // rows of one program stand together
    let programs = build::all(&targets)?;
    progress(&format!("built in {}", seconds(begun.elapsed())));
    let mut measured = Vec::new();
    for (number, row) in (1..).zip(&rows) {
        progress(&format!("{number} of {}: {}", rows.len(), row.name));
        let subject = subject(row, &programs)?;
        let (row, times) = judge(row, &subject, behaviours);
        let totals = Totals::of(std::slice::from_ref(&row));
        progress(&format!("    {totals}; {}", told(times)));
        measured.push(row);
    }
    Ok(measured)
}

/// How long each behaviour took.
type Times = Vec<(Duration, Behaviour)>;

/// Every behaviour, one after the other.
fn judge(row: &'static Row, subject: &Subject, behaviours: &[Behaviour]) -> (Measured, Times) {
    let (mut verdicts, mut times) = (Vec::new(), Vec::new());
    for behaviour in behaviours {
        let begun = Instant::now();
        verdicts.push((*behaviour, probe(subject, *behaviour)));
        times.push((begun.elapsed(), *behaviour));
    }
    (Measured { row, verdicts }, times)
}

/// The whole time, and what took most of it.
fn told(mut times: Times) -> String {
    /// So many are named.
    const LONGEST: usize = 3;
    let whole: Duration = times.iter().map(|(time, _)| time).sum();
    times.sort_unstable();
    let longest = times.iter().rev().take(LONGEST);
    let longest: Vec<String> =
        longest.map(|(time, behaviour)| format!("{behaviour} {}", seconds(*time))).collect();
    format!("{}, of which {}", seconds(whole), longest.join(", "))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn target(row: &Row) -> Option<Target> {
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    match row.program {
        Program::Main { package, .. } => {
            Some(Target { package: package.to_owned(), example: None, features: Vec::new() })
        }
        Program::Example { package, example, features, .. } => Some(Target {
            package: package.to_owned(),
            example: Some(example.to_owned()),
            features: owned(features),
        }),
        Program::NotBuilt => None,
    }
}

fn subject(row: &Row, programs: &HashMap<String, PathBuf>) -> io::Result<Subject> {
    let exe = row.program.name().and_then(|name| programs.get(name)).cloned();
    let exe = exe.ok_or_else(|| io::Error::other(format!("cargo did not build {}", row.name)))?;
    let args = row.program.args().iter().map(ToString::to_string).collect();
    Ok(Subject { exe, args, takes_workers: row.program.takes_workers() })
}

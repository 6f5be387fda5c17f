//! Everything in turn, and the table of it on standard output. What is being done is said on
//! standard error, since it takes some minutes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::servers::{ECHO, ECHO_SERVERS, HTTP, HTTP_SERVERS};
use crate::sizes::{options, sizes};
use crate::table::{self, Row};
use crate::{child, load, scheduling, sleepers};

/// Where criterion leaves its figures, below the folder of the target.
const FIGURES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/criterion-runtimes");

pub(crate) fn everything() -> io::Result<()> {
    child::allow_many_descriptors()?;
    let load_before = fs::read_to_string("/proc/loadavg")?;
    let mut rows = scheduling_rows()?;
    rows.extend(sleeper_rows()?);
    for (kind, names) in [(ECHO, &ECHO_SERVERS[..]), (HTTP, &HTTP_SERVERS)] {
        for &connections in sizes().connections {
            rows.push(server_row(kind, names, connections)?);
        }
    }
    let load = load_before.split(' ').next().unwrap_or_default();
    write!(io::stdout(), "{}\n{}", table::markdown(&rows), words(load))
}

/// What stands below the table.
fn words(load: &str) -> String {
    format!(
        "The first column has our figures. In the others a figure is divided by that of the \
         runtime that is 1. With a range, it is the median of the rounds' ratios ({sleepers} \
         rounds of sleepers, {servers} of servers), and the lowest and the highest. Tasks that \
         only use the CPU: wall-clock time, medians of criterion. The others: CPU time or \
         memory of the process that sleeps or serves. When this began, the load of the machine \
         was {load}.\n",
        sleepers = sizes().sleeper_rounds,
        servers = sizes().server_rounds,
    )
}

/// Runs criterion in a process of its own, since it has options of its own, and reads its medians.
fn scheduling_rows() -> io::Result<Vec<Row>> {
    progress(scheduling::NAME);
    let status = Command::new(child::THIS_PROGRAM)
        .args(options())
        .arg(scheduling::NAME)
        .env("CRITERION_HOME", FIGURES)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("criterion ended with {status}")));
    }
    if options().is_empty() {
        return Ok(Vec::new()); // it ran everything once, and measured nothing
    }
    scheduling::groups().iter().map(scheduling_row).collect()
}

fn scheduling_row(group: &scheduling::Group) -> io::Result<Row> {
    // criterion makes a folder of each name, without the signs that a folder cannot have.
    let folder = Path::new(FIGURES).join(format!("{}_{}", scheduling::NAME, group.name));
    let mut figures = BTreeMap::new();
    for name in scheduling::RUNTIMES {
        let text = fs::read_to_string(folder.join(name).join("new/estimates.json"))?;
        let estimates: Value = serde_json::from_str(&text)?;
        let median = estimates["median"]["point_estimate"].as_f64();
        let median = median.ok_or_else(|| io::Error::other("criterion has left no median"))?;
        figures.insert(name, vec![median / group.operations as f64]);
    }
    Ok(Row { what: group.what.clone(), unit: "ns", one: "tokio, 1 thread", figures })
}

fn sleeper_rows() -> io::Result<[Row; 2]> {
    let (mut cpu, mut memory) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
    for round in 0..sizes().sleeper_rounds {
        progress(&format!("sleepers, round {round}"));
        for name in sleepers::RUNTIMES {
            let cost = sleepers::measure(name)?;
            cpu.entry(name).or_default().push(cost.cpu);
            memory.entry(name).or_default().push(cost.memory);
        }
    }
    let row = |what: &str, unit, figures| {
        let what = format!("{} tasks sleep: {what} a task", sizes().sleepers);
        Row { what, unit, one: sleepers::RUNTIMES[0], figures }
    };
    Ok([row("CPU time", "ns", cpu), row("memory", "bytes", memory)])
}

/// In each round every server has its turn.
fn server_row(kind: &str, names: &[&'static str], connections: usize) -> io::Result<Row> {
    let mut figures = BTreeMap::<_, Vec<_>>::new();
    for round in 0..sizes().server_rounds {
        progress(&format!("{kind}, {connections} connections, round {round}"));
        for &name in names {
            figures.entry(name).or_default().push(load::measure(kind, name, connections)?);
        }
    }
    let what = match kind {
        ECHO => "TCP echo of 64 bytes",
        _ => "HTTP with hyper",
    };
    let what = format!("{what}, {connections} connections: CPU time a request");
    Ok(Row { what, unit: "ns", one: names[0], figures })
}

fn progress(what: &str) {
    command_line::complain(&format!("{what}\n"));
}

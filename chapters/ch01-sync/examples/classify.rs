//! I/O-bound or CPU-bound? Asked of the kernel, for four workloads.
//!
//! One computes, one waits for a server, one reads a byte at a time from a device that always has
//! some, one waits and computes. Predict the class of each. Then predict what a server twice as
//! quick changes, and what half the work changes.
//!
//! `cargo run -p ch01-sync --example classify`

#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use fib_timing::{FIB_MAX, fib};
use lab::experiment::{Experiment, Report};
use lab::late_server::LateServer;
use lab::proc::Activity;
use lab::spent::Spent;

const EXPERIMENT: Experiment = Experiment::new("ch01-sync", "classify");

/// How much there is to do.
#[derive(Clone, Copy)]
struct Amount {
    /// fib of this is computed so often.
    n: u32,
    fibs: u32,
    reads: u32,
    delay: Duration,
}

// ANCHOR: workloads
fn computes(amount: Amount) -> io::Result<()> {
    (0..amount.fibs).for_each(|_| drop(black_box(fib(black_box(amount.n)).to_string())));
    Ok(())
}

fn asks_a_server(amount: Amount) -> io::Result<()> {
    let server = LateServer::start(amount.delay, "a page")?;
    let mut stream = TcpStream::connect(server.address())?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn reads_bytes(amount: Amount) -> io::Result<()> {
    let mut zeros = File::open("/dev/zero")?;
    (0..amount.reads).try_for_each(|_| zeros.read_exact(&mut [0]))
}

fn asks_and_computes(amount: Amount) -> io::Result<()> {
    asks_a_server(amount)?;
    computes(amount)
}
// ANCHOR_END: workloads

type Workload = fn(Amount) -> io::Result<()>;

const WORKLOADS: [(&str, Workload); 4] = [
    ("computes", computes),
    ("asks a server", asks_a_server),
    ("reads single bytes", reads_bytes),
    ("asks and computes", asks_and_computes),
];

/// The smallest n whose fib takes at least so much of a CPU, here and now.
fn slow(at_least: Duration) -> io::Result<u32> {
    for n in 25..FIB_MAX {
        if Spent::on(|| black_box(fib(black_box(n))))?.1.on_cpu >= at_least {
            return Ok(n);
        }
    }
    Ok(FIB_MAX)
}

#[derive(Debug, PartialEq)]
enum Class {
    IoBound,
    CpuBound,
    Both,
}

fn spent(workload: Workload, amount: Amount) -> io::Result<Spent> {
    let (done, spent) = Spent::on(|| workload(amount))?;
    done.map(|()| spent)
}

// ANCHOR: classify
/// By the part of its time that it was on a CPU. Time in which others had it does not count.
fn class(spent: Spent) -> Class {
    match spent.part_on_cpu() {
        ..0.2 => Class::IoBound,
        0.8.. => Class::CpuBound,
        _ => Class::Both,
    }
}
// ANCHOR_END: classify

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::IoBound => "I/O-bound",
            Class::CpuBound => "CPU-bound",
            Class::Both => "both",
        })
    }
}

/// How much quicker a workload is with a server that is twice as quick, and with half the work.
struct Gains {
    spent: Spent,
    quick_server: f64,
    half_the_work: f64,
    disturbed: Option<String>,
}

fn gains(workload: Workload, full: Amount) -> io::Result<Gains> {
    let quick_server = Amount { delay: full.delay / 2, ..full };
    let half_the_work = Amount { fibs: full.fibs / 2, reads: full.reads / 2, ..full };
    let all =
        [spent(workload, full)?, spent(workload, quick_server)?, spent(workload, half_the_work)?];
    let disturbed = all.iter().find_map(Spent::disturbed);
    let [full, quick_server, half_the_work] = all;
    let gain = |other: Spent| full.wall.div_duration_f64(other.wall);
    let (quick_server, half_the_work) = (gain(quick_server), gain(half_the_work));
    Ok(Gains { spent: full, quick_server, half_the_work, disturbed })
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("CPU-bound, I/O-bound, CPU-bound although it only reads, and both")?;
    Activity::of_this_thread()?; // or nothing is judged
    let n = slow(Duration::from_millis(100))?;
    let full = Amount { n, fibs: 2, reads: 500_000, delay: Duration::from_millis(300) };
    report.say(format_args!(
        "{:20}{:>6}{:>7}{:>8}  {:10}{:>13}{:>11}",
        "in ms", "wall", "user", "system", "class", "quick server", "half work"
    ))?;
    let mut is_disturbed = None;
    for (name, workload) in WORKLOADS {
        let Gains { spent, quick_server: server, half_the_work: work, disturbed } =
            gains(workload, full)?;
        let (class, did) = (class(spent), spent.did.unwrap_or_default());
        let [wall, user, system] = [spent.wall, did.user, did.system].map(|time| time.as_millis());
        report.say(format_args!(
            "{name:20}{wall:>6}{user:>7}{system:>8}  {class:10}{server:>12.1}x{work:>10.1}x"
        ))?;
        is_disturbed = is_disturbed.or(disturbed);
    }
    is_disturbed.map_or(Ok(()), |reason| report.say(format_args!("\nnot judged: {reason}")))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use lab::experiment::Judgement;

    use super::*;

    // One test: another one at the same time would take a core away.
    #[test]
    fn what_calls_the_kernel_all_the_time_is_not_io_bound() {
        let n = slow(Duration::from_millis(20)).expect("it is a Unix");
        let amount = Amount { n, fibs: 4, reads: 100_000, delay: Duration::from_millis(100) };
        let classes = [Class::CpuBound, Class::IoBound, Class::CpuBound, Class::Both];
        // Which of the two makes it nearly twice as quick.
        let quicker = [(false, true), (true, false), (false, true), (false, false)];
        for (row, (name, workload)) in WORKLOADS.into_iter().enumerate() {
            let judge = || {
                let seen = gains(workload, amount).expect("Linux has a /proc");
                let (class, gains) = (class(seen.spent), (seen.quick_server, seen.half_the_work));
                let is_quicker = (gains.0 > 1.6, gains.1 > 1.6);
                let is_so = class == classes[row] && is_quicker == quicker[row];
                let judged = Judgement::of(is_so, || format!("{name}: {class}, {gains:?} times"));
                judged.unless(seen.disturbed)
            };
            // The host can slow down a machine that is virtual, unseen: but not each time.
            Judgement::of_tries(5, judge).assert();
        }
    }
}

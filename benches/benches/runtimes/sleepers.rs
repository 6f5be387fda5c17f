//! Many tasks that sleep, in a process of their own: what one costs in CPU time and in memory.

use std::fs;
use std::io;
use std::process;
use std::sync::mpsc;

use crate::child::{Process, cpu_time};
use crate::runtimes::{async_std, ours, smol, tokio};
use crate::servers::unknown;
use crate::sizes::sizes;

/// What the child that sleeps is called.
pub(crate) const SLEEPERS: &str = "sleepers";

/// Who sleeps. The first is what the others are compared with.
pub(crate) const RUNTIMES: [&str; 5] = ["tokio, 1 thread", "ours", "tokio", "smol", "async-std"];

/// What one task costs.
pub(crate) struct Cost {
    /// From its spawning to its joining, in nanoseconds.
    pub(crate) cpu: f64,
    /// While it sleeps, in bytes.
    pub(crate) memory: f64,
}

/// In a child: sleeps, and says the costs in one line.
pub(crate) fn sleep(name: &str) -> io::Result<String> {
    let tasks = sizes().sleepers;
    let (asleep, memory) = mpsc::channel();
    let asleep = move || {
        let _ = asleep.send(resident()); // the other end lives longer
    };
    let (cpu_before, memory_before) = (cpu_time(process::id())?, resident()?);
    match name {
        "ours" => ours::sleeping::sleep_all(&ours::executor(), tasks, asleep),
        "tokio, 1 thread" => tokio::sleeping::sleep_all(&tokio::one_thread(), tasks, asleep),
        "tokio" => tokio::sleeping::sleep_all(&tokio::many_threads(), tasks, asleep),
        "smol" => smol::sleeping::sleep_all(&smol::Executor, tasks, asleep),
        "async-std" => async_std::sleeping::sleep_all(&async_std::Executor, tasks, asleep),
        _ => return Err(unknown(name)),
    }
    let cpu = cpu_time(process::id())? - cpu_before;
    let memory = memory.recv().expect("all were asleep before they ended")? - memory_before;
    Ok(format!("{} {}", cpu / tasks as f64, memory / tasks as f64))
}

/// The memory of this process that is resident, in bytes.
fn resident() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    let kib = kib.and_then(|number| number.trim().parse::<f64>().ok());
    Ok(kib.ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))? * 1024.0)
}

/// Starts a child that sleeps, and returns what it says.
pub(crate) fn measure(name: &str) -> io::Result<Cost> {
    let line = Process::start(SLEEPERS, name)?.line()?;
    match line.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>().as_deref() {
        Ok(&[cpu, memory]) => Ok(Cost { cpu, memory }),
        _ => Err(io::Error::other(format!("a sleeping child said {line:?}"))),
    }
}

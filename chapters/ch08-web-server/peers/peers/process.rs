//! A process of its own for each server, and what the kernel tells of it.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use reqwest::Url;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn;
use tokio::time::sleep;

/// Everything is over by then, if need be with a failure.
const TIME_MAX: Duration = Duration::from_secs(480);

/// The servers that run now.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    pub(crate) url: Url,
}

impl Process {
    /// Starts it, and reads its address, which is the first that it says.
    pub(crate) fn start(command: &mut Command) -> io::Result<Process> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |why: &dyn std::fmt::Display| io::Error::other(format!("{program}: {why}"));
        let mut child = {
            let mut running = running(); // whoever ends all of them waits until this one is known
            let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
            let child = spawned.map_err(|error| failed(&error))?;
            running.push(Pid::from_child(&child));
            child
        };
        let output = child.stdout.take().expect("it is piped");
        let (pid, url) = (Pid::from_child(&child), Url::parse("http://127.0.0.1/"));
        let url = url.expect("it is an address");
        let mut process = Process { child, pid, url };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        process.url = Url::parse(line.trim()).map_err(|_| {
            failed(&format!("the first line should be its address, and is {line:?}"))
        })?;
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails where the server has ended already.
        let _ = self.child.kill();
        running().retain(|pid| *pid != self.pid);
        let _ = self.child.wait();
    }
}

/// Ends the servers when this process is told to end, or has not come to its end in time.
pub(crate) fn end_children_with_this_process() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let signals = {
        let _inside = runtime.enter();
        kinds.into_iter().map(signal).collect::<io::Result<Vec<_>>>()?
    };
    thread::spawn(move || {
        for mut signal in signals {
            runtime.spawn(async move {
                signal.recv().await;
                end("a signal came");
            });
        }
        runtime.block_on(async {
            spawn(sleep(TIME_MAX)).await.expect("nobody aborts it, and it does not panic");
            end(&format!("not at its end after {TIME_MAX:?}"));
        });
    });
    Ok(())
}

fn end(why: &str) {
    let running = running(); // held to the end, so that no other one is started
    for pid in running.iter() {
        let _ = kill_process(*pid, Signal::KILL);
    }
    command_line::complain(&format!("peers: {why}\n"));
    std::process::exit(1);
}

/// As many as this process may have without asking anybody. A child is allowed the same.
pub(crate) fn allow_many_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// How many processes want a core, over the last minute.
pub(crate) fn load_of_the_machine() -> io::Result<String> {
    let load = fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}

/// What all threads of a process have had of the cores, in nanoseconds. What ended with a thread is
/// not in it, but no thread ends while we measure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CpuTime {
    pub(crate) used: f64,
    /// They were ready to run, and had no core.
    pub(crate) waited: f64,
}

pub(crate) fn cpu_time(process: u32) -> io::Result<CpuTime> {
    let mut sum = CpuTime::default();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let mut figures = text.split(' ').map_while(|word| word.parse::<f64>().ok());
        let (Some(used), Some(waited)) = (figures.next(), figures.next()) else {
            return Err(io::Error::other(format!("schedstat says {text:?}")));
        };
        sum.used += used;
        sum.waited += waited;
    }
    Ok(sum)
}

/// The resident memory of a process in bytes, counted page by page: what `status` tells is off by
/// what each core has not reported yet.
pub(crate) fn resident(process: u32) -> io::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    let kib = kib.ok_or_else(|| io::Error::other(format!("smaps_rollup says {text:?}")))?;
    Ok(kib * 1024.0)
}

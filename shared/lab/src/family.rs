//! What a program and its children cost: CPU time, wake-ups, and who is still alive. Read from
//! /proc, so on Linux only; elsewhere every number is an error and the probes that need one say so.
//!
//! The family is the process group that the program was started in. Children inherit it, also those
//! whose parent has died.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;

/// A program, its children, and theirs.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    group: Pid,
}

/// One process of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its process id.
    pub pid: i32,
    /// Its name, as the kernel keeps it (15 bytes).
    pub name: String,
    ticks: u64,
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// Voluntary context switches of each thread, by thread id.
pub type Switches = HashMap<i32, u64>;

impl Family {
    pub(crate) fn of(group: Pid) -> Family {
        Family { group }
    }

    /// Who is alive: zombies, which only wait for their parent to ask for their status, are not.
    /// Empty where there is no /proc.
    pub fn members(&self) -> Vec<Member> {
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let stats =
            processes.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
        stats.filter_map(|stat| member(&stat, self.group.as_raw_nonzero().get())).collect()
    }

    /// The CPU time that the living members have used, user and system, over all threads.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no /proc, or nobody lives.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let members = self.members();
        if members.is_empty() {
            return Err(unsupported());
        }
        let ticks: u64 = members.iter().map(|member| member.ticks).sum();
        Ok(Duration::from_secs(ticks) / ticks_a_second())
    }

    /// Does any thread want a core right now? On a crowded machine that says more than the CPU time
    /// it got.
    pub fn wants_cpu(&self) -> bool {
        let tasks = |member: Member| fs::read_dir(format!("/proc/{}/task", member.pid)).ok();
        let mut tasks = self.members().into_iter().filter_map(tasks).flatten().flatten();
        tasks.any(|task| is_runnable(&task.path()))
    }

    /// How often each thread has gone to sleep of its own will.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no /proc, or nobody lives.
    pub fn voluntary_switches(&self) -> io::Result<Switches> {
        let mut switches = Switches::new();
        for member in self.members() {
            let tasks = fs::read_dir(format!("/proc/{}/task", member.pid))?;
            // A thread may end between the listing and the reading: it is left out.
            switches.extend(tasks.filter_map(|task| thread_switches(&task.ok()?.path())));
        }
        if switches.is_empty() { Err(unsupported()) } else { Ok(switches) }
    }
}

/// Is the thread running, or waiting for nothing but a core?
fn is_runnable(task: &Path) -> bool {
    let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('R'))
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "no living process found in /proc")
}

/// The unit of the times in /proc, which on Linux is a hundredth of a second wherever one looks.
fn ticks_a_second() -> u32 {
    u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100).max(1)
}

/// Reads a line of /proc/PID/stat, if the process belongs to the group and is alive.
fn member(stat: &str, group: i32) -> Option<Member> {
    // `pid (name) state parent group …`: a name may hold spaces and parentheses, so count from the
    // last one.
    let (before, after) = stat.rsplit_once(") ")?;
    let (pid, name) = before.split_once(" (")?;
    let fields: Vec<&str> = after.split(' ').collect();
    let alive = !matches!(*fields.first()?, "Z" | "X");
    let in_group = fields.get(2)?.parse() == Ok(group);
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    (alive && in_group).then_some(Member { pid: pid.parse().ok()?, name: name.to_owned(), ticks })
}

fn thread_switches(task: &Path) -> Option<(i32, u64)> {
    let id = task.file_name()?.to_str()?.parse().ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    Some((id, count.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "4242 (a (bad) name) S 1 77 77 0 -1 4194304 96 0 0 0 12 30 0 0 20 0 1 0 5 0 0";

    #[test]
    fn a_name_with_parentheses_is_no_trap() {
        let found = Member { pid: 4242, name: "a (bad) name".to_owned(), ticks: 42 };
        assert_eq!(member(STAT, 77), Some(found));
    }

    #[test]
    fn strangers_and_zombies_do_not_belong() {
        assert_eq!(member(STAT, 78), None);
        assert_eq!(member(&STAT.replace(") S", ") Z"), 77), None);
    }
}

//! Processes by their id, for tests that kill one and wait until it is gone. Read from /proc, and
//! not asked of `ps` or `pgrep`, which a small installation of Linux does not have.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal, kill_process};

/// Kills a process that the calling test started, or a child of one.
///
/// # Errors
///
/// When there is no such process.
pub fn kill(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or(io::ErrorKind::InvalidInput)?, Signal::KILL)?;
    Ok(())
}

/// Is there no such process any more? A zombie, which only waits for its parent to ask for its
/// status, counts as gone.
pub fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']))
}

/// The children of a process among whose arguments is `argument`. A child that was started just now
/// is a copy of its parent, and is not among them until it is a program of its own.
pub fn children_with(parent: u32, argument: &str) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
    });
    let is_right = |pid: &u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').skip(1).any(|found| found == argument)
    };
    children.filter(is_right).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_found_killed_and_gone() {
        let mut child = Command::new("cat")
            .args(["-", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("cat is on every Unix");
        while children_with(std::process::id(), "-").is_empty() {
            std::thread::yield_now(); // between fork and exec
        }
        assert_eq!(children_with(std::process::id(), "-"), [child.id()]);
        assert!(!is_gone(child.id()));
        kill(child.id()).expect("it is alive");
        while !is_gone(child.id()) {
            std::thread::yield_now();
        }
        child.wait().expect("it is our child");
        assert!(is_gone(child.id()));
        assert!(kill(child.id()).is_err());
    }
}

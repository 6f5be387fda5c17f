//! On which cores this process may run, and a thread that stays on one of them. Where the system
//! has no such call, each of these is an error of the kind `Unsupported`, and an experiment is not
//! judged.

use std::io;

/// The cores on which the calling thread may run, in ascending order. There is at least one.
///
/// # Errors
///
/// `Unsupported`, where the system is not Linux.
pub fn allowed() -> io::Result<Vec<usize>> {
    system::allowed()
}

/// The first and the last of them: the same one, where there is only one.
///
/// # Errors
///
/// As [`allowed`].
pub fn first_and_last() -> io::Result<[usize; 2]> {
    let allowed = allowed()?;
    match allowed[..] {
        [first, .., last] => Ok([first, last]),
        [only] => Ok([only; 2]),
        [] => Err(io::Error::other("this thread may run nowhere")),
    }
}

/// From now on the calling thread runs on this core only, and so do the threads that it starts.
///
/// # Errors
///
/// `Unsupported`, where the system is not Linux; and when this process may not run there.
pub fn stay_on(core: usize) -> io::Result<()> {
    system::stay_on(core)
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) fn allowed() -> io::Result<Vec<usize>> {
        let allowed = sched_getaffinity(None)?;
        Ok((0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect())
    }

    pub(super) fn stay_on(core: usize) -> io::Result<()> {
        let mut only = CpuSet::new();
        if core >= CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        only.set(core);
        Ok(sched_setaffinity(None, &only)?) // of this thread alone
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    fn unsupported() -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, "to keep a thread on one core needs Linux")
    }

    pub(super) fn allowed() -> io::Result<Vec<usize>> {
        Err(unsupported())
    }

    pub(super) fn stay_on(_: usize) -> io::Result<()> {
        Err(unsupported())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_stays_and_takes_along_those_that_it_starts() {
        let mine = allowed().expect("Linux says it");
        let last = *mine.last().expect("this thread runs somewhere");
        let staying = thread::spawn(move || {
            stay_on(last)?;
            thread::spawn(allowed).join().expect("it only asks")
        });
        let theirs = staying.join().expect("it only stays and starts another one");
        assert_eq!(theirs.expect("the core is allowed"), [last]);
        assert_eq!(first_and_last().expect("Linux says it"), [mine[0], last]);
        assert_eq!(allowed().expect("Linux says it"), mine, "and this one is as free as before");
    }

    #[test]
    fn a_core_that_there_is_not_is_refused() {
        assert!(stay_on(usize::MAX).is_err());
    }
}

//! What Linux says of a process: its memory, its threads, its time on a CPU, its switches. Read
//! from /proc; on another system each of these is an error of the kind `Unsupported`, and an
//! experiment is not judged.

use std::fs;
use std::io;
use std::time::Duration;

/// The memory of a process at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Addresses that are taken (`VmSize`), whether there is memory behind them or not.
    pub reserved: u64,
    /// Pages that are in memory, counted one by one (`Rss` of `smaps_rollup`: what `status` says
    /// is off by what each core has not reported yet).
    pub resident: u64,
    /// The tables that say where the pages lie (`VmPTE`).
    pub page_tables: u64,
    /// How much of it is in pages of 2 MiB. One of them would hide what is touched.
    pub huge: u64,
}

impl Memory {
    /// Of this process.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn now() -> io::Result<Memory> {
        Memory::of("self")
    }

    /// Of the process with a number, or of `self`.
    ///
    /// # Errors
    ///
    /// When the system does not say, or there is no such process.
    pub fn of(process: &str) -> io::Result<Memory> {
        let status = read(&format!("/proc/{process}/status"))?;
        let rollup = read(&format!("/proc/{process}/smaps_rollup"))?;
        Ok(Memory {
            reserved: bytes(&status, "VmSize:")?,
            resident: bytes(&rollup, "Rss:")?,
            page_tables: bytes(&status, "VmPTE:")?,
            huge: bytes(&rollup, "AnonHugePages:")?,
        })
    }
}

/// What the whole machine holds of something, in bytes: a line of /proc/meminfo, as `KernelStack`
/// or `Slab`.
///
/// # Errors
///
/// When the system does not say.
pub fn of_the_machine(name: &str) -> io::Result<u64> {
    bytes(&read("/proc/meminfo")?, &format!("{name}:"))
}

/// How many threads this process has.
///
/// # Errors
///
/// When the system does not say.
pub fn threads() -> io::Result<usize> {
    Ok(entries("/proc/self/task")?.count())
}

/// How many descriptors this process has open, the one included with which that is read.
///
/// # Errors
///
/// When the system does not say.
pub fn descriptors() -> io::Result<usize> {
    Ok(entries("/proc/self/fd")?.count())
}

/// The number by which the kernel knows the calling thread.
///
/// # Errors
///
/// When the system does not say.
pub fn this_thread() -> io::Result<u32> {
    let link = fs::read_link("/proc/thread-self")
        .map_err(|error| explained("/proc/thread-self", &error))?;
    let id = link.file_name().and_then(|name| name.to_str()?.parse().ok());
    id.ok_or_else(|| unexpected("thread-self", &link.to_string_lossy()))
}

/// The state of a thread of this process, as its letter: `R` runs or could run, `S` sleeps, …
///
/// # Errors
///
/// When the system does not say, or there is no such thread.
pub fn state(thread: u32) -> io::Result<char> {
    let stat = read(&format!("/proc/self/task/{thread}/stat"))?;
    // The name before it is in parentheses, and may have some of its own.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.ok_or_else(|| unexpected("stat", &stat))
}

/// What the threads of this process have done so far, all of them that still live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Time on a CPU in the program's own code, in steps of 10 ms.
    pub user: Duration,
    /// Time on a CPU in the kernel, for the program, in steps of 10 ms.
    pub system: Duration,
    /// Time on a CPU. It may lag behind by a millisecond or two: `cpu_time` does not.
    pub on_cpu: Duration,
    /// Time in which they could have run, and others did.
    pub waited: Duration,
    /// Time in which the host gave a CPU of this machine to others, the mean of its CPUs. It is the
    /// same for all threads, and nothing on a machine that is not virtual.
    pub stolen: Duration,
    /// How often one gave its CPU away, since it had to wait for something.
    pub voluntary_switches: u64,
    /// How often the CPU was taken from one.
    pub involuntary_switches: u64,
}

/// Who was kept from a CPU for a larger part of the time was disturbed.
const KEPT_MAX: f64 = 0.1;

/// A tick of /proc: 10 ms on every system that Linux's user space knows (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

fn ticks(number: u64) -> Duration {
    TICK * u32::try_from(number).unwrap_or(u32::MAX)
}

impl Activity {
    /// Of all threads of this process that live now. Not to be used where others start or end
    /// meanwhile, as in a test's process: an ended thread takes its counts along.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn of_process() -> io::Result<Activity> {
        let mut sum = Activity::default();
        for thread in entries("/proc/self/task")? {
            let Some(thread) = thread?.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue; // the kernel names no other entries
            };
            let Ok(one) = Activity::of(thread) else {
                continue; // it has ended meanwhile
            };
            sum = sum.and(one);
        }
        Ok(sum)
    }

    /// Of the calling thread, up to now.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn of_this_thread() -> io::Result<Activity> {
        Activity::of(this_thread()?)
    }

    /// Of one thread of this process, up to now.
    ///
    /// # Errors
    ///
    /// When the system does not say, or there is no such thread.
    pub fn of(thread: u32) -> io::Result<Activity> {
        let folder = format!("/proc/self/task/{thread}");
        let (stat, schedule) =
            (read(&format!("{folder}/stat"))?, read(&format!("{folder}/schedstat"))?);
        let status = read(&format!("{folder}/status"))?;
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        // The state is field 3, utime and stime are 14 and 15.
        let field =
            |field: usize| number(after_name.split_whitespace().nth(field - 3), "stat", &stat);
        let time = |at: usize| number(schedule.split_whitespace().nth(at), "schedstat", &schedule);
        Ok(Activity {
            user: ticks(field(14)?),
            system: ticks(field(15)?),
            on_cpu: Duration::from_nanos(time(0)?),
            waited: Duration::from_nanos(time(1)?),
            stolen: stolen()?,
            voluntary_switches: count(&status, "voluntary_ctxt_switches:")?,
            involuntary_switches: count(&status, "nonvoluntary_ctxt_switches:")?,
        })
    }

    fn and(self, other: Activity) -> Activity {
        Activity {
            user: self.user + other.user,
            system: self.system + other.system,
            on_cpu: self.on_cpu + other.on_cpu,
            waited: self.waited + other.waited,
            stolen: self.stolen.max(other.stolen),
            voluntary_switches: self.voluntary_switches + other.voluntary_switches,
            involuntary_switches: self.involuntary_switches + other.involuntary_switches,
        }
    }

    /// What was done since an earlier moment, by threads that lived all the time.
    pub fn since(self, earlier: Activity) -> Activity {
        Activity {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            on_cpu: self.on_cpu.saturating_sub(earlier.on_cpu),
            waited: self.waited.saturating_sub(earlier.waited),
            stolen: self.stolen.saturating_sub(earlier.stolen),
            voluntary_switches: self.voluntary_switches.saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(earlier.involuntary_switches),
        }
    }

    /// The part of the time `wall` that a thread had a CPU. Time in which it could have run and
    /// others did is left out: that is the machine's doing, and not the thread's.
    pub fn part_on_cpu(self, wall: Duration) -> f64 {
        let own = wall.saturating_sub(self.waited).max(self.on_cpu);
        if own.is_zero() { 0.0 } else { self.on_cpu.div_duration_f64(own) }
    }

    /// Why nothing can be said about what a thread took on the clock, if it did this in the time
    /// `wall`: it could have run, and others did. (That it did not run is no reason. It may have
    /// waited for something, and that may be what is to be found out.)
    pub fn disturbed(self, wall: Duration) -> Option<String> {
        let kept = (self.waited + self.stolen).min(wall); // it may be read a moment later
        (kept > wall.mul_f64(KEPT_MAX)).then(|| {
            format!("the machine is busy: others had the CPU for {kept:.1?} of {wall:.1?}")
        })
    }
}

/// How long the host has given a CPU of this machine to others since its start: the eighth figure
/// of the lines `cpu0`, `cpu1`, … of /proc/stat, on the average.
fn stolen() -> io::Result<Duration> {
    let stat = read("/proc/stat")?;
    let is_one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let of_each: Vec<u64> = stat
        .lines()
        .filter(is_one)
        .map(|line| number(line.split_whitespace().nth(8), "stat", line))
        .collect::<io::Result<_>>()?;
    let cpus = u32::try_from(of_each.len().max(1)).unwrap_or(u32::MAX);
    Ok(ticks(of_each.iter().sum()) / cpus)
}

/// The text of a file in /proc.
///
/// # Errors
///
/// When there is none, or it may not be read: with its path.
pub fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| explained(path, &error))
}

fn explained(path: &str, error: &io::Error) -> io::Error {
    /// Files that a kernel may be built without.
    const OPTIONAL: [&str; 2] = ["/schedstat", "/smaps_rollup"];

    let is_missing = error.kind() == io::ErrorKind::NotFound;
    if !cfg!(target_os = "linux") {
        let reason = format!("it is read from {path}, which Linux has");
        return io::Error::new(io::ErrorKind::Unsupported, reason);
    }
    if is_missing && OPTIONAL.iter().any(|name| path.ends_with(name)) {
        return io::Error::new(io::ErrorKind::Unsupported, format!("this kernel has no {path}"));
    }
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn entries(path: &str) -> io::Result<fs::ReadDir> {
    fs::read_dir(path).map_err(|error| explained(path, &error))
}

/// The number after a name, in bytes; /proc gives it in KiB.
fn bytes(text: &str, name: &str) -> io::Result<u64> {
    let value = value(text, name)?;
    Ok(number(value.strip_suffix(" kB"), name, value)? * 1024)
}

fn count(text: &str, name: &str) -> io::Result<u64> {
    let value = value(text, name)?;
    number(Some(value), name, value)
}

fn value<'a>(text: &'a str, name: &str) -> io::Result<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map(str::trim).ok_or_else(|| unexpected(name, "nothing"))
}

fn number(word: Option<&str>, name: &str, text: &str) -> io::Result<u64> {
    word.and_then(|word| word.trim().parse().ok()).ok_or_else(|| unexpected(name, text))
}

fn unexpected(name: &str, text: &str) -> io::Error {
    io::Error::other(format!("{name} says {text:?}"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::hint::black_box;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn memory_grows_by_what_is_touched() {
        const BYTES: usize = 32 << 20;

        let before = Memory::now().expect("Linux says it");
        let touched = black_box(vec![1_u8; BYTES]);
        let after = Memory::now().expect("Linux says it");
        drop(touched);
        let grown = after.resident.saturating_sub(before.resident);
        assert!(grown > BYTES as u64 / 2, "{before:?} {after:?}");
        assert!(after.reserved >= after.resident, "{after:?}");
        assert!(of_the_machine("KernelStack").is_ok_and(|bytes| bytes > 0));
        assert!(of_the_machine("Nothing").is_err());
    }

    #[test]
    fn a_thread_that_waits_is_counted_and_sleeps() {
        let (release, released) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let waiting = thread::spawn(move || {
            tell.send(this_thread().expect("Linux says it")).expect("it is heard");
            let _ = released.recv(); // an error: the sender was dropped
        });
        let id = told.recv().expect("it tells");
        while state(id).expect("it lives") != 'S' {
            thread::yield_now();
        }
        // Those of other tests may end meanwhile; this one and the one that waits live.
        assert!(threads().expect("Linux says it") >= 2);
        drop(release);
        waiting.join().expect("it only waits");
        assert!(descriptors().is_ok_and(|open| open > 3));
    }

    /// Of the test's own thread: others of the process end meanwhile, and take their counts along.
    #[test]
    fn what_computes_has_been_on_a_cpu_and_what_waits_has_switched() {
        let now = || Activity::of_this_thread().expect("Linux says it");
        let before = now();
        while now().since(before).on_cpu < Duration::from_millis(5) {
            black_box(fib_timing::fib(black_box(20)));
        }
        thread::sleep(Duration::from_millis(1)); // sleeps because a sleep is what is counted
        let done = now().since(before);
        assert!(done.voluntary_switches >= 1, "{done:?}");
        assert!(Activity::of_process().is_ok_and(|all| all.voluntary_switches > 0));
    }

    #[test]
    fn who_could_have_run_was_disturbed_and_who_slept_was_not() {
        const WALL: Duration = Duration::from_secs(1);

        let slept = Activity { on_cpu: WALL / 4, ..Activity::default() };
        assert_eq!((slept.disturbed(WALL), slept.part_on_cpu(WALL)), (None, 0.25));
        let waited = Activity { waited: WALL / 2, ..slept };
        assert!(waited.disturbed(WALL).is_some_and(|reason| reason.contains("busy")));
        assert_eq!(waited.part_on_cpu(WALL), 0.5);
        assert!(Activity { stolen: WALL / 2, ..slept }.disturbed(WALL).is_some());
        assert_eq!(Activity::default().part_on_cpu(Duration::ZERO), 0.0);
    }
}

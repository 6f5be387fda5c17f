//! What 10,000 threads take: addresses, memory, stacks inside of the kernel, page tables.
//!
//! Each has a stack of 8 MiB and waits. 10,000 times 8 MiB is 80 GB, says a text. Predict how much
//! of it is memory; then how much more it is when each thread has used 64 KiB of its stack.
//!
//! `cargo run -p ch02-threads --example thread_memory`

#![forbid(unsafe_code)]

use std::fmt;
use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::{self, Memory, of_the_machine, threads};

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "thread_memory").with_threads(0);

const THREADS: usize = 10_000;
const STACK: usize = 8 << 20;
/// A system that can carry so many has started them by then.
const QUICK: Duration = Duration::from_secs(10);
/// How much of its stack a thread uses in the second run, in bytes.
const USED: usize = 64 << 10;

/// Threads that wait, all on one condition variable. They end when this is dropped.
struct Crowd {
    shared: Arc<(Mutex<Counts>, Condvar)>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    waiting: usize,
    is_over: bool,
}

/// Two stacks, of which one is for signals, each with a page before it that must not be touched.
const MAPPINGS_A_THREAD: usize = 4;

/// A limit forbids so many threads: with this error, the experiment is not judged.
fn forbidden(limit: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("a limit of this system: {limit}"))
}

impl Crowd {
    fn start(number: usize, used: usize) -> io::Result<Crowd> {
        let most = proc::read("/proc/sys/vm/max_map_count")?;
        // With too few, a thread would end the process: it cannot say that it has no second stack.
        if most.trim().parse().is_ok_and(|most| number * MAPPINGS_A_THREAD > most) {
            return Err(forbidden(format_args!("vm.max_map_count is {}", most.trim())));
        }
        let mut crowd = Crowd { shared: Arc::default(), threads: Vec::new() };
        for _ in 0..number {
            let shared = Arc::clone(&crowd.shared);
            let live = move || {
                if used > 0 {
                    let mut top = 0_u8;
                    use_stack((&raw mut top).addr(), used);
                }
                wait(&shared);
            };
            // An error drops the crowd, which ends those that it has.
            let thread = thread::Builder::new().stack_size(STACK).spawn(live);
            crowd.threads.push(thread.map_err(forbidden)?);
        }
        let (counts, changed) = &*crowd.shared;
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(counts, |counts| counts.waiting < number));
        Ok(crowd)
    }
}

// ANCHOR: use_stack
/// Writes into the stack, call by call, until it is `bytes` below the address `top`.
#[inline(never)]
fn use_stack(top: usize, bytes: usize) {
    let mut some = [1_u8; 1024];
    let here = black_box(&mut some).as_ptr().addr();
    if top - here < bytes {
        use_stack(top, bytes);
    }
    black_box(&mut some); // so that this frame stays until the call has returned
}
// ANCHOR_END: use_stack

fn wait((counts, changed): &(Mutex<Counts>, Condvar)) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.waiting += 1;
    changed.notify_all();
    drop(changed.wait_while(counts, |counts| !counts.is_over));
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.shared.1.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().expect("it only waits");
        }
    }
}

/// What a crowd adds, in bytes.
struct Grown {
    reserved: u64,
    resident: u64,
    page_tables: u64,
    kernel_stacks: u64,
    took: Duration,
    /// How many threads the process has then.
    alive: usize,
}

fn grow(number: usize, used: usize) -> io::Result<Grown> {
    let (before, stacks) = (Memory::now()?, of_the_machine("KernelStack")?);
    let start = Instant::now();
    let crowd = Crowd::start(number, used)?;
    let took = start.elapsed();
    let alive = threads()?;
    let (after, stacks_after) = (Memory::now()?, of_the_machine("KernelStack")?);
    drop(crowd);
    if after.huge > before.huge {
        return Err(forbidden("the kernel has used pages of 2 MiB"));
    }
    Ok(Grown {
        reserved: after.reserved.saturating_sub(before.reserved),
        resident: after.resident.saturating_sub(before.resident),
        page_tables: after.page_tables.saturating_sub(before.page_tables),
        kernel_stacks: stacks_after.saturating_sub(stacks),
        took,
        alive,
    })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("80 GB of addresses; of memory less than 1 % of it, and 64 KiB each more")?;
    let (idle, using) = (grow(THREADS, 0)?, grow(THREADS, USED)?);
    report.say(format_args!("{THREADS} threads with 8 MiB each, in MiB:\n"))?;
    let used = format!("{} KiB", USED >> 10);
    report.say(format_args!("{:25}{:>10}{used:>10}", "", "idle"))?;
    let mut row = |name: &str, of: fn(&Grown) -> u64| {
        report.say(format_args!("{name:25}{:>10.0}{:>10.0}", mib(of(&idle)), mib(of(&using))))
    };
    row("addresses", |grown| grown.reserved)?;
    row("memory of the process", |grown| grown.resident)?;
    row("stacks inside the kernel", |grown| grown.kernel_stacks)?;
    row("page tables", |grown| grown.page_tables)?;
    report.say("")?;

    let of_addresses = idle.resident as f64 / idle.reserved as f64;
    let seen = || format!("{:.1} % is memory", of_addresses * 100.0);
    let judged = Judgement::of(of_addresses < 0.01, seen);
    report.claim("C01", of_addresses * 100.0, "% of the addresses are memory", judged)?;
    let more = using.resident.saturating_sub(idle.resident) / THREADS as u64;
    let seen = || format!("{more} bytes more for {USED} used");
    let judged = Judgement::of(more.abs_diff(USED as u64) < USED as u64 / 4, seen);
    let unit = format!("KiB more a thread, for {} used", USED >> 10);
    report.claim("C02", more as f64 / 1024.0, &unit, judged)?;
    let in_kernel = (idle.kernel_stacks + idle.page_tables) / THREADS as u64;
    let seen = || format!("{in_kernel} bytes");
    let judged = Judgement::of(in_kernel > 8 * 1024, seen);
    report.claim("C03", in_kernel as f64 / 1024.0, "KiB a thread in the kernel", judged)?;
    let is_so = idle.alive > THREADS && idle.took < QUICK;
    let judged = Judgement::of(is_so, || format!("{} threads in {:?}", idle.alive, idle.took));
    report.claim("C12", idle.took.as_secs_f64(), "s to start them all", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Few, so that the test is quick; the rest of the test's process is small beside them.
    const FEW: usize = 400;

    // One test: a second one at the same time would change the process that is measured.
    #[test]
    fn a_stack_is_addresses_until_it_is_used() {
        let (idle, using) = match grow(FEW, 0).and_then(|idle| Ok((idle, grow(FEW, USED)?))) {
            Ok(both) => both,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return Judgement::NotJudged(error.to_string()).assert();
            }
            Err(error) => panic!("{error}"),
        };
        assert!(idle.reserved >= (FEW * STACK) as u64, "{}", idle.reserved);
        assert!(idle.resident < idle.reserved / 100, "{} of {}", idle.resident, idle.reserved);
        let more = using.resident.saturating_sub(idle.resident) / FEW as u64;
        assert!(more.abs_diff(USED as u64) < USED as u64 / 4, "{more} for {USED}");
    }
}

//! What texts say of threads, one check each.
//!
//! A thread is a sequence of instructions with its context; a blocked thread blocks its process;
//! threads share memory and descriptors; the system's scheduler says when each runs; the memory of
//! a process is inaccessible to others. Predict which of these hold as they stand.
//!
//! `cargo run -p ch02-threads --example thread_facts`

#![forbid(unsafe_code)]

use std::env;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write, pipe};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Judgement, Report};
use lab::proc::Activity;
use lab::{cores, cpu_time};

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "thread_facts");

/// This process has one, and its child another one.
static NUMBER: AtomicU64 = AtomicU64::new(1);

fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().expect("it does not panic"))
}

/// The same function, called by two threads: are its local variables the same?
#[inline(never)]
fn address_of_a_local() -> usize {
    let local = black_box(0_u8);
    (&raw const local).addr()
}

fn each_has_its_own_locals() -> bool {
    address_of_a_local() != in_a_thread(address_of_a_local)
}

fn memory_is_shared() -> bool {
    let number = AtomicU64::new(1);
    in_a_thread(|| number.fetch_add(1, Ordering::Relaxed));
    number.into_inner() == 2
}

/// A thread opens a file, and ends. Is the descriptor open for this one?
fn descriptors_are_shared() -> io::Result<bool> {
    let mut program = in_a_thread(|| File::open(env::current_exe()?))?;
    Ok(program.read(&mut [0])? == 1)
}

// ANCHOR: blocked
/// This thread is blocked until another one writes, and that one counts before.
fn another_thread_goes_on() -> io::Result<bool> {
    let (mut reading, mut writing) = pipe()?;
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let counted = (0..1_000_000_u32).filter(|n| black_box(*n) < 1_000_000).count();
            writing.write_all(&[1]).map(|()| counted)
        });
        reading.read_exact(&mut [0])?; // blocked
        Ok(other.join().expect("it does not panic")? == 1_000_000)
    })
}
// ANCHOR_END: blocked

/// How often the core is taken from a thread that never offers it, until a second one on the same
/// core has had its share. `None` if that never happens.
fn taken_from_who_computes() -> io::Result<Option<u64>> {
    const SHARE: Duration = Duration::from_millis(10);
    const NEVER: Duration = Duration::from_secs(10);

    let (is_over, rival_has_had) = (AtomicBool::new(false), AtomicBool::new(false));
    let rival = || {
        while !is_over.load(Ordering::Relaxed) {
            let has_had = cpu_time::of_thread().is_ok_and(|had| had >= SHARE);
            rival_has_had.fetch_or(has_had, Ordering::Relaxed);
        }
    };
    let compute = || {
        let start = Instant::now();
        while !rival_has_had.load(Ordering::Relaxed) && start.elapsed() < NEVER {
            black_box((0..10_000).fold(0_u64, |sum, n| black_box(sum + n)));
        }
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| -> io::Result<Option<u64>> {
            cores::stay_on(cores::first_and_last()?[0])?; // and so does the thread that it starts
            let before = Activity::of_this_thread()?;
            scope.spawn(rival);
            compute();
            is_over.store(true, Ordering::Relaxed);
            let taken = Activity::of_this_thread()?.since(before).involuntary_switches;
            Ok(rival_has_had.load(Ordering::Relaxed).then_some(taken))
        });
        first.join().expect("it does not panic")
    })
}

/// Set for the child process.
const CHILD: &str = "THREAD_FACTS_CHILD";
const SAID: &str = "= ";

/// Sets *its* number, tells where that is, and waits until its input ends.
fn child() {
    NUMBER.store(42, Ordering::Relaxed);
    println!("\n{SAID}{}", (&raw const NUMBER).addr());
    let _ = io::stdin().read(&mut [0]); // an error ends it as well
}

/// (our number, the child's number as this process reads it, or why it may not)
fn across_processes(arguments: &[&str]) -> io::Result<(u64, io::Result<u64>)> {
    NUMBER.store(1, Ordering::Relaxed);
    let mut child = Command::new(env::current_exe()?)
        .args(arguments)
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(child.stdout.take().expect("it was asked for as a pipe"));
    let (mut line, mut address) = (String::new(), None);
    while address.is_none() && output.read_line(&mut line)? > 0 {
        address = line.strip_prefix(SAID).and_then(|address| address.trim().parse().ok());
        line.clear();
    }
    // ANCHOR: memory
    let theirs = File::open(format!("/proc/{}/mem", child.id())).and_then(|mut memory| {
        let mut bytes = [0; 8];
        memory.seek(SeekFrom::Start(address.ok_or(io::ErrorKind::UnexpectedEof)?))?;
        memory.read_exact(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    });
    // ANCHOR_END: memory
    let ours = NUMBER.load(Ordering::Relaxed);
    drop(child.stdin.take());
    io::copy(&mut output, &mut io::sink())?;
    child.wait()?;
    Ok((ours, theirs))
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("two do not hold: of the blocked thread, and of the memory of others")?;
    report.say(format_args!("local variables of its own:  {}", each_has_its_own_locals()))?;
    report.say(format_args!("sees the same memory:        {}", memory_is_shared()))?;
    report.say(format_args!("sees the same descriptors:   {}", descriptors_are_shared()?))?;
    report.say(format_args!("goes on while main blocks:   {}", another_thread_goes_on()?))?;
    let taken = taken_from_who_computes()?.map_or("never".to_owned(), |times| times.to_string());
    report.say(format_args!("two on one core, taken away: {taken} times"))?;
    let (ours, theirs) = across_processes(&[])?;
    report.say(format_args!("number in this process:      {ours}"))?;
    let (number, judged) = match theirs {
        Ok(number) => {
            report.say(format_args!("in a child, read from here:  {number}\n"))?;
            let seen = || format!("{number} read, {ours} here");
            (number, Judgement::of(number == 42 && ours == 1, seen))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            report.say("in a child, read from here:  refused\n")?;
            (0, Judgement::NotJudged(format!("the system refuses it: {error}")))
        }
        Err(error) => return Err(error),
    };
    report.claim("C18", number as f64, "is the number that we read in a child", judged)
}

fn main() -> ExitCode {
    if env::var_os(CHILD).is_some() {
        child();
        return ExitCode::SUCCESS;
    }
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const ALONE: &[&str] = &["--exact", "tests::a_process_has_its_own_memory", "--nocapture"];

    #[test]
    fn a_process_has_its_own_memory() {
        if env::var_os(CHILD).is_some() {
            return child();
        }
        let (ours, theirs) = across_processes(ALONE).expect("the system starts a process");
        assert_eq!(ours, 1, "the child's number is another one");
        match theirs {
            Ok(number) => assert_eq!(number, 42, "and can be read where the system allows it"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                println!("not judged: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn threads_share_all_but_their_stacks() {
        assert!(each_has_its_own_locals());
        assert!(memory_is_shared());
        assert!(descriptors_are_shared().expect("Linux has a /proc"));
        assert!(another_thread_goes_on().expect("a pipe and a thread are free"));
    }

    #[test]
    fn the_kernel_takes_the_core_from_a_thread_that_computes() {
        let taken = taken_from_who_computes().expect("Linux has a /proc");
        assert!(taken.is_some_and(|times| times > 0), "{taken:?}");
    }
}

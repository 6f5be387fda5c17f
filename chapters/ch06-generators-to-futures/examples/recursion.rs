//! Async calls inside async calls: where the stack is, and how deep it goes.
//!
//! An async fn that calls itself must box that call: a value cannot contain itself. So its locals
//! lie on the heap, one box each. Each of four things is done on a thread with a small stack, in a
//! process of its own: 100 calls, one inside the other; 100,000 of them; 100,000 awaits one after
//! the other; 100,000 boxed futures, one inside the other, that are made, never polled, and
//! dropped. Predict which of the four processes die.
//!
//! `cargo run -p ch06-generators-to-futures --example recursion`

#![forbid(unsafe_code)]

use std::env;
use std::future::ready;
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::process::{Command, ExitCode, ExitStatus};
use std::task::{Context, Poll, Waker};
use std::thread;

/// Bytes of stack of the thread that does it. A main thread usually has 8 MiB.
const STACK: usize = 256 * 1024;
const SHALLOW: u32 = 100;
const DEEP: u32 = 100_000;

// ANCHOR: recursive
/// Counts to n by calling itself. Without `Box::pin` it does not compile (E0733).
async fn nested_calls(n: u32) -> u32 {
    if n == 0 { 0 } else { 1 + Box::pin(nested_calls(n - 1)).await }
}

/// Counts to n in a loop.
async fn in_a_loop(n: u32) -> u32 {
    let mut sum = 0;
    for _ in 0..n {
        sum += ready(1).await;
    }
    sum
}

/// As `nested_calls`, but all n futures are there before the first poll.
fn nested_futures(n: u32) -> Pin<Box<dyn Future<Output = u32>>> {
    let mut future: Pin<Box<dyn Future<Output = u32>>> = Box::pin(ready(0));
    for _ in 0..n {
        let inner = future;
        future = Box::pin(async move { 1 + inner.await });
    }
    future
}
// ANCHOR_END: recursive

// ANCHOR: deeds
/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    CallShallow,
    CallDeep,
    Loop,
    DropDeep,
}

const DEEDS: [(Deed, &str, &str); 4] = [
    (Deed::CallShallow, "call-shallow", "100 async calls, one inside the other"),
    (Deed::CallDeep, "call-deep", "100,000 async calls, one inside the other"),
    (Deed::Loop, "loop", "100,000 awaits, one after the other"),
    (Deed::DropDeep, "drop-deep", "100,000 futures, one inside the other, dropped"),
];

fn do_it(deed: Deed) {
    match deed {
        Deed::CallShallow => assert_eq!(poll_once(nested_calls(SHALLOW)), Poll::Ready(SHALLOW)),
        Deed::CallDeep => assert_eq!(poll_once(nested_calls(DEEP)), Poll::Ready(DEEP)),
        Deed::Loop => assert_eq!(poll_once(in_a_loop(DEEP)), Poll::Ready(DEEP)),
        Deed::DropDeep => drop(nested_futures(DEEP)),
    }
}

/// Nothing here waits: the first poll goes all the way.
fn poll_once(future: impl Future<Output = u32>) -> Poll<u32> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
// ANCHOR_END: deeds

/// Not for a reader: the option by which this program tells itself to be a child.
const CHILD: &str = "--child";

// ANCHOR: child
/// What a child process does, if the word names a deed: it does that, on a small stack.
fn child(word: &str) -> Option<ExitCode> {
    let (deed, ..) = *DEEDS.iter().find(|(_, its_word, _)| *its_word == word)?;
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || do_it(deed));
    let done = thread.expect("a process may have two threads").join();
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// This program once more, without what it is to do there.
fn this_program() -> io::Result<Command> {
    // A process that dies by a signal may leave a core file behind: it is told not to.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c 0; exec \"$@\"", "sh"]).arg(env::current_exe()?);
    Ok(shell)
}
// ANCHOR_END: child

/// What became of each process. What they say on their way there is not shown.
fn measure(tell: impl Fn(&mut Command, &str)) -> io::Result<Vec<(&'static str, ExitStatus)>> {
    let fates = DEEDS.iter().map(|(_, word, description)| {
        let mut child = this_program()?;
        tell(&mut child, word);
        Ok((*description, child.output()?.status))
    });
    fates.collect()
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "each on a stack of {} KiB, in a process of its own:", STACK / 1024)?;
    let fates = measure(|child, word| {
        child.args([CHILD, word]);
    })?;
    fates.iter().try_for_each(|(what, fate)| writeln!(out, "    {what:<50}{fate}"))
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if let [flag, word] = &arguments[..]
        && flag == CHILD
        && let Some(done) = word.to_str().and_then(child)
    {
        return done;
    }
    command_line::experiment("recursion", print)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// The environment variable in which a test process is told its deed.
    const DEED: &str = "CH06_RECURSION_DEED";

    #[test]
    fn what_nests_deep_overflows_the_stack_of_its_thread_and_a_loop_does_not() {
        let fates = measure(|child, word| {
            child.args(["--exact", "tests::a_process_of_its_own", "--ignored"]).env(DEED, word);
        });
        let fates = fates.expect("a shell, and this test once more, can be started");
        let signals: Vec<_> = fates.iter().map(|(_, fate)| fate.signal()).collect();
        let [None, Some(called), None, Some(dropped)] = signals[..] else { panic!("{fates:?}") };
        for signal in [called, dropped] {
            // Rust's own handler aborts (6). Without it, it is the fault itself (7, 10, 11).
            assert!([6, 7, 10, 11].contains(&signal), "{fates:?}");
        }
        assert!(fates[0].1.success() && fates[2].1.success(), "{fates:?}");
    }

    #[test]
    #[ignore = "started by the test above, which tells it what to do"]
    fn a_process_of_its_own() {
        let Some(word) = env::var_os(DEED) else { return };
        let word = word.to_str().expect("our words are ASCII");
        assert_eq!(child(word), Some(ExitCode::SUCCESS));
    }
}

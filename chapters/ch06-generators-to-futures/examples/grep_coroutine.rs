//! A consumer that is pushed: it stops to be given a line, and is resumed with one.
//!
//! A generator gives; this coroutine takes. It is resumed with each line, and says whether it found
//! its pattern there. Three are used: one is resumed at once, without having been started
//! ("primed"); one is dropped in the middle; one gets the end of the input and returns. Each has a
//! clean-up. Predict: what becomes of the first line in the first one? How often does each clean-up
//! run, and when?
//!
//! `cargo run -p ch06-generators-to-futures --example grep_coroutine`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, Write};
use std::mem;
use std::process::ExitCode;

use ch06_generators_to_futures::state_machine::{Coroutine, Step};

/// What happened, in its order.
type Trace = RefCell<Vec<String>>;

fn note(trace: &Trace, what: impl Into<String>) {
    trace.borrow_mut().push(what.into());
}

// ANCHOR: grep
/// Looks for a pattern in what it is given, and returns how many lines had it.
///
/// ```text
/// let _clean_up = CleanUp;
/// let mut found = 0;
/// let mut has_it = false;
/// while let Some(line) = yield has_it {
///     has_it = line.contains(pattern);
///     found += u32::from(has_it);
/// }
/// found
/// ```
enum Grep<'a> {
    Start { pattern: &'a str, trace: &'a Trace },
    AtTheYield { pattern: &'a str, found: u32, _clean_up: CleanUp<'a> },
    End,
}
// ANCHOR_END: grep

// ANCHOR: resume
impl Coroutine<Option<&str>> for Grep<'_> {
    type Yield = bool;
    type Return = u32;

    fn resume(&mut self, line: Option<&str>) -> Step<bool, u32> {
        match mem::replace(self, Grep::End) {
            Grep::Start { pattern, trace } => {
                // It stands at no `yield` yet, whose value the line could be.
                let _clean_up = CleanUp::new(trace);
                *self = Grep::AtTheYield { pattern, found: 0, _clean_up };
                Step::Yielded(false)
            }
            Grep::AtTheYield { pattern, mut found, _clean_up } => {
                let Some(line) = line else { return Step::Returned(found) };
                let has_it = line.contains(pattern);
                found += u32::from(has_it);
                *self = Grep::AtTheYield { pattern, found, _clean_up };
                Step::Yielded(has_it)
            }
            Grep::End => panic!("a coroutine was resumed after its end"),
        }
    }
}
// ANCHOR_END: resume

// ANCHOR: primed
/// A coroutine that stands at its first `yield`: the next line it is given is not lost.
fn primed<'a>(pattern: &'a str, trace: &'a Trace) -> Grep<'a> {
    let mut grep = Grep::Start { pattern, trace };
    grep.resume(None);
    grep
}
// ANCHOR_END: primed

// ANCHOR: clean_up
/// A local variable of the coroutine. Dropping the coroutine drops it too, wherever it stands: what
/// Python's `close` does by raising GeneratorExit at the `yield`.
struct CleanUp<'a> {
    trace: &'a Trace,
}

impl CleanUp<'_> {
    fn new(trace: &Trace) -> CleanUp<'_> {
        note(trace, "    grep starts");
        CleanUp { trace }
    }
}

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        note(self.trace, "    grep cleans up");
    }
}
// ANCHOR_END: clean_up

// ANCHOR: uses
type Use = fn(&Trace);

const LINES: [&str; 3] = ["an async fn", "a thread", "async again"];

/// Resumes it with a line, and writes down what it says.
fn give(grep: &mut Grep<'_>, line: Option<&str>, trace: &Trace) {
    let step = grep.resume(line);
    note(trace, format!("resumed with {line:?}: {step:?}"));
}

fn never_started(trace: &Trace) {
    let grep = Grep::Start { pattern: "async", trace };
    drop(grep);
    note(trace, "dropped");
}

fn not_primed(trace: &Trace) {
    let mut grep = Grep::Start { pattern: "async", trace };
    give(&mut grep, Some(LINES[0]), trace);
    give(&mut grep, Some(LINES[2]), trace);
    give(&mut grep, None, trace);
}

fn dropped_in_the_middle(trace: &Trace) {
    let mut grep = primed("async", trace);
    give(&mut grep, Some(LINES[0]), trace);
    give(&mut grep, Some(LINES[1]), trace);
    drop(grep);
    note(trace, "dropped");
}

fn to_its_end(trace: &Trace) {
    let mut grep = primed("async", trace);
    LINES.iter().for_each(|line| give(&mut grep, Some(line), trace));
    give(&mut grep, None, trace);
    drop(grep);
    note(trace, "dropped");
}
// ANCHOR_END: uses

/// One use of a grep, and what happened in it.
fn measure(use_it: Use) -> Vec<String> {
    let trace = Trace::default();
    use_it(&trace);
    trace.into_inner()
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    let uses: [(&str, Use); 4] = [
        ("not primed:", not_primed),
        ("primed, and dropped in the middle:", dropped_in_the_middle),
        ("primed, and taken to its end:", to_its_end),
        ("never started, and dropped:", never_started),
    ];
    for (title, use_it) in uses {
        writeln!(out, "{title}")?;
        measure(use_it).iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("grep_coroutine", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_priming_the_first_line_is_lost() {
        let expected = [
            "    grep starts",
            "resumed with Some(\"an async fn\"): Yielded(false)",
            "resumed with Some(\"async again\"): Yielded(true)",
            "    grep cleans up",
            "resumed with None: Returned(1)",
        ];
        assert_eq!(measure(not_primed), expected);
    }

    #[test]
    fn dropped_in_the_middle_it_cleans_up_once_and_at_the_drop() {
        let expected = [
            "    grep starts",
            "resumed with Some(\"an async fn\"): Yielded(true)",
            "resumed with Some(\"a thread\"): Yielded(false)",
            "    grep cleans up",
            "dropped",
        ];
        assert_eq!(measure(dropped_in_the_middle), expected);
    }

    #[test]
    fn at_its_end_it_cleans_up_once_and_the_drop_adds_nothing() {
        let expected = [
            "    grep starts",
            "resumed with Some(\"an async fn\"): Yielded(true)",
            "resumed with Some(\"a thread\"): Yielded(false)",
            "resumed with Some(\"async again\"): Yielded(true)",
            "    grep cleans up",
            "resumed with None: Returned(2)",
            "dropped",
        ];
        assert_eq!(measure(to_its_end), expected);
    }

    #[test]
    fn what_was_never_started_has_nothing_to_clean_up() {
        assert_eq!(measure(never_started), ["dropped"]);
    }
}

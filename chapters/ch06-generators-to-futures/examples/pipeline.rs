//! A pipeline of generators: the end of it pulls, and nothing is done before it is asked for.
//!
//! A program writes a log, piece by piece. `follow` yields each line of that file while it grows.
//! `grep` lets through the lines that have a pattern. We ask for one line, then for a second, and
//! then for no more, although the log has five pieces and a third match. Predict: when we have the
//! second match, how many pieces have been written, and how many lines has `follow` yielded?
//!
//! `cargo run -p ch06-generators-to-futures --example pipeline`

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::mem;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};

/// What happened, in its order.
type Trace = RefCell<Vec<String>>;

fn note(trace: &Trace, what: String) {
    trace.borrow_mut().push(what);
}

// ANCHOR: logsim
/// What the program writes, one write each. A write need not end where a line ends.
const PIECES: [&str; 5] =
    ["GET /\nGET /as", "ync\n", "GET /threads\nPOST /async\nGET /\n", "GET /\n", "GET /async\n"];

/// A program that writes a log.
struct LogSim<'a> {
    log: File,
    pieces: &'a [&'a str],
    trace: &'a Trace,
}

impl LogSim<'_> {
    /// Writes one more piece. False when there is nothing more to write.
    fn append(&mut self) -> io::Result<bool> {
        let Some((piece, rest)) = self.pieces.split_first() else { return Ok(false) };
        self.pieces = rest;
        note(self.trace, format!("logsim writes {piece:?}"));
        self.log.write_all(piece.as_bytes())?;
        Ok(true)
    }
}
// ANCHOR_END: logsim

// ANCHOR: follow
/// Yields each line of a file that grows.
///
/// At the end of what is there it calls `wait`, and tries again, unless that says that the file
/// does not grow any more. (On a real log `wait` sleeps, and the whole pipeline with it: whoever
/// pulls is blocked. Here it lets the log grow.) A last line without its newline is not yielded.
fn follow(
    mut log: impl BufRead,
    mut wait: impl FnMut() -> io::Result<bool>,
    trace: &Trace,
) -> impl Iterator<Item = io::Result<String>> {
    let mut line = String::new(); // across calls: half a line waits here for its other half
    let mut next = move || {
        while !line.ends_with('\n') {
            if log.read_line(&mut line)? == 0 && !wait()? {
                return Ok(None);
            }
        }
        line.pop();
        note(trace, format!("    follow yields {line:?}"));
        Ok(Some(mem::take(&mut line)))
    };
    std::iter::from_fn(move || next().transpose())
}
// ANCHOR_END: follow

// ANCHOR: grep
/// Lets through the lines that contain the pattern, and errors.
fn grep(
    pattern: &str,
    lines: impl Iterator<Item = io::Result<String>>,
) -> impl Iterator<Item = io::Result<String>> {
    lines.filter(move |line| line.as_ref().map_or(true, |line| line.contains(pattern)))
}
// ANCHOR_END: grep

/// An empty file, to write and to read. It has no name any more, so that nothing is left behind,
/// whatever becomes of us.
fn temporary_file() -> io::Result<(File, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0); // the tests run side by side, in one process
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("ch06-pipeline-{}-{count}.log", process::id()));
    let writer = File::create_new(&path)?;
    let reader = File::open(&path);
    fs::remove_file(&path)?;
    Ok((writer, reader?))
}

// ANCHOR: measure
/// Builds the pipeline, and asks it for `wanted` lines.
fn measure(wanted: usize) -> io::Result<Vec<String>> {
    let trace = Trace::default();
    let (writer, reader) = temporary_file()?;
    let mut logsim = LogSim { log: writer, pieces: &PIECES, trace: &trace };

    let lines = follow(BufReader::new(reader), || logsim.append(), &trace);
    for line in grep("async", lines).take(wanted) {
        let line = line?;
        note(&trace, format!("        we got {line:?}"));
    }
    Ok(trace.take())
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    measure(2)?.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn main() -> ExitCode {
    command_line::experiment("pipeline", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(wanted: usize) -> Vec<String> {
        measure(wanted).expect("the temporary folder can be written")
    }

    /// The pieces written, the lines that `follow` has yielded, the lines that came through.
    fn counts(wanted: usize) -> (usize, usize, usize) {
        let trace = trace(wanted);
        let count = |prefix| trace.iter().filter(|line| line.trim().starts_with(prefix)).count();
        (count("logsim"), count("follow"), count("we got"))
    }

    #[test]
    fn what_is_not_asked_for_is_not_done() {
        let expected = [
            "logsim writes \"GET /\\nGET /as\"",
            "    follow yields \"GET /\"",
            "logsim writes \"ync\\n\"",
            "    follow yields \"GET /async\"",
            "        we got \"GET /async\"",
            "logsim writes \"GET /threads\\nPOST /async\\nGET /\\n\"",
            "    follow yields \"GET /threads\"",
            "    follow yields \"POST /async\"",
            "        we got \"POST /async\"",
        ];
        assert_eq!(trace(2), expected);
    }

    #[test]
    fn each_further_line_costs_what_lies_before_it_and_nothing_after() {
        assert_eq!(counts(0), (0, 0, 0));
        assert_eq!(counts(1), (2, 2, 1));
        assert_eq!(counts(2), (3, 4, 2));
        assert_eq!(counts(3), (5, 7, 3));
    }

    #[test]
    fn at_the_end_of_the_log_the_pipeline_ends() {
        assert_eq!(counts(4), (5, 7, 3));
    }

    #[test]
    fn half_a_line_waits_for_its_other_half_and_is_not_yielded_alone() {
        let trace = Trace::default();
        let lines = follow(&b"one\nhalf a li"[..], || Ok(false), &trace);
        let lines: io::Result<Vec<_>> = lines.collect();
        assert_eq!(lines.expect("bytes in memory can be read"), ["one"]);
    }

    #[test]
    fn an_error_comes_through_the_whole_pipeline() {
        let trace = Trace::default();
        let mut waits = [Err(io::Error::other("the disk is gone")), Ok(false)].into_iter();
        let wait = || waits.next().expect("after an error, and at the end");
        let mut lines = grep("async", follow(io::empty(), wait, &trace));
        let error = lines.next().expect("an error is an item").expect_err("and not a line");
        assert_eq!(error.to_string(), "the disk is gone");
    }
}

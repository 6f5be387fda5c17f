//! Transcripts held against the fixture: what should hold does, what should not does not, and says
//! why.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use lab::dialogue::{Mismatch, hold, hold_all, record};

const FIXTURE: &str = env!("CARGO_BIN_EXE_lab-fixture");

/// A transcript in a file of its own, which is removed in the end.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> File {
        static NEXT: AtomicUsize = AtomicUsize::new(0); // tests run side by side
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("dialogue-{}-{number}.txt", std::process::id()));
        fs::write(&path, text).expect("cargo made the folder");
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // the folder is cargo's, and cleaned by it
    }
}

fn held(text: &str) -> Result<(), Mismatch> {
    hold(&File::new(text).0, Path::new(FIXTURE))
}

#[test]
fn a_dialogue_holds() {
    let text = "\
# Every kind of line.
$ cargo run -q -p lab-fixture -- --every 60 --chatty
1700000000 - Hello world!
! started as process 7
< 10
fib(10) = 55 (took 0.123 s)
< abc
error: expected a whole number from 0 to 93, got \"abc\"
<
< 11
fib(11) = 89 (took 0.000 s)
<EOF
= 0
";
    assert_eq!(held(text), Ok(()));
}

#[test]
fn a_signal_ends_it_with_the_status_that_a_shell_shows() {
    assert_eq!(held("$ cargo run -p lab-fixture\n1 - Hello world!\n<signal INT\n= 130\n"), Ok(()));
}

#[test]
fn the_first_and_the_last_part_of_a_pipeline_are_ours() {
    let fed = "$ printf '10\\n' | cargo run -q -p lab-fixture\n1 - Hello world!\n";
    assert_eq!(held(&format!("{fed}fib(10) = 55 (took 0.000 s)\n= 0\n")), Ok(()));
    assert_eq!(
        held("$ cargo run -q -p lab-fixture -- --every 0.01 | head -1\n1 - Hello world!\n= 0\n"),
        Ok(())
    );
}

#[test]
fn two_hellos_in_a_row_are_any_number_and_one_may_be_joined_by_one() {
    const MANY: &str =
        "$ cargo run -p lab-fixture -- --every 0.02\n1 - Hello world!\n2 - Hello world!\n";
    assert_eq!(held(&format!("{MANY}{}< exit\n= 0\n", "3 - Hello world!\n".repeat(5))), Ok(()));
    let asked = "< 10\nfib(10) = 55 (took 0.000 s)\n1 - Hello world!\n2 - Hello world!\n";
    assert_eq!(held(&format!("{MANY}{asked}<signal TERM\n= 143\n")), Ok(()));
    let one = held("$ cargo run -p lab-fixture -- --every 0.02 | head -3\n1 - Hello world!\n= 0\n");
    assert_eq!(one.expect_err("three hellos come").line, 3);
}

/// The line of the file at which it fails, and what is said about it.
#[track_caller]
fn fails(text: &str, line: usize, says: &str) {
    let mismatch = held(text).expect_err(text);
    assert_eq!(mismatch.line, line, "{mismatch}");
    assert!(mismatch.to_string().contains(says), "{mismatch}");
}

#[test]
fn what_differs_is_told_with_its_line() {
    const BEGIN: &str = "$ cargo run -q -p lab-fixture -- --every 60\n1 - Hello world!\n";
    fails(&format!("{BEGIN}< 10\nfib(10) = 56 (took 0.000 s)\n"), 4, "seen:     fib(10) = 55");
    fails(&format!("{BEGIN}< exit\n= 1\n"), 4, "exit status 0");
    fails(&format!("{BEGIN}< exit\nbye\n"), 4, "the end of the output");
    fails(&format!("{BEGIN}< exit\n! late\n"), 4, "on standard error, late");
    fails(&format!("{BEGIN}< 10\n<EOF\n= 0\n"), 5, "seen:     fib(10) = 55");
    fails(&format!("{BEGIN}<wait 3\n"), 3, "<signal NAME");
    fails(
        "$ cargo run -q -p lab-fixture -- --chatty\n1 - Hello world!\n<EOF\n= 0\n",
        4,
        "started as process",
    );
    fails("$ cargo run -q -p other\n", 0, "lab-fixture");
    fails("$ cargo run -p lab-fixture -- --leave-child\n1 - Hello world!\n<EOF\n= 0\n", 0, "sleep");
}

#[test]
fn a_prefix_that_names_no_transcript_holds_nothing() {
    assert!(hold_all("no-chapter-is-called-this", Path::new(FIXTURE)).is_err());
}

#[test]
fn what_was_recorded_holds_and_keeps_what_was_typed() {
    let file = File::new(
        "# A note that stays.\n$ cargo run -q -p lab-fixture -- --every 60\n0 - Hello world!\n< 10\n\
         fib(10) = 0 (took 0.000 s)\n< exit\n",
    );
    record(&file.0, Path::new(FIXTURE)).expect("the fixture answers");
    assert_eq!(hold(&file.0, Path::new(FIXTURE)), Ok(()));
    let text = fs::read_to_string(&file.0).expect("it was just written");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "# A note that stays.");
    assert_eq!([lines[3], lines[5], lines[6]], ["< 10", "< exit", "= 0"]);
    assert!(lines[4].starts_with("fib(10) = 55 (took "), "{text}");
    assert_eq!(lines.len(), 7);
}

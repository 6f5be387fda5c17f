//! What every main program does as a program: its options, its exit status, its manners.
//!
//! For a chapter's own tests, which are given the path of its binary by cargo.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use crate::inside::PATIENCE;

fn output(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.expect("cargo built the program")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("our programs write UTF-8")
}

/// Options that are wrong: status 2, nothing on standard output, and one line on standard error
/// that names the program. `--help`: status 0, and a text that names the option.
///
/// # Panics
///
/// When one of this does not hold.
pub fn refuses_what_it_does_not_know(program: &str) {
    for arguments in [
        &["--every", "nan"][..],
        &["--every", "inf"],
        &["--every", "-1"],
        &["--every", "0"],
        &["--every", "1e300"],
        &["--every", "86401"],
        &["--every"],
        &["--nonsense"],
        &["stray"],
    ] {
        let output = output(program, arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        assert!(program.contains(complaint.split(':').next().expect("split gives one at least")));
    }
    let help = output(program, &["--help"]);
    assert_eq!((help.status.code(), text(&help.stderr)), (Some(0), ""));
    assert!(text(&help.stdout).contains("--every SECONDS"), "{help:?}");
}

/// A reader that goes away after the first line (`| head -1`) ends the program quietly: status 0,
/// nothing on standard error. `poke` is typed after that, again and again; a program that notices
/// by itself needs nothing typed.
///
/// Again and again, because a first write after that may still succeed: while another test of the
/// same process starts a child, that child holds a copy of every descriptor between fork and exec.
///
/// # Panics
///
/// When it does not hold.
pub fn ends_quietly_when_nobody_reads(program: &str, arguments: &[&str], poke: &str) {
    let mut child: Child = Command::new(program)
        .args(["--every", "0.001"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo built the program");
    let mut input = child.stdin.take().expect("it was asked for as a pipe");
    let mut first = String::new();
    let output = child.stdout.take().expect("it was asked for as a pipe");
    BufReader::new(output).read_line(&mut first).expect("our programs write UTF-8");
    assert!(first.ends_with(" - Hello world!\n"), "{first:?}");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status; // with its input still open
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{program} did not end within {PATIENCE:?} of the end of its output");
        }
        let _ = input.write_all(poke.as_bytes()); // fails where it has ended meanwhile
        thread::yield_now();
    };
    let mut complaint = String::new();
    let mut errors = child.stderr.take().expect("it was asked for as a pipe");
    errors.read_to_string(&mut complaint).expect("our programs write UTF-8");
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
}

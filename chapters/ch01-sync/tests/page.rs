//! What the page of this chapter says and no other test holds: the order of what happens around a
//! wait, what a wait costs, and two repairs that are none.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fib_timing::{answer, fib, hello, timed};
use lab::inside::PERIOD;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    fn taken(&self) -> Vec<String> {
        self.0.take()
    }
}

/// An input that is silent for five periods before each of its pieces, and before its end.
struct Silent {
    pieces: Vec<&'static str>,
    log: Log,
}

impl Read for Silent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.log.note("the read begins");
        let begin = Instant::now();
        while begin.elapsed() < PERIOD * 5 {
            thread::yield_now(); // the passing of five points of the grid is what is waited for
        }
        self.log.note("5 hellos fall due");
        let piece = if self.pieces.is_empty() { "" } else { self.pieces.remove(0) };
        self.log.note(match piece.strip_suffix('\n') {
            _ if piece.is_empty() => "the read returns the end".to_owned(),
            Some(rest) => format!("the read returns {rest} and a newline"),
            None => format!("the read returns {piece}"),
        });
        buffer[..piece.len()].copy_from_slice(piece.as_bytes());
        Ok(piece.len())
    }
}

/// An output that notes what is said, without the times.
struct Noted(Log);

impl Write for Noted {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let said = match text.split_once(" (took") {
            Some((answer, _)) => answer,
            None if text.ends_with(" - Hello world!\n") => "hello",
            None => text.trim_end(),
        };
        self.0.note(said);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What happens when `program` is given these pieces, with silence before each.
fn what_happens(
    pieces: &[&'static str],
    program: impl Fn(BufReader<Silent>, Noted) -> io::Result<()>,
) -> Vec<String> {
    let log = Log::default();
    let input = Silent { pieces: pieces.to_vec(), log: log.clone() };
    program(BufReader::new(input), Noted(log.clone())).expect("the program ends without an error");
    log.taken()
}

/// The program of the chapter.
fn the_program(input: BufReader<Silent>, output: Noted) -> io::Result<()> {
    ch01_sync::run(input, output, PERIOD, fib)
}

/// Five hellos fall due in each wait. None is said before the wait is over and the line answered.
#[test]
fn one_late_hello_after_a_silence() {
    // ANCHOR: silence
    let happened = what_happens(&["1\n"], the_program);
    assert_eq!(
        happened,
        [
            "hello",
            "the read begins",
            "5 hellos fall due",
            "the read returns 1 and a newline",
            "fib(1) = 1",
            "hello",
            "the read begins",
            "5 hellos fall due",
            "the read returns the end",
        ]
    );
    // ANCHOR_END: silence
}

/// The read returns, and the overdue hello is not said: half a line does not end the wait for a
/// line.
#[test]
fn half_a_line_brings_no_hello() {
    // ANCHOR: half_a_line
    let happened = what_happens(&["1", "0\n"], the_program);
    assert_eq!(
        happened,
        [
            "hello",
            "the read begins",
            "5 hellos fall due",
            "the read returns 1",
            "the read begins",
            "5 hellos fall due",
            "the read returns 0 and a newline",
            "fib(10) = 55",
            "hello",
            "the read begins",
            "5 hellos fall due",
            "the read returns the end",
        ]
    );
    // ANCHOR_END: half_a_line
}

// ANCHOR: catching_up
/// Broken: after each wait, says every hello that fell due in it, as if it were on time.
fn catching_up(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let (start, date) = (Instant::now(), SystemTime::now());
    let mut due = start;
    let mut lines = input.lines();
    loop {
        while due <= Instant::now() {
            say(&mut output, hello(date + (due - start)))?;
            due += PERIOD;
        }
        let Some(line) = lines.next() else { return Ok(()) }; // blocks
        let n = line?.parse().map_err(io::Error::other)?;
        say(&mut output, answer(n, timed(|| fib(n))))?;
    }
}
// ANCHOR_END: catching_up

fn say(output: &mut impl Write, line: String) -> io::Result<()> {
    output.write_all((line + "\n").as_bytes())
}

/// The repair changes how many hellos are late, and nothing else: without repetitions, what happens
/// is what happens in the program of the chapter.
#[test]
fn to_catch_up_is_a_burst_after_the_silence() {
    // ANCHOR: burst
    let mut happened = what_happens(&["1\n"], catching_up);
    let hellos = happened.iter().filter(|what| *what == "hello").count();
    assert!(hellos >= 6, "one at the start, five or more at once: {happened:?}");
    happened.dedup();
    assert_eq!(happened, what_happens(&["1\n"], the_program));
    // ANCHOR_END: burst
}

// ANCHOR: read_line
/// Broken: asks for the next line in the shortest way that the library offers.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let bytes = input.read_line(&mut line)?;
    Ok((bytes > 0).then_some(line))
}
// ANCHOR_END: read_line

/// 64 MiB without a newline.
const LONG: u64 = 64 << 20;

fn long_line() -> impl BufRead {
    BufReader::new(io::repeat(b'x').take(LONG).chain(&b"\n1\n"[..]))
}

/// The library's `read_line` keeps what has come until a newline comes, whatever that takes.
#[test]
fn read_line_keeps_all_of_a_line_that_does_not_end() {
    let line = read_line(&mut long_line()).expect("nothing goes wrong").expect("there is a line");
    assert_eq!(line.len() as u64, LONG + 1);
}

/// The program of the chapter gives one error for the same input, and goes on.
#[test]
fn the_program_refuses_a_line_that_does_not_end() {
    let log = Log::default();
    let hour = Duration::from_secs(3600);
    ch01_sync::run(long_line(), Noted(log.clone()), hour, fib).expect("nothing goes wrong");
    let error = "error: expected a whole number from 0 to 93, got a line of more than 1024 bytes"
        .to_owned();
    assert_eq!(log.taken(), ["hello".to_owned(), error, "fib(1) = 1".to_owned()]);
}

/// One byte that is no text ends a program that reads with `read_line`.
#[test]
fn read_line_fails_at_one_byte_that_is_no_text() {
    let error = read_line(&mut &b"\xff\n1\n"[..]).expect_err("0xff is not UTF-8");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

/// How often `fib(n)` calls fib, itself included: 2·fib(n + 1) − 1 times.
fn calls(n: u32) -> f64 {
    let (mut this, mut next) = (0.0, 1.0);
    for _ in 0..n {
        (this, next) = (next, this + next);
    }
    2.0 * next - 1.0
}

/// If some n takes two seconds, and n is between 40 and 45, then fib(93) takes thousands of years,
/// or hundreds.
#[test]
fn fib_93_does_not_end() {
    const YEAR: f64 = 365.25 * 24.0 * 3600.0;
    for n in 30..93 {
        let ratio = calls(n + 1) / calls(n);
        assert!((1.618..1.619).contains(&ratio), "from {n} to {}: {ratio}", n + 1);
    }
    for n in 40..=45 {
        let years = 2.0 * calls(93) / calls(n) / YEAR;
        assert!((600.0..8_000.0).contains(&years), "{years} years, if fib({n}) takes 2 s");
    }
}

/// The program itself, blocked, as the kernel accounts for it.
#[cfg(target_os = "linux")]
mod on_linux {
    use std::fs;
    use std::process::{Child, Command, Stdio};

    use lab::inside::PATIENCE;

    use super::*;

    /// Nanoseconds that the kernel has run the only thread of `child`.
    fn nanoseconds_on_a_cpu(child: &Child) -> u64 {
        let path = format!("/proc/{}/schedstat", child.id());
        let text = fs::read_to_string(path).expect("the kernel keeps accounts of a process");
        let first = text.split(' ').next().and_then(|number| number.parse().ok());
        first.expect("the first number is the time on a CPU")
    }

    /// Whether the kernel says that `child` sleeps.
    fn sleeps(child: &Child) -> bool {
        let path = format!("/proc/{}/stat", child.id());
        let text = fs::read_to_string(path).expect("the process has not ended");
        text.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('S'))
    }

    /// Fifty hellos fall due while the program waits, one each millisecond. It takes not one
    /// nanosecond of CPU time, and says none of them.
    #[test]
    fn while_it_waits_it_is_off_the_cpu() {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ch01-sync"))
            .args(["--every", "0.001"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo has built it");
        // When the test fails this is dropped, and the program ends with its input.
        let mut input = child.stdin.take().expect("it is a pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        let mut line = || lines.next().expect("there is a line").expect("it can be read");
        assert!(line().ends_with("Hello world!"));

        // ANCHOR: off_the_cpu
        let (deadline, points) = (Instant::now() + PATIENCE, Duration::from_millis(50));
        loop {
            assert!(Instant::now() < deadline, "it never sleeps through 50 points of the grid");
            let before = nanoseconds_on_a_cpu(&child);
            let begin = Instant::now();
            while begin.elapsed() < points {
                thread::yield_now(); // this thread computes meanwhile: the core is free
            }
            if sleeps(&child) && nanoseconds_on_a_cpu(&child) == before {
                break;
            }
        }
        // ANCHOR_END: off_the_cpu
        assert!(nanoseconds_on_a_cpu(&child) > 0, "this kernel keeps no such accounts");

        input.write_all(b"1\n").expect("it reads on");
        assert!(line().starts_with("fib(1) = 1 "), "no hello came before the line was answered");
        drop(input);
        assert!(child.wait().expect("it is our child").success());
    }
}

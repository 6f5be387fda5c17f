//! The exercises of this chapter. Each test fails until a reader has solved it.

use std::cell::RefCell;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use fib_timing::fib;

/// So long that there is one hello.
const HOUR: Duration = Duration::from_secs(3600);

/// An output of which every flush is interrupted by a signal once, and done when it is asked again.
#[derive(Default)]
struct Interrupted {
    said: Vec<u8>,
    signal: bool,
}

impl Write for Interrupted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.said.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.signal = !self.signal;
        if self.signal { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

#[test]
#[ignore = "exercise: `say` asks again when a signal interrupts its flush"]
fn a_signal_during_a_flush_is_no_failure() {
    let mut output = Interrupted::default();
    let outcome = ch01_sync::run(&b"10\n20\n"[..], &mut output, HOUR, fib);
    outcome.expect("a signal is no failure");
    assert!(!output.signal, "the last flush was interrupted, and not asked again");
    let said = String::from_utf8(output.said).expect("the output is UTF-8");
    assert_eq!(said.lines().count(), 3, "a hello and two answers:\n{said}");
}

/// What was read, said and flushed.
#[derive(Default)]
struct Account {
    reads: usize,
    flushes: usize,
    unflushed: usize,
}

struct Counted<T>(T, Rc<RefCell<Account>>);

impl Read for Counted<&[u8]> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut account = self.1.borrow_mut();
        account.reads += 1;
        assert_eq!(account.unflushed, 0, "lines are kept back during a wait");
        self.0.read(buffer)
    }
}

impl Write for Counted<Vec<u8>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.borrow_mut().unflushed += 1;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut account = self.1.borrow_mut();
        account.flushes += 1;
        account.unflushed = 0;
        Ok(())
    }
}

#[test]
#[ignore = "exercise: a flush before each wait and at the end, and none between pasted lines"]
fn one_flush_a_wait() {
    for pasted in ["1\n2\n3\n4\n5\n", "1\n2\n3\n4\n5\nexit\n"] {
        let account = Rc::new(RefCell::new(Account::default()));
        let input = BufReader::new(Counted(pasted.as_bytes(), Rc::clone(&account)));
        let mut output = Counted(Vec::new(), Rc::clone(&account));
        ch01_sync::run(input, &mut output, HOUR, fib).expect("nothing goes wrong");
        let said = String::from_utf8(output.0).expect("the output is UTF-8");
        assert_eq!(said.lines().count(), 6, "a hello and five answers:\n{said}");
        let Account { reads, flushes, unflushed } = *account.borrow();
        assert_eq!(unflushed, 0, "lines are kept back at the end");
        assert!(flushes <= reads + 1, "{flushes} flushes for {reads} waits and the end");
    }
}

//! The exercises of this chapter's page. Each test fails until you have solved its exercise.
//!
//! `cargo test -p ch05-callback-loop --test exercises -- --ignored NAME_OF_TEST`
#![cfg(unix)]

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use ch05_callback_loop::{EventLoop, run};

/// An output that breaks at once.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
#[ignore = "exercise: the error that ends the program says whether it came from reading or writing"]
fn an_error_says_what_was_being_done() {
    let period = Duration::from_secs(1_000);
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).expect("it exists");
    let reading = run(folder, io::sink(), period, u64::from).expect_err("a folder has no lines");
    let (silent, _writer) = io::pipe().expect("two descriptors are free");
    let writing = run(silent, Broken, period, u64::from).expect_err("the first hello fails");

    assert_eq!(reading.kind(), io::ErrorKind::IsADirectory, "the kind of the error stays");
    assert_eq!(writing.kind(), io::ErrorKind::StorageFull, "the kind of the error stays");
    let [reading, writing] = [reading, writing].map(|error| error.to_string());
    assert!(reading.starts_with("reading the input: "), "{reading:?}");
    assert!(writing.starts_with("writing the output: "), "{writing:?}");
}

#[test]
#[ignore = "exercise: the loop counts the callbacks that run for 100 ms or longer"]
fn the_loop_counts_its_stalls() {
    fn slow(_: &EventLoop) {
        let end = Instant::now() + Duration::from_millis(100);
        while Instant::now() < end {
            std::hint::spin_loop(); // the computation that stalls the loop
        }
    }

    let event_loop = EventLoop::new().expect("two descriptors are free");
    for stalls in 0..3 {
        let seen = format!("{event_loop:?}");
        assert!(seen.contains(&format!("stalls: {stalls}")), "after {stalls} slow ones: {seen}");
        event_loop.call_soon(slow);
        event_loop.run_forever().expect("nothing is waited for");
    }
}

//! The exercises of the page: each test fails until the chapter is changed.

use std::fs::File;
use std::io::{self, BufReader};
use std::num::NonZero;
use std::process::Command;
use std::time::Duration;

use lab::inside::{Gate, Output, Running, SLOW};

const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");

#[test]
#[ignore = "exercise: a question that is already being computed is not computed a second time"]
fn the_same_question_is_computed_once() {
    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        let compute = move |n| Ok(gate.compute(n));
        ch03_parallel::run(BufReader::new(input), output, period, compute, TWO)
    }
    let mut running = Running::start(run);
    running.write("40\n40\n");
    running.gate.wait_started(SLOW);
    running.gate.open_all();
    running.expect_answer(SLOW, u64::from(SLOW));
    running.expect_answer(SLOW, u64::from(SLOW));
    assert_eq!(running.gate.started(), [SLOW], "both are answered, and one is computed");
    running.close();
    running.expect_end();
}

/// Set in the process that runs the test below a second time, as a child.
const CHILD: &str = "CH03_EXERCISE_CHILD";

#[test]
#[ignore = "exercise: a computation that panics is an error line, and the program goes on"]
fn a_panic_is_an_error_line_and_the_program_goes_on() {
    if std::env::var_os(CHILD).is_none() {
        // In a process of its own, since rayon ends the process.
        let name = "a_panic_is_an_error_line_and_the_program_goes_on";
        let this = std::env::current_exe().expect("a test knows where it is");
        let mut child = Command::new(this);
        child.args(["--exact", name, "--ignored", "--nocapture"]).env(CHILD, "1");
        let output = child.output().expect("it is running already");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the program did not go on: {said}");
        return;
    }
    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        let compute = move |n| if n == 7 { panic!("seven") } else { Ok(gate.compute(n)) };
        ch03_parallel::run(BufReader::new(input), output, period, compute, TWO)
    }
    let mut running = Running::start(run);
    running.write("7\n");
    let reply = running.reply().text;
    assert!(reply.starts_with("error: fib(7): "), "{reply}");
    running.write("8\n");
    running.expect_answer(8, 21);
    running.close();
    running.expect_end();
}

//! f, and then g: which orders does a program promise?
//!
//! f waits a little and ends, and then g begins. Both write a line to the same pipe. Predict the
//! order of the lines (a) as you know it, (b) when f writes into a buffer that is written out at
//! the end of the program.
//!
//! `cargo run -p ch01-sync --example order`

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, PipeWriter, Read, Write, pipe};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use lab::experiment::{Experiment, Report};

const EXPERIMENT: Experiment = Experiment::new("ch01-sync", "order");

const WAIT: Duration = Duration::from_millis(50);

// ANCHOR: calls
/// Begin and end of a call, on one clock.
struct Call {
    began: Instant,
    ended: Instant,
}

fn f(output: &mut impl Write) -> io::Result<Call> {
    let began = Instant::now();
    thread::sleep(WAIT); // blocks: g does not begin meanwhile
    writeln!(output, "in f()")?;
    Ok(Call { began, ended: Instant::now() })
}

fn g(output: &mut impl Write) -> io::Result<Call> {
    let began = Instant::now();
    writeln!(output, "in g()")?;
    Ok(Call { began, ended: Instant::now() })
}

fn straight(mut output: PipeWriter) -> io::Result<[Call; 2]> {
    Ok([f(&mut output)?, g(&mut output)?])
}

/// The calls have the same order. What f writes is kept until the buffer is dropped, at the end.
fn through_a_buffer(mut output: PipeWriter) -> io::Result<[Call; 2]> {
    let mut buffered = BufWriter::new(output.try_clone()?);
    Ok([f(&mut buffered)?, g(&mut output)?])
}
// ANCHOR_END: calls

type Program = fn(PipeWriter) -> io::Result<[Call; 2]>;

/// The two calls, and what a reader of the pipe sees.
fn seen(program: Program) -> io::Result<([Call; 2], String)> {
    let (mut reading, writing) = pipe()?;
    let calls = program(writing)?;
    let mut text = String::new();
    reading.read_to_string(&mut text)?;
    Ok((calls, text))
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("g begins after f has ended, both times; the lines are the other way in (b)")?;
    let programs =
        [("(a) straight", straight as Program), ("(b) f through a buffer", through_a_buffer)];
    for (name, program) in programs {
        let ([f, g], text) = seen(program)?;
        let after = |instant: Instant| (instant - f.began).as_millis();
        report.say(format_args!("{name}:"))?;
        report.say(format_args!("  f ended after {} ms", after(f.ended)))?;
        report.say(format_args!("  g began after {} ms", after(g.began)))?;
        report.say(format_args!("  g ended after {} ms", after(g.ended)))?;
        report.say(format_args!("  lines: {}", text.trim_end().replace('\n', ", ")))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: Program) -> ([Call; 2], String) {
        seen(program).expect("a pipe is free")
    }

    #[test]
    fn g_begins_when_f_has_ended() {
        for program in [straight as Program, through_a_buffer] {
            let ([f, g], _) = of(program);
            assert!(f.ended - f.began >= WAIT);
            assert!(f.ended <= g.began && g.began <= g.ended);
        }
    }

    #[test]
    fn lines_have_the_order_in_which_they_are_written_out() {
        assert_eq!(of(straight).1, "in f()\nin g()\n");
        assert_eq!(of(through_a_buffer).1, "in g()\nin f()\n");
    }
}

//! Runs a transcript's program and writes down what it prints now.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::Instant;

use super::compare::{is_hello, same};
use super::drive::{PATIENCE, act, start};
use super::parse::{Step, Text, Transcript};
use crate::driven::{Driven, Stream, shell_status};
use crate::wire::Wire;

/// Runs the program `exe` with the transcript's command and typed lines, and rewrites the file's
/// output lines. Comments, command and typed lines stay.
///
/// A typed line is sent once as many lines like the one before it have come as the file shows since
/// the last typed line: as many hellos, an answer to the same question, an error, the same text.
///
/// # Errors
///
/// When the file cannot be read or written, has a line that means nothing, or the program cannot be
/// started; and `TimedOut` when a line that a typed line waits for does not come, or the program
/// does not end. The file is then as it was.
pub fn record(transcript: &Path, exe: &Path) -> io::Result<()> {
    let script = Transcript::read(transcript).map_err(io::Error::other)?;
    let mut recorder = Recorder {
        driven: start(&script.command, exe)?,
        deadline: Instant::now() + PATIENCE,
        told: 0,
        text: String::new(),
    };
    for comment in &script.comments {
        recorder.line(comment);
    }
    recorder.line(&format!("$ {}", script.command.typed));
    recorder.run(&script.steps)?;
    std::fs::write(transcript, recorder.text)
}

struct Recorder {
    driven: Driven,
    deadline: Instant,
    /// The program's lines that have been written down.
    told: usize,
    text: String,
}

impl Recorder {
    fn run(&mut self, steps: &[Text]) -> io::Result<()> {
        let mut block: Vec<&Step> = Vec::new();
        for Text { step, .. } in steps {
            match step {
                Step::Out(_) | Step::Err(_) => block.push(step),
                Step::Status(_) => {}
                typed => {
                    self.wait_for(&block, typed)?;
                    block.clear();
                    act(&mut self.driven, typed)?;
                    self.line(&typed_form(typed));
                }
            }
        }
        let status = shell_status(self.driven.end_by(self.deadline)?);
        self.tell();
        self.line(&format!("= {status}"));
        Ok(())
    }

    /// Waits for lines like the last of `block`, as many as are in it, and writes down what has
    /// come.
    fn wait_for(&mut self, block: &[&Step], before: &Step) -> io::Result<()> {
        if let Some(last) = block.last() {
            let wanted = block.iter().filter(|step| alike(last, step)).count();
            let told = self.told;
            let came = self.driven.wait(self.deadline, |driven| {
                let new = driven.lines()[told..]
                    .iter()
                    .map(|(stream, line)| step_of(*stream, &line.text));
                (new.filter(|step| alike(last, step)).count() >= wanted).then_some(())
            });
            if came.is_none() {
                let missing = format!("{last:?} did not come before {before:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, missing));
            }
        }
        self.tell();
        Ok(())
    }

    /// Writes down the lines that have come and are not written yet.
    fn tell(&mut self) {
        let lines = self.driven.lines()[self.told..].iter();
        let lines: Vec<String> = lines
            .map(|(stream, line)| match stream {
                Stream::Out => line.text.clone(),
                Stream::Err => format!("! {}", line.text),
            })
            .collect();
        self.told += lines.len();
        for line in lines {
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a String takes everything");
    }
}

fn step_of(stream: Stream, line: &str) -> Step {
    match stream {
        Stream::Out => Step::Out(line.to_owned()),
        Stream::Err => Step::Err(line.to_owned()),
    }
}

/// Are they lines of the same kind on the same stream?
fn alike(one: &Step, other: &Step) -> bool {
    match (one, other) {
        (Step::Out(one), Step::Out(other)) => match (Wire::read(one), Wire::read(other)) {
            (Wire::Answer { n: one, .. }, Wire::Answer { n: other, .. }) => one == other,
            (Wire::Error(_), Wire::Error(_)) => true,
            _ => is_hello(one) && is_hello(other) || same(one, other),
        },
        (Step::Err(_), Step::Err(_)) => true,
        _ => false,
    }
}

fn typed_form(step: &Step) -> String {
    match step {
        Step::Type(line) if line.is_empty() => "<".to_owned(),
        Step::Type(line) => format!("< {line}"),
        Step::EndInput => "<EOF".to_owned(),
        Step::Signal(name, _) => format!("<signal {name}"),
        Step::Out(_) | Step::Err(_) | Step::Status(_) => String::new(), // never typed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_like_another_of_its_kind() {
        let out = |line: &str| Step::Out(line.to_owned());
        assert!(alike(&out("fib(10) = 55 (took 0.000 s)"), &out("fib(10) = 0 (took 1.000 s)")));
        assert!(!alike(&out("fib(10) = 55 (took 0.000 s)"), &out("fib(11) = 55 (took 0.000 s)")));
        assert!(alike(&out("0 - Hello world!"), &out("1700000000 - Hello world!")));
        assert!(!alike(&out("bye"), &Step::Err("bye".to_owned())));
    }
}

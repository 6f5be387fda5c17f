//! Runs a transcript's program again and compares.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Instant;

use super::Mismatch;
use super::compare::{Group, is_hello, same};
use super::drive::{PATIENCE, act, start};
use super::parse::{Command, Step, Text, Transcript};
use crate::driven::{Driven, Stream, shell_status};

/// The workspace that this package belongs to.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Where the book keeps its transcripts.
const TRANSCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../book/transcripts");

/// Holds every transcript whose name begins with `prefix`, one after the other: those that run the
/// program `exe`, and those that run an example of its package.
///
/// Cargo tells a test where its package's program is, and nothing about its examples. It does not
/// even build them for a test: of an example with `test = true` it makes a test harness instead. So
/// an example is built here, by the cargo that runs the test, into the target folder in which `exe`
/// lies.
///
/// A transcript whose command has `--features` is left to [`hold_all_with`].
///
/// # Errors
///
/// The first [`Mismatch`]; also when there is no such transcript, since a test that holds nothing
/// holds nothing up.
pub fn hold_all(prefix: &str, exe: &Path) -> Result<(), Mismatch> {
    hold_those(Path::new(TRANSCRIPTS), prefix, exe, &[])
}

/// The same for the transcripts whose command has `--features` and names exactly these. A test
/// behind `#[cfg(feature = "…")]` calls it, so that nobody compiles a feature who did not ask for
/// it; `cargo test --workspace` asks for all.
///
/// # Errors
///
/// As [`hold_all`].
pub fn hold_all_with(features: &[&str], prefix: &str, exe: &Path) -> Result<(), Mismatch> {
    hold_those(Path::new(TRANSCRIPTS), prefix, exe, features)
}

fn hold_those(folder: &Path, prefix: &str, exe: &Path, features: &[&str]) -> Result<(), Mismatch> {
    let mut held = 0;
    for file in files(folder, prefix)? {
        let command = Transcript::read(&file)?.command;
        if command.features == features {
            let built = |name: &str| {
                build_example(&command, name, exe)
                    .map_err(|error| whole(&file, format!("the example {name}"), error.to_string()))
            };
            let example = command.example.as_deref().map(built).transpose()?;
            hold(&file, example.as_deref().unwrap_or(exe))?;
            held += 1;
        }
    }
    match held {
        0 => Err(whole(
            folder,
            format!("{prefix}*.txt, run with the features {features:?}"),
            "none".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Builds an example as its reader would, and says where it is: in `examples`, beside the programs
/// of its profile.
fn build_example(command: &Command, name: &str, exe: &Path) -> io::Result<PathBuf> {
    let profile_folder = exe.parent().unwrap_or(exe);
    let profile = match profile_folder.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev", // the one profile whose folder has another name
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = process::Command::new(cargo);
    build.args(["build", "-q", "--manifest-path", WORKSPACE, "--profile", profile]);
    build.arg("--target-dir").arg(profile_folder.parent().unwrap_or(exe));
    build.args(["-p", &command.package, "--example", name]);
    if !command.features.is_empty() {
        build.args(["--features", &command.features.join(",")]);
    }
    let output = build.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(profile_folder.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION))
}

fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, Mismatch> {
    let unreadable =
        |error: io::Error| whole(folder, "a folder of transcripts".to_owned(), error.to_string());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if name.to_string_lossy().starts_with(prefix) && name.to_string_lossy().ends_with(".txt") {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// Holds one transcript against the built program `exe`, which must have the name that the command
/// runs.
///
/// # Errors
///
/// A [`Mismatch`] at the first line that does not hold, that has no meaning, or that had not come
/// after three minutes.
pub fn hold(transcript: &Path, exe: &Path) -> Result<(), Mismatch> {
    let script = Transcript::read(transcript)?;
    let wanted = script.command.program();
    if wanted != name_of(exe) {
        return Err(whole(
            transcript,
            format!("a command that runs {}", name_of(exe)),
            script.command.typed,
        ));
    }
    let cannot_start =
        |error: io::Error| whole(transcript, format!("{wanted} to start"), error.to_string());
    let driven = start(&script.command, exe).map_err(cannot_start)?;
    let mut holder = Holder {
        driven,
        deadline: Instant::now() + PATIENCE,
        out: 0,
        err: 0,
        hellos: Group::default(),
    };
    let failed = holder.hold(&script.steps);
    let left = holder.driven.finish();
    failed.map_err(|Failed { line, expected, seen }| Mismatch {
        file: transcript.to_owned(),
        line,
        expected,
        seen,
    })?;
    match left.is_empty() {
        true => Ok(()),
        false => Err(whole(transcript, "nothing to be left behind".to_owned(), left.join(", "))),
    }
}

fn name_of(exe: &Path) -> String {
    exe.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn whole(file: &Path, expected: String, seen: String) -> Mismatch {
    Mismatch { file: file.to_owned(), line: 0, expected, seen }
}

struct Failed {
    line: usize,
    expected: String,
    seen: String,
}

/// A dialogue in progress.
struct Holder {
    driven: Driven,
    deadline: Instant,
    /// Lines that have been compared, on each stream.
    out: usize,
    err: usize,
    /// The hellos before or at the current step.
    hellos: Group,
}

impl Holder {
    fn hold(&mut self, steps: &[Text]) -> Result<(), Failed> {
        for (at, text) in steps.iter().enumerate() {
            match &text.step {
                Step::Out(line) if is_hello(line) => self.hello(text, &steps[at..])?,
                Step::Out(line) => self.out(text.line, line)?,
                Step::Err(line) => self.err(text.line, line)?,
                Step::Status(status) => self.end(text.line, *status)?,
                action => drop(act(&mut self.driven, action).map_err(|error| Failed {
                    line: text.line,
                    expected: "a program that still listens".to_owned(),
                    seen: error.to_string(),
                })?),
            }
        }
        Ok(())
    }

    /// A hello is expected: `steps` begins with it.
    fn hello(&mut self, text: &Text, steps: &[Text]) -> Result<(), Failed> {
        if self.hellos == Group::default() {
            self.hellos = Group::beginning(steps);
        }
        match self.next(Stream::Out) {
            Some(line) if is_hello(&line) => {
                self.hellos.seen += 1;
                self.out += 1;
                Ok(())
            }
            // Another line, or the end: this hello was one of any number.
            _ if self.hellos.is_enough() => Ok(()),
            seen => Err(self.failed(text.line, "a hello".to_owned(), seen)),
        }
    }

    fn out(&mut self, at: usize, expected: &str) -> Result<(), Failed> {
        self.skip_hellos();
        self.hellos = Group::default();
        match self.next(Stream::Out) {
            Some(line) if same(expected, &line) => self.out += 1,
            seen => return Err(self.failed(at, expected.to_owned(), seen)),
        }
        Ok(())
    }

    fn err(&mut self, at: usize, expected: &str) -> Result<(), Failed> {
        match self.next(Stream::Err) {
            Some(line) if same(expected, &line) => self.err += 1,
            seen => return Err(self.failed(at, format!("on standard error, {expected}"), seen)),
        }
        Ok(())
    }

    /// The status is expected, and nothing more on either stream.
    fn end(&mut self, at: usize, expected: i32) -> Result<(), Failed> {
        let status = self.driven.end_by(self.deadline).map(shell_status);
        self.skip_hellos();
        for stream in [Stream::Out, Stream::Err] {
            if let Some(line) = self.next(stream) {
                return Err(self.failed(at, "the end".to_owned(), Some(line)));
            }
        }
        match status {
            Ok(status) if status == expected => Ok(()),
            Ok(status) => Err(self.failed(
                at,
                format!("exit status {expected}"),
                Some(format!("exit status {status}")),
            )),
            Err(error) => {
                Err(self.failed(at, format!("exit status {expected}"), Some(error.to_string())))
            }
        }
    }

    /// Hellos may follow a group of any number. One may come anywhere: however fast a dialogue is,
    /// a point of the grid can fall into it.
    fn skip_hellos(&mut self) {
        let mut spare = 1;
        while (self.hellos.may_grow() || spare > 0)
            && self.next(Stream::Out).is_some_and(|line| is_hello(&line))
        {
            spare -= usize::from(!self.hellos.may_grow());
            self.out += 1;
        }
    }

    /// The next line of a stream that has not been compared yet; None when there will be none, or
    /// not in time.
    fn next(&mut self, stream: Stream) -> Option<String> {
        let compared = if stream == Stream::Out { self.out } else { self.err };
        self.driven.wait(self.deadline, |driven| {
            driven.lines_on(stream).nth(compared).map(|line| line.text.clone())
        })
    }

    /// What came instead, and what was said on standard error, where the reason often stands.
    fn failed(&self, line: usize, expected: String, seen: Option<String>) -> Failed {
        let waited = if Instant::now() < self.deadline {
            "the end of the output"
        } else {
            "nothing, for too long"
        };
        let mut seen = seen.unwrap_or_else(|| waited.to_owned());
        if let Some(said) = self.driven.lines_on(Stream::Err).nth(self.err) {
            seen += &format!(" (and on standard error: {})", said.text);
        }
        Failed { line, expected, seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::parse::parse;

    /// A folder of transcripts beside the running test, which is removed in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(transcripts: &[(&str, &str)]) -> Folder {
            let test = std::env::current_exe().expect("a test has a path");
            let folder = test.with_file_name(format!("transcripts-{}", process::id()));
            fs::create_dir(&folder).expect("no other test has this id");
            for (name, text) in transcripts {
                fs::write(folder.join(name), text).expect("it is our folder");
            }
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0); // it lies among what cargo cleans
        }
    }

    /// The program that a chapter's test would be given: beside the folder of the test itself.
    fn main_program() -> PathBuf {
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test.ancestors().nth(2).expect("it lies in target/PROFILE/deps");
        profile.join("lab-fixture")
    }

    const RUN: &str = "$ cargo run -q -p lab --example lab_speaker -- 3\n";
    const RUN_WITH_FEATURE: &str =
        "$ cargo run -q -p lab --features matrix --example lab_speaker -- 4\n";

    #[test]
    fn an_example_is_built_and_held_by_whoever_asks_for_its_features() {
        let folder = Folder::new(&[
            ("a-plain.txt", &format!("{RUN}3\n= 0\n")),
            ("a-feature.txt", &format!("{RUN_WITH_FEATURE}wrong\n= 0\n")),
            ("b-wrong.txt", &format!("{RUN}wrong\n")),
        ]);
        let held =
            |prefix, features: &[&str]| hold_those(&folder.0, prefix, &main_program(), features);
        assert_eq!(held("a-", &[]), Ok(()));
        assert_eq!(held("b-", &[]).expect_err("it says 3").seen, "3");
        assert_eq!(held("a-", &["matrix"]).expect_err("it says 4").seen, "4");
        assert_eq!(held("b-", &["matrix"]).expect_err("no transcript has it").seen, "none");
    }

    #[test]
    fn an_example_that_does_not_exist_is_told_of() {
        let command = parse(RUN).expect("it is well formed").command;
        let error = build_example(&command, "lab_silent", &main_program());
        assert!(error.expect_err("there is none").to_string().contains("lab_silent"));
    }
}

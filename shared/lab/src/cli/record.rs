//! `lab record`: an experiment's output, kept for the book with what its figures depend on.
//!
//! A recording is `recordings/NAME.txt`: three lines and the output.
//!
//! ```text
//! $ cargo run -q -p ch99-example --example cost
//! # machine: 2 CPUs (x86_64), Linux 6.18.5, rustc 1.95.0
//! # date: 2026-11-22
//! ```
//!
//! With `--table` it is `recordings/NAME.md`: the same three lines in an HTML comment, and the
//! Markdown table that the command printed.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use lexopt::prelude::*;

use super::{Trouble, help};

/// Where the book keeps its recordings.
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../book/recordings");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Table,
}

/// What is to be run, and how it is to be kept.
#[derive(Debug)]
struct Request {
    name: String,
    kind: Kind,
    command: Vec<String>,
}

/// Runs the command and keeps what it printed.
pub(super) fn command(parser: lexopt::Parser) -> Result<(), Trouble> {
    let Some(request) = parse(parser)? else { return Ok(()) };
    let file = record(&request, Path::new(RECORDINGS), &machine()?, &today()?)?;
    eprintln!("{}: written", file.display());
    Ok(())
}

/// None when help was asked for and given.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Request>, Trouble> {
    let (mut name, mut kind) = (None, Kind::Text);
    while name.is_none() {
        match parser.next()? {
            Some(Long("table")) => kind = Kind::Table,
            Some(Value(value)) => name = Some(value.string()?),
            Some(Short('h') | Long("help")) => {
                help();
                return Ok(None);
            }
            Some(other) => return Err(Trouble::Usage(other.unexpected())),
            None => break,
        }
    }
    let name = name.filter(|name| is_plain(name)).ok_or(Trouble::Usage(
        "a name is missing, of letters, digits and `-`, before `--` and the command".into(),
    ))?;
    let rest = parser.raw_args()?.map(OsString::into_string).collect::<Result<Vec<_>, _>>();
    match rest.unwrap_or_default().split_first() {
        Some((dashes, command)) if dashes == "--" && !command.is_empty() => {
            Ok(Some(Request { name, kind, command: command.to_vec() }))
        }
        _ => Err(Trouble::Usage("after the name, `--` and a command are missing".into())),
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// Runs the command and writes the file, unless the command fails or its output is none to keep.
fn record(request: &Request, folder: &Path, machine: &str, date: &str) -> io::Result<PathBuf> {
    let typed = typed(&request.command);
    let output = output(&request.command)
        .map_err(|error| io::Error::other(format!("`{typed}`: {error}; nothing was written")))?;
    let text = text(request.kind, &typed, machine, date, &output)
        .map_err(|why| io::Error::other(format!("`{typed}`: {why}; nothing was written")))?;
    let kind = if request.kind == Kind::Table { "md" } else { "txt" };
    let file = folder.join(&request.name).with_extension(kind);
    fs::write(&file, text)?;
    Ok(file)
}

/// The standard output of a command that succeeds. What it says on standard error is seen, not
/// kept.
fn output(command: &[String]) -> io::Result<String> {
    let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    let output = command.args(args).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The recording's text.
fn text(
    kind: Kind,
    typed: &str,
    machine: &str,
    date: &str,
    output: &str,
) -> Result<String, &'static str> {
    if output.trim().is_empty() {
        return Err("it printed nothing");
    }
    let output = format!("{}\n", output.trim_end_matches('\n'));
    let facts = format!("$ {typed}\n# machine: {machine}\n# date: {date}\n");
    match kind {
        Kind::Text => Ok(facts + &output),
        Kind::Table if !output.starts_with('|') => Err("it printed no Markdown table"),
        Kind::Table if typed.contains("-->") => {
            Err("its command would end the comment that it stands in")
        }
        Kind::Table => Ok(format!("<!--\n{facts}-->\n\n{output}")),
    }
}

/// The command as a shell would be given it.
fn typed(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quoted = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// What the figures depend on, and nothing that tells whose machine it is.
fn machine() -> io::Result<String> {
    let cpus = thread::available_parallelism()?;
    let system = first_line("uname", &["-sr"])?; // Linux 6.18.5-whoever-built-it
    let system = system.split('-').next().unwrap_or(&system);
    let rustc = first_line("rustc", &["--version"])?; // rustc 1.95.0 (commit and date)
    let rustc = rustc.split(" (").next().unwrap_or(&rustc);
    let noun = if cpus.get() == 1 { "CPU" } else { "CPUs" };
    Ok(format!("{cpus} {noun} ({}), {system}, {rustc}", std::env::consts::ARCH))
}

fn today() -> io::Result<String> {
    first_line("date", &["-u", "+%Y-%m-%d"])
}

fn first_line(program: &str, args: &[&str]) -> io::Result<String> {
    let command: Vec<String> = [&[program], args].concat().into_iter().map(str::to_owned).collect();
    Ok(output(&command)?.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_text_has_its_three_facts_and_a_table_has_them_in_a_comment() {
        let text = |kind, output| text(kind, "cargo run", "1 CPU", "2026-11-22", output);
        const FACTS: &str = "$ cargo run\n# machine: 1 CPU\n# date: 2026-11-22\n";
        assert_eq!(text(Kind::Text, " 1\n\n 2\n\n"), Ok(format!("{FACTS} 1\n\n 2\n")));
        assert_eq!(text(Kind::Table, "| a |\n"), Ok(format!("<!--\n{FACTS}-->\n\n| a |\n")));
        assert!(text(Kind::Table, "a\n").is_err());
        assert!(text(Kind::Text, " \n").is_err());
    }

    #[test]
    fn a_word_that_a_shell_would_change_is_quoted() {
        let command = ["cargo", "run", "two words", "it's", "", "--every=0.5", "a*"];
        assert_eq!(
            typed(&command.map(str::to_owned)),
            r"cargo run 'two words' 'it'\''s' '' --every=0.5 'a*'"
        );
    }

    #[test]
    fn the_request_is_a_name_and_a_command() {
        let parsed = |line: &str| parse(lexopt::Parser::from_args(words(line)));
        let request = parsed("--table cost -- cargo run --table").ok().flatten();
        let request = request.expect("it is well formed");
        assert_eq!((request.name.as_str(), request.kind), ("cost", Kind::Table));
        assert_eq!(request.command, ["cargo", "run", "--table"]);
        for bad in ["cost", "cost --", "cost cargo", "-- cargo", "../cost -- cargo", "--nothing"] {
            assert!(matches!(parsed(bad), Err(Trouble::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_command_that_fails_leaves_the_recording_as_it_was() {
        let folder = std::env::temp_dir().join(format!("lab-record-{}", std::process::id()));
        fs::create_dir(&folder).expect("no other process has this id");
        let record = |command: &str| {
            let (name, command) = ("cost".to_owned(), words(command));
            let request = Request { name, kind: Kind::Text, command };
            record(&request, &folder, "1 CPU", "2026-11-22")
        };
        let file = record("echo 7").expect("echo is on every Unix");
        let written = "$ echo 7\n# machine: 1 CPU\n# date: 2026-11-22\n7\n";
        let fails_after_printing = "ls / /no-file-is-called-this";
        for failing in [fails_after_printing, "true", "no-program-is-called-this"] {
            let error = record(failing).expect_err(failing).to_string();
            assert!(error.contains("nothing was written"), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).expect("it was written"), written);
        fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn the_machine_is_told_and_its_name_is_not() {
        let machine = machine().expect("uname and rustc are where this was built");
        assert!(machine.contains("CPU") && machine.contains("rustc 1."), "{machine}");
        let host = first_line("uname", &["-n"]).expect("uname is on every Unix");
        assert!(!machine.split(' ').any(|word| word == host), "{machine}");
        assert!(!machine.contains('/'), "{machine}");
        assert_eq!(today().expect("date is on every Unix").len(), "2026-11-22".len());
    }
}

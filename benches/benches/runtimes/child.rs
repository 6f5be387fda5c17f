//! A process of its own for each server and for each runtime's sleepers.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{servers, sizes, sleepers};

/// This program, also when its file was replaced since it was started.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// The option that makes this program a child. What is to be done follows, and on what runtime.
pub(crate) const CHILD: &str = "--child";

/// What a child does.
pub(crate) fn serve(args: &[String]) -> io::Result<()> {
    allow_many_descriptors()?;
    end_with_standard_input();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [servers::ECHO, name] => servers::echo(name, tell_line),
        [servers::HTTP, name] => servers::http(name, tell_line),
        [sleepers::SLEEPERS, name] => tell_line(sleepers::sleep(name)?),
        _ => Err(io::Error::other(format!("no child does {args:?}"))),
    }
}

fn tell_line(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Ends this process with the one that started it, however that one ends.
fn end_with_standard_input() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

/// As many as this process may have without asking anybody.
pub(crate) fn allow_many_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// The CPU time that all threads of a process have used, in nanoseconds. What ended with a thread
/// is not in it, but no thread ends while we measure.
pub(crate) fn cpu_time(process: u32) -> io::Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
        sum += on_cpu.ok_or_else(|| io::Error::other(format!("schedstat says {text:?}")))?;
    }
    Ok(sum)
}

/// A child that was started. Dropped, it is ended.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(kind: &str, name: &str) -> io::Result<Process> {
        let mut child = Command::new(THIS_PROGRAM)
            .args(sizes::options())
            .args([CHILD, kind, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Process { child, output })
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(io::Error::other("a child ended without a word")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    pub(crate) fn cpu_time(&self) -> io::Result<f64> {
        cpu_time(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails where the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A program driven from outside, as a person at a terminal drives it: type, watch, close,
//! interrupt.
//!
//! One thread for each stream stamps every line as it arrives, and one more waits for the program's
//! end. All of them report into one channel, so that whoever drives the program waits in a single
//! place ([`Driven::wait`]) for whatever comes first, with a deadline, and never sleeps to see
//! whether something has happened.
//!
//! The program gets a process group of its own. Its children belong to it too, so that nothing it
//! leaves behind can hide, and everything is killed when a [`Driven`] is dropped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::family::Family;

/// How long processes that outlive the program may take to end by themselves. Workers notice the
/// end of their input within milliseconds; a second and a half forgives a busy machine.
const LEFTOVER_PATIENCE: Duration = Duration::from_millis(1500);

/// Looks at the process table come this often, since no event announces the end of somebody else's
/// child.
const FAMILY_LOOK: Duration = Duration::from_millis(2);

/// What the program's standard input is.
///
/// What is written to a pipe at once must fit it (64 KiB on Linux): nobody may be reading.
#[derive(Debug, Clone)]
pub enum Input {
    /// A pipe whose writing end we keep open until [`Driven::close_input`].
    Pipe,
    /// A pipe that held this text and was closed before the program started.
    Ended(String),
    /// /dev/null.
    Null,
    /// A regular file, from its start.
    File(PathBuf),
}

/// Who reads the program's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A thread of ours, all of it.
    Read,
    /// A thread of ours that closes its end after so many lines, as `head` does.
    CloseAfter(usize),
    /// Nobody: [`Driven::unread`] is the reading end of the pipe, which may fill up.
    Unread,
}

/// What to start, and between which pipes.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The program.
    pub exe: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// Its standard input.
    pub input: Input,
    /// Its standard output. Standard error is always read.
    pub output: Output,
}

/// A line that the program wrote, and when it reached us. What is not UTF-8 is replaced by U+FFFD;
/// an unterminated last line counts as a line.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it was read from the pipe.
    pub at: Instant,
    /// The line without its newline.
    pub text: String,
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

enum Event {
    Line(Stream, Line),
    Ended(Instant),
}

/// A running program, or one that has ended and not been dropped yet.
#[derive(Debug)]
pub struct Driven {
    child: Child,
    family: Family,
    input: Option<PipeWriter>,
    events: Receiver<Event>,
    lines: Vec<(Stream, Line)>,
    ended: Option<Instant>,
    reaped: bool,
    /// The reading end of standard output, where [`Output::Unread`] was asked for.
    pub unread: Option<PipeReader>,
}

impl Driven {
    /// Starts the program.
    ///
    /// # Errors
    ///
    /// When the pipes cannot be made, the input file cannot be opened, or the program cannot be
    /// started.
    pub fn start(launch: &Launch) -> io::Result<Driven> {
        let (out_reader, out_writer) = io::pipe()?;
        let (err_reader, err_writer) = io::pipe()?;
        let (stdin, input) = input_of(&launch.input)?;
        let child = command(launch.exe)
            .args(launch.args)
            .stdin(stdin)
            .stdout(out_writer)
            .stderr(err_writer)
            .process_group(0)
            .spawn()?;
        // The Command is gone, and our copies of the child's ends with it: its pipes end when it
        // does.
        let pid = Pid::from_child(&child);
        let (report, events) = channel();
        let unread = watch_output(out_reader, launch.output, &report);
        watch(err_reader, Stream::Err, usize::MAX, report.clone());
        thread::spawn(move || wait_for_end(pid, &report));
        Ok(Driven {
            child,
            family: Family::of(pid),
            input,
            events,
            lines: Vec::new(),
            ended: None,
            reaped: false,
            unread,
        })
    }

    /// Types `bytes`, in one write.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the program has closed its input or [`Driven::close_input`] was called.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.input {
            Some(pipe) => pipe.write_all(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// How many typed bytes the program has not read yet; 0 where its input is no pipe.
    ///
    /// # Errors
    ///
    /// When the system cannot say.
    pub fn unread_input(&self) -> io::Result<u64> {
        self.input.as_ref().map_or(Ok(0), |pipe| Ok(rustix::io::ioctl_fionread(pipe)?))
    }

    /// Ends the program's input, as Ctrl-D does.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends a signal to the program and its children, as a terminal does.
    ///
    /// # Errors
    ///
    /// When there is nobody left to get it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process_group(Pid::from_child(&self.child), signal)?)
    }

    /// Waits until `look` finds something in what has happened so far, and returns that; or None at
    /// the deadline, or as soon as nothing more can happen.
    pub fn wait<T>(
        &mut self,
        deadline: Instant,
        mut look: impl FnMut(&Driven) -> Option<T>,
    ) -> Option<T> {
        loop {
            if let Some(found) = look(self) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Line(stream, line)) => self.lines.push((stream, line)),
                Ok(Event::Ended(at)) => self.ended = Some(at),
                Err(_too_late_or_all_ended) => return None,
            }
        }
    }

    /// All lines so far, in the order in which they reached us. The order of two streams is ours,
    /// not the program's.
    pub fn lines(&self) -> &[(Stream, Line)] {
        &self.lines
    }

    /// The lines so far on one stream.
    pub fn lines_on(&self, stream: Stream) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |(from, _)| *from == stream).map(|(_, line)| line)
    }

    /// When the program ended, if it has and [`Driven::wait`] has seen it.
    pub fn ended(&self) -> Option<Instant> {
        self.ended
    }

    /// The program's processes: itself and its children.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Waits for the end, and for all that was written before it, until the deadline.
    ///
    /// # Errors
    ///
    /// `TimedOut` when it is still running, or a child of it still holds its output open.
    pub fn end_by(&mut self, deadline: Instant) -> io::Result<ExitStatus> {
        // Both streams' threads and the one that waits must have left the channel: then nothing is
        // missing.
        self.wait(deadline, |_| None::<()>);
        match self.events.try_recv() {
            Err(std::sync::mpsc::TryRecvError::Disconnected) if self.ended.is_some() => self.reap(),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Ends the program if it still runs, and says which of its processes are left after a while,
    /// if any. Those are killed.
    pub fn finish(mut self) -> Vec<String> {
        self.kill();
        let deadline = Instant::now() + LEFTOVER_PATIENCE;
        while !self.family.members().is_empty() && Instant::now() < deadline {
            thread::sleep(FAMILY_LOOK);
        }
        self.family.members().iter().map(ToString::to_string).collect()
    }

    /// Kills the program, not its children, and waits until it is gone.
    fn kill(&mut self) {
        self.input = None;
        // Only an end that was already waited for makes these fail, and then there is nothing to
        // do.
        let _ = self.child.kill();
        let _ = self.reap();
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait();
        self.reaped = true;
        status
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // Once the program is reaped and its family gone, the group's number may be a stranger's.
        if !self.reaped || !self.family.members().is_empty() {
            // Fails only when there is nobody left.
            let _ = self.signal(Signal::KILL);
        }
        self.kill();
    }
}

/// The status as a shell shows it: 128 + the signal's number where a signal ended the program.
pub fn shell_status(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// A script's background job is started with interrupts ignored, and whatever it starts inherits
/// that: Ctrl-C would not reach the program. The tool `env` gives it what a terminal gives it, and
/// becomes it, under the same process id.
fn command(exe: &Path) -> Command {
    let mut command = Command::new(exe);
    if ignores_interrupts() {
        command = Command::new("env");
        command.arg("--default-signal=INT,QUIT").arg(exe);
    }
    command
}

/// Are we such a job? Where there is no /proc, we hope not.
fn ignores_interrupts() -> bool {
    const INT_AND_QUIT: u64 = 1 << (2 - 1) | 1 << (3 - 1); // signals 2 and 3
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & INT_AND_QUIT != 0)
}

fn input_of(input: &Input) -> io::Result<(Stdio, Option<PipeWriter>)> {
    Ok(match input {
        Input::Pipe => {
            let (reader, writer) = io::pipe()?;
            (reader.into(), Some(writer))
        }
        Input::Ended(text) => {
            let (reader, mut writer) = io::pipe()?;
            writer.write_all(text.as_bytes())?;
            (reader.into(), None)
        }
        Input::Null => (Stdio::null(), None),
        Input::File(path) => (File::open(path)?.into(), None),
    })
}

fn watch_output(pipe: PipeReader, output: Output, report: &Sender<Event>) -> Option<PipeReader> {
    let limit = match output {
        Output::Read => usize::MAX,
        Output::CloseAfter(lines) => lines,
        Output::Unread => return Some(pipe),
    };
    watch(pipe, Stream::Out, limit, report.clone());
    None
}

/// Stamps up to `limit` lines on a thread, which ends with the stream. Nobody joins it: a
/// grandchild could hold the pipe.
fn watch(pipe: PipeReader, stream: Stream, limit: usize, report: Sender<Event>) {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        for _ in 0..limit {
            let mut bytes = Vec::new();
            match pipe.read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let at = Instant::now();
            let text = String::from_utf8_lossy(&bytes);
            let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
            if report.send(Event::Line(stream, Line { at, text })).is_err() {
                return; // nobody is interested any more
            }
        }
    });
}

/// Reports the end without reaping the program, so that its process id stays its own until `Driven`
/// has done with it.
fn wait_for_end(pid: Pid, report: &Sender<Event>) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    // A failure to send means that the Driven was dropped.
    let _ = report.send(Event::Ended(Instant::now()));
}

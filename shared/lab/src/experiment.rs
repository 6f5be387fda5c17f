//! How an experiment tells what it expects and what it has measured: for a person, or with `--json`
//! as one JSON object a claim, which a ledger can collect.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use lab::experiment::{Experiment, Judgement, Report};
//!
//! const ORDER: Experiment = Experiment::new("ch99-example", "order");
//!
//! fn main() -> ExitCode {
//!     ORDER.main(|report: &mut Report| {
//!         report.expects("f, and then g: two waits one after the other")?;
//!         let waits = 2.0;
//!         report.say(format_args!("{waits} waits"))?;
//!         report.claim("C01", waits, "waits", Judgement::of(waits >= 2.0, || "one wait".into()))
//!     })
//! }
//! ```

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde::Serialize;

/// The exit status of an experiment that was started with arguments it does not know.
const USAGE: u8 = 2;

/// How many threads an experiment starts that does not say it, and that may wait for each other.
const THREADS: usize = 4;

/// How many descriptors an experiment opens that does not say it. Some of them would begin with
/// fewer, and then not end.
const DESCRIPTORS: usize = 32;

/// What an experiment says about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// What was expected was seen.
    AsExpected,
    /// Something else was seen: this.
    Otherwise(String),
    /// Nothing can be said, and why: the machine is busy, or a limit forbids it.
    NotJudged(String),
}

impl Judgement {
    /// What was expected was seen, or else `otherwise` says what was.
    pub fn of(is_as_expected: bool, otherwise: impl FnOnce() -> String) -> Judgement {
        if is_as_expected { Judgement::AsExpected } else { Judgement::Otherwise(otherwise()) }
    }

    /// The same, unless there is a reason why nothing can be said.
    pub fn unless(self, reason: Option<String>) -> Judgement {
        reason.map_or(self, Judgement::NotJudged)
    }

    /// The first that is not [`Judgement::Otherwise`], or the last: for what can be disturbed in a
    /// way that nothing shows.
    pub fn of_tries(tries: usize, mut judge: impl FnMut() -> Judgement) -> Judgement {
        let mut judged = judge();
        for _ in 1..tries {
            if !matches!(judged, Judgement::Otherwise(_)) {
                break;
            }
            judged = judge();
        }
        judged
    }

    /// Fails a test where something else was seen. What was not judged is told in a line that can
    /// be counted.
    ///
    /// # Panics
    ///
    /// When it is [`Judgement::Otherwise`].
    #[track_caller]
    pub fn assert(&self) {
        match self {
            Judgement::AsExpected => {}
            Judgement::Otherwise(seen) => panic!("{seen}"),
            Judgement::NotJudged(reason) => println!("not judged: {reason}"),
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judgement::AsExpected => write!(f, "as expected"),
            Judgement::Otherwise(seen) => write!(f, "otherwise: {seen}"),
            Judgement::NotJudged(reason) => write!(f, "not judged: {reason}"),
        }
    }
}

/// An example of a chapter.
#[derive(Debug, Clone, Copy)]
pub struct Experiment {
    package: &'static str,
    name: &'static str,
    /// The features without which it is not built, separated by commas.
    features: &'static str,
    /// The options beside `--json`. Each takes a value.
    options: &'static [&'static str],
    /// How many threads it starts that wait for each other.
    threads: usize,
    /// How many descriptors it opens at most.
    descriptors: usize,
}

impl Experiment {
    /// The example `name` of a package.
    pub const fn new(package: &'static str, name: &'static str) -> Experiment {
        Experiment {
            package,
            name,
            features: "",
            options: &[],
            threads: THREADS,
            descriptors: DESCRIPTORS,
        }
    }

    /// The same, built with features.
    pub const fn with_features(self, features: &'static str) -> Experiment {
        Experiment { features, ..self }
    }

    /// The same with options, as `url`. Each takes a value.
    pub const fn with_options(self, options: &'static [&'static str]) -> Experiment {
        Experiment { options, ..self }
    }

    /// The same, and it starts so many threads that wait for each other, where that is more than a
    /// few. Where the system allows fewer, it is not judged: one of two would wait for ever. With 0
    /// none is tried, for an experiment that has to start the first one itself.
    pub const fn with_threads(self, threads: usize) -> Experiment {
        Experiment { threads, ..self }
    }

    /// The same, and it opens so many descriptors, where that is more than a few. Where the system
    /// allows fewer, it is not judged.
    pub const fn with_descriptors(self, descriptors: usize) -> Experiment {
        Experiment { descriptors, ..self }
    }

    /// The whole of `main`: refuses arguments that it does not know with status 2, and hands
    /// `measure` a report. The status is 1 after an error. Two errors are none: a reader of the
    /// output that went away, and what this system does not have (of the kind `Unsupported`), with
    /// which nothing can be judged.
    pub fn main(self, measure: impl FnOnce(&mut Report<'_>) -> io::Result<()>) -> ExitCode {
        let mut out = io::stdout().lock();
        let mut report = match self.report(std::env::args_os().skip(1), &mut out) {
            Ok(report) => report,
            Err(error) => {
                let options = self.options.iter().map(|option| format!(", --{option} VALUE"));
                let known: String = options.collect();
                self.complain(&format!("{error} (it takes --json{known})"));
                return ExitCode::from(USAGE);
            }
        };
        match self.try_limits().and_then(|()| measure(&mut report)) {
            Ok(()) if report.is_json && report.claims == 0 => {
                self.complain(&"it settles no claim, so there is nothing to print as JSON");
            }
            Ok(()) => {}
            Err(_) if report.is_unheard => {}
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.complain(&Judgement::NotJudged(error.to_string()));
            }
            Err(error) => {
                self.complain(&error);
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }

    /// Whether this process may have what the experiment needs. An error is of the kind
    /// `Unsupported`.
    fn try_limits(self) -> io::Result<()> {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let pipes: io::Result<Vec<_>> =
            (0..self.descriptors.div_ceil(2)).map(|_| io::pipe()).collect();
        let threads: io::Result<Vec<_>> = (0..self.threads)
            .map(|_| {
                let gate = Arc::clone(&gate);
                thread::Builder::new().spawn(move || drop(gate.lock()))
            })
            .collect();
        drop(closed); // so that those that were started end
        let limited = |what: &str, error: io::Error| {
            let reason = format!("a limit of this system on {what}: {error}");
            io::Error::new(io::ErrorKind::Unsupported, reason)
        };
        pipes.map_err(|error| limited("descriptors", error))?;
        for thread in threads.map_err(|error| limited("threads", error))? {
            thread.join().expect("it only waits");
        }
        Ok(())
    }

    fn complain(self, error: &dyn fmt::Display) {
        // A failure to write to standard error cannot be reported anywhere.
        let _ = writeln!(io::stderr(), "{}: {error}", self.name);
    }

    /// A report that goes to `out`, as the arguments ask for it.
    fn report<I>(self, arguments: I, out: &mut dyn Write) -> Result<Report<'_>, lexopt::Error>
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        use lexopt::prelude::{Long, ValueExt};

        let mut report = Report {
            experiment: self,
            out,
            is_json: false,
            claims: 0,
            is_unheard: false,
            given: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            let known = |name: &str| self.options.iter().find(|option| **option == name).copied();
            match argument {
                Long("json") => report.is_json = true,
                Long(name) if known(name).is_some() => {
                    let name = known(name).expect("the guard has found it");
                    report.given.push((name, parser.value()?.string()?));
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(report)
    }

    /// How a reader repeats it, compiled as it is now.
    fn command(self) -> String {
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        let features = match self.features {
            "" => String::new(),
            features => format!(" --features {features}"),
        };
        format!("cargo run -q{release} -p {}{features} --example {}", self.package, self.name)
    }
}

/// Where an experiment tells what it sees.
pub struct Report<'a> {
    experiment: Experiment,
    out: &'a mut dyn Write,
    is_json: bool,
    claims: usize,
    /// Whoever reads the output has gone away.
    is_unheard: bool,
    given: Vec<(&'static str, String)>,
}

impl Report<'_> {
    /// What an option was given, the last time if several.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut given = self.given.iter().rev();
        given.find(|(option, _)| *option == name).map(|(_, value)| &**value)
    }

    /// What the experiment expects. To be said before anything is measured.
    ///
    /// # Errors
    ///
    /// When writing fails.
    pub fn expects(&mut self, what: impl fmt::Display) -> io::Result<()> {
        self.say(format_args!("Expected: {what}.\n"))?;
        let flushed = self.out.flush();
        self.noted(flushed)
    }

    /// A line for a person: with `--json` it is left out.
    ///
    /// # Errors
    ///
    /// When writing fails.
    pub fn say(&mut self, line: impl fmt::Display) -> io::Result<()> {
        if self.is_json {
            return Ok(());
        }
        let written = writeln!(self.out, "{line}");
        self.noted(written)
    }

    fn noted(&mut self, written: io::Result<()>) -> io::Result<()> {
        self.is_unheard |=
            written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        written
    }

    /// A figure, and what it says about a claim of the sources.
    ///
    /// # Errors
    ///
    /// When writing fails.
    pub fn claim(
        &mut self,
        claim: &str,
        measured: f64,
        unit: &str,
        verdict: Judgement,
    ) -> io::Result<()> {
        /// As the ledger reads it.
        #[derive(Serialize)]
        struct Claim<'a> {
            claim: &'a str,
            measured: f64,
            unit: &'a str,
            verdict: String,
            command: String,
        }

        self.claims += 1;
        if !self.is_json {
            return self.say(format_args!("{claim}: {} {unit}, {verdict}", rounded(measured)));
        }
        let (verdict, command) = (verdict.to_string(), self.experiment.command());
        let claim = Claim { claim, measured, unit, verdict, command };
        let line = serde_json::to_string(&claim)?;
        let written = writeln!(self.out, "{line}");
        self.noted(written)
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("experiment", &self.experiment).finish_non_exhaustive()
    }
}

/// With three digits, or as a whole number where that has more.
fn rounded(figure: f64) -> String {
    match figure.abs() {
        ..1.0 => format!("{figure:.3}"),
        1.0..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Experiment = Experiment::new("ch99-example", "cost").with_options(&["url"]);

    /// The commands as they are where the tests are compiled without `--release`.
    fn debug(text: String) -> String {
        text.replace(" --release", "")
    }

    fn written(arguments: &[&str]) -> Result<String, String> {
        let mut out = Vec::new();
        let mut report = COST.report(arguments, &mut out).map_err(|error| error.to_string())?;
        let url = report.option("url").unwrap_or("none").to_owned();
        report.expects("two of them").expect("a vector takes it");
        report.say(url).expect("a vector takes it");
        let seen = Judgement::of(false, || "one was seen".into());
        report.claim("C01", 1.0, "of them", seen).expect("a vector takes it");
        Ok(String::from_utf8(out).expect("it is UTF-8"))
    }

    #[test]
    fn a_person_reads_what_was_expected_before_what_was_seen() {
        let expected =
            "Expected: two of them.\n\nnone\nC01: 1.00 of them, otherwise: one was seen\n";
        assert_eq!(written(&[]), Ok(expected.to_owned()));
        assert!(written(&["--url", "a"]).is_ok_and(|text| text.contains("\na\n")));
    }

    #[test]
    fn a_ledger_reads_one_object_a_claim() {
        let expected = "{\"claim\":\"C01\",\"measured\":1.0,\"unit\":\"of them\",\
                        \"verdict\":\"otherwise: one was seen\",\
                        \"command\":\"cargo run -q -p ch99-example --example cost\"}\n";
        assert_eq!(written(&["--json"]).map(debug), Ok(expected.to_owned()));
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        for wrong in [&["x"][..], &["--nothing"], &["--url"], &["--json=1"]] {
            assert!(written(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_reader_who_goes_away_is_known_from_an_error_of_the_experiment() {
        struct Gone;

        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let mut gone = Gone;
        let mut report = COST.report([] as [&str; 0], &mut gone).expect("there are no arguments");
        assert!(!report.is_unheard);
        assert!(report.say("a line").is_err() && report.is_unheard);
    }

    #[test]
    fn what_it_needs_is_tried_and_given_back() {
        for _ in 0..100 {
            COST.with_threads(2)
                .with_descriptors(64)
                .try_limits()
                .expect("a test may have two threads");
        }
    }

    #[test]
    fn features_belong_to_the_command() {
        let phases = Experiment::new("ch99-example", "phases").with_features("reqwest");
        let expected = "cargo run -q -p ch99-example --features reqwest --example phases";
        assert_eq!(debug(phases.command()), expected);
        assert_eq!(phases.command().contains("--release"), !cfg!(debug_assertions));
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.5, 1.618_034, 28.44, 8192.0].map(rounded);
        assert_eq!(figures, ["0.500", "1.62", "28.4", "8192"]);
    }

    #[test]
    fn some_tries_are_judged_by_the_first_that_is_as_expected() {
        let mut seen = [false, true, false].into_iter();
        let mut judge = || Judgement::of(seen.next().expect("not so many tries"), || "no".into());
        assert_eq!(Judgement::of_tries(3, &mut judge), Judgement::AsExpected);
        assert_eq!(Judgement::of_tries(1, &mut judge), Judgement::Otherwise("no".into()));
    }

    #[test]
    #[should_panic(expected = "one wait")]
    fn a_test_fails_where_something_else_was_seen() {
        Judgement::NotJudged("the machine is busy".into()).assert();
        Judgement::of(false, || "one wait".into()).assert();
    }
}

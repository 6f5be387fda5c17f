//! The options of the programs.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

use lexopt::Arg;

/// The shortest period of the hellos, in seconds.
pub const EVERY_MIN: f64 = 0.001;
/// The longest period of the hellos, in seconds: a day.
pub const EVERY_MAX: f64 = 86_400.0;
/// The period when none is given, in seconds.
const EVERY_DEFAULT: f64 = 3.0;
/// The most workers that may be asked for. More of them than cores compute nothing sooner.
pub const WORKERS_MAX: usize = 256;

/// An option that only some chapters have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// `--workers N`: how many answers are computed at once.
    Workers,
    /// `--offload`: compute the answers beside the loop.
    Offload,
    /// `--pool rayon|process`: which kind of worker computes the answers.
    Pool,
    /// `--worker`: be a worker process. Only the program itself uses it, so the help does not list
    /// it.
    Worker,
    /// `--multi-thread`: poll the tasks on several threads, where a runtime can do both.
    MultiThread,
    /// `--tokio-stdin`: read with tokio's own standard input, not on a thread of the program's.
    TokioStdin,
    /// `--where PLACE`: where a server computes the answers, one of [`PLACES`].
    Where,
    /// `--serve`: be the server. Only the program itself uses it, so the help does not list it.
    Serve,
}

/// The places at which a server can compute. Its query has the same names.
pub const PLACES: [&str; 4] = ["inline", "pool", "rayon", "process"];
/// The place where none is given.
const PLACE_DEFAULT: &str = "rayon";

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The period of the hellos.
    pub every: Duration,
    /// How many answers are computed at once, where they are computed beside the loop.
    pub workers: NonZero<usize>,
    /// Compute the answers beside the loop.
    pub offload: bool,
    /// Compute the answers in worker processes, not on threads.
    pub processes: bool,
    /// Be a worker process.
    pub worker: bool,
    /// Poll the tasks on several threads.
    pub multi_thread: bool,
    /// Read with tokio's own standard input.
    pub tokio_stdin: bool,
    /// Where a server computes: one of [`PLACES`].
    pub place: &'static str,
    /// Be the server.
    pub serve: bool,
}

/// Two, or the number of cores where that is more: with one worker nothing would be computed beside
/// anything.
pub fn default_workers() -> NonZero<usize> {
    const TWO: NonZero<usize> = NonZero::new(2).expect("two is not zero");
    std::thread::available_parallelism().map_or(TWO, |cores| cores.max(TWO))
}

/// What is wrong with the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> UsageError {
        UsageError(error.to_string())
    }
}

impl Options {
    /// Reads the arguments after the program's name. `None` means that `--help` was among them.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that says in one line which argument is wrong, and what was expected.
    pub fn parse<I>(extras: &[Extra], arguments: I) -> Result<Option<Options>, UsageError>
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        let mut options = Options {
            every: Duration::from_secs_f64(EVERY_DEFAULT),
            workers: default_workers(),
            offload: false,
            processes: false,
            worker: false,
            multi_thread: false,
            tokio_stdin: false,
            place: PLACE_DEFAULT,
            serve: false,
        };
        let has = |extra| extras.contains(&extra);
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Long("every") => options.every = period(&parser.value()?)?,
                Arg::Long("workers") if has(Extra::Workers) => {
                    options.workers = workers(&parser.value()?)?
                }
                Arg::Long("offload") if has(Extra::Offload) => options.offload = true,
                Arg::Long("pool") if has(Extra::Pool) => {
                    options.processes = pool(&parser.value()?)?
                }
                Arg::Long("worker") if has(Extra::Worker) => options.worker = true,
                Arg::Long("multi-thread") if has(Extra::MultiThread) => options.multi_thread = true,
                Arg::Long("tokio-stdin") if has(Extra::TokioStdin) => options.tokio_stdin = true,
                Arg::Long("where") if has(Extra::Where) => options.place = place(&parser.value()?)?,
                Arg::Long("serve") if has(Extra::Serve) => options.serve = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(options))
    }
}

fn period(value: &OsString) -> Result<Duration, UsageError> {
    // The range is asked before the conversion: Duration::from_secs_f64 panics on what is negative,
    // huge or no number. `contains` is false for NaN.
    read::<f64>(value)
        .filter(|seconds| (EVERY_MIN..=EVERY_MAX).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| {
            expected(
                "--every",
                format_args!("a number of seconds from {EVERY_MIN} to {EVERY_MAX}"),
                value,
            )
        })
}

fn workers(value: &OsString) -> Result<NonZero<usize>, UsageError> {
    read::<NonZero<usize>>(value).filter(|workers| workers.get() <= WORKERS_MAX).ok_or_else(|| {
        expected("--workers", format_args!("a whole number from 1 to {WORKERS_MAX}"), value)
    })
}

fn pool(value: &OsString) -> Result<bool, UsageError> {
    match value.to_str() {
        Some("rayon") => Ok(false),
        Some("process") => Ok(true),
        _ => Err(expected("--pool", format_args!("rayon or process"), value)),
    }
}

fn place(value: &OsString) -> Result<&'static str, UsageError> {
    PLACES
        .into_iter()
        .find(|place| value == place)
        .ok_or_else(|| expected("--where", format_args!("inline, pool, rayon or process"), value))
}

fn read<T: FromStr>(value: &OsString) -> Option<T> {
    value.to_str()?.parse().ok()
}

fn expected(option: &str, what: fmt::Arguments<'_>, value: &OsString) -> UsageError {
    UsageError(format!("{option}: expected {what}, got {value:?}"))
}

/// The text of `--help`.
pub(crate) fn help(name: &str, extras: &[Extra]) -> String {
    let mut text = format!(
        "Prints a hello every few seconds, and answers each number with a Fibonacci number.\n\
         \n\
         Usage: {name} [OPTIONS]\n\
         \n\
         It reads standard input, line by line: a whole number from 0 to {max} is answered, \"exit\" ends\n\
         the program, and so does the end of the input.\n\
         \n\
         Options:\n  \
           --every SECONDS       the period of the hellos, {EVERY_MIN} to {EVERY_MAX} (default {EVERY_DEFAULT})\n",
        max = fib_timing::FIB_MAX,
    );
    for extra in extras {
        text.push_str(&match extra {
            Extra::Offload => "  --offload             compute the answers on other threads, beside the loop\n".to_owned(),
            Extra::Pool => "  --pool rayon|process  compute the answers on threads or in processes (default rayon)\n".to_owned(),
            Extra::Workers => format!(
                "  --workers N           {}how many answers are computed at once, 1 to {WORKERS_MAX} \
                 (default here: {})\n",
                if extras.contains(&Extra::Offload) { "with --offload: " } else { "" },
                default_workers()
            ),
            Extra::Worker | Extra::Serve => continue,
            Extra::MultiThread => "  --multi-thread        poll the tasks on several threads (default: on one)\n".to_owned(),
            Extra::TokioStdin => "  --tokio-stdin         read with tokio::io::stdin() (default: on a thread of its own)\n".to_owned(),
            Extra::Where => format!(
                "  --where PLACE         inline, pool, rayon or process: where the server computes \
                 (default {PLACE_DEFAULT})\n"
            ),
        });
    }
    text.push_str("  -h, --help            this text\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extras: &[Extra], arguments: &[&str]) -> Result<Option<Options>, String> {
        Options::parse(extras, arguments).map_err(|e| e.to_string())
    }

    fn every(value: &str) -> Result<Duration, String> {
        parse(&[], &["--every", value]).map(|options| options.expect("no --help was given").every)
    }

    #[test]
    fn the_period_is_three_seconds_or_what_was_asked() {
        let default = parse(&[], &[]).expect("no argument is wrong").expect("no --help was given");
        assert_eq!(default.every, Duration::from_secs(3));
        assert_eq!(every("0.001"), Ok(Duration::from_millis(1)));
        assert_eq!(every("86400"), Ok(Duration::from_secs(86_400)));
        assert_eq!(every("1e1"), Ok(Duration::from_secs(10)));
    }

    #[test]
    fn a_period_that_is_none_is_refused() {
        for value in ["0", "-1", "0.0009", "86401", "nan", "inf", "-inf", "1e300", "", "x", "1s"] {
            let error = every(value).expect_err(value);
            assert_eq!(
                error,
                format!("--every: expected a number of seconds from 0.001 to 86400, got {value:?}")
            );
        }
    }

    #[test]
    fn workers_are_at_least_two_by_default_and_at_most_the_limit() {
        assert!(default_workers().get() >= 2);
        let workers = |value| {
            parse(&[Extra::Workers], &["--workers", value]).map(|o| o.map(|o| o.workers.get()))
        };
        assert_eq!(workers("1"), Ok(Some(1)));
        assert_eq!(workers("256"), Ok(Some(256)));
        for value in ["0", "257", "-1", "1.5", "x"] {
            assert_eq!(
                workers(value),
                Err(format!("--workers: expected a whole number from 1 to 256, got {value:?}"))
            );
        }
    }

    #[test]
    fn a_chapter_without_an_extra_refuses_it() {
        for arguments in [
            ["--workers", "2"],
            ["--pool", "rayon"],
            ["--offload", "x"],
            ["--worker", "x"],
            ["--multi-thread", "x"],
            ["--tokio-stdin", "x"],
            ["--where", "rayon"],
            ["--serve", "x"],
            ["--nonsense", "x"],
            ["stray", "x"],
        ] {
            assert!(parse(&[], &arguments).is_err(), "{arguments:?}");
        }
        assert_eq!(
            parse(&[], &["--every"]),
            Err("missing argument for option '--every'".to_owned())
        );
    }

    #[test]
    fn the_pool_is_rayon_or_process() {
        let processes =
            |value| parse(&[Extra::Pool], &["--pool", value]).map(|o| o.map(|o| o.processes));
        assert_eq!(processes("rayon"), Ok(Some(false)));
        assert_eq!(processes("process"), Ok(Some(true)));
        assert!(processes("gil").is_err());
    }

    #[test]
    fn the_place_is_one_of_four_and_rayon_by_default() {
        let place = |arguments: &[&str]| {
            parse(&[Extra::Where], arguments).map(|options| options.map(|o| o.place))
        };
        assert_eq!(place(&[]), Ok(Some("rayon")));
        for name in PLACES {
            assert_eq!(place(&["--where", name]), Ok(Some(name)));
        }
        assert_eq!(
            place(&["--where", "here"]),
            Err("--where: expected inline, pool, rayon or process, got \"here\"".to_owned())
        );
    }

    #[test]
    fn a_flag_is_off_until_it_is_given() {
        const FLAGS: [Extra; 5] =
            [Extra::Offload, Extra::Worker, Extra::MultiThread, Extra::TokioStdin, Extra::Serve];
        let given = |arguments: &[&str]| {
            let options = parse(&FLAGS, arguments).expect("they are flags of this program");
            let o = options.expect("no --help was given");
            [o.offload, o.worker, o.multi_thread, o.tokio_stdin, o.serve]
        };
        assert_eq!(given(&[]), [false; 5]);
        assert_eq!(given(&["--multi-thread"]), [false, false, true, false, false]);
        assert_eq!(given(&["--tokio-stdin", "--offload"]), [true, false, false, true, false]);
        assert_eq!(given(&["--worker"]), [false, true, false, false, false]);
        assert_eq!(given(&["--serve"]), [false, false, false, false, true]);
        assert_eq!(
            parse(&[], &["--multi-thread"]),
            Err("invalid option '--multi-thread'".to_owned())
        );
    }

    #[test]
    fn help_wins_and_lists_what_the_chapter_has() {
        assert_eq!(parse(&[], &["--help"]), Ok(None));
        let text = help("ch03-parallel", &[Extra::Pool, Extra::Workers, Extra::Worker]);
        assert!(text.contains("--pool rayon|process") && text.contains("--workers N"), "{text}");
        assert!(!text.contains("--worker ") && !text.contains("--offload"), "{text}");
        let text = help("hello_tokio", &[Extra::MultiThread, Extra::TokioStdin]);
        assert!(text.contains("Usage: hello_tokio ["), "{text}");
        assert!(text.contains("--multi-thread  ") && text.contains("--tokio-stdin  "), "{text}");
        let text = help("hello_http", &[Extra::Where, Extra::Serve]);
        assert!(text.contains("--where PLACE  ") && !text.contains("--serve"), "{text}");
    }
}

//! The options of the program.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, ValueExt};

use crate::Limits;
use crate::limits::POOL_TOKENS;

/// The most workers, requests at once and tokens that may be asked for.
pub const COUNT_MAX: usize = 4096;
/// The most threads that may be asked for. All of them are started at once.
pub const THREADS_MAX: usize = 256;
/// The longest time-out, in seconds: a day.
pub const TIMEOUT_MAX: f64 = 86_400.0;
/// The shortest time-out, in seconds.
pub const TIMEOUT_MIN: f64 = 0.001;
/// The longest body that may be allowed, in bytes.
pub const BODY_MAX_MAX: usize = 1 << 30;

/// The option of a worker process. Only the program itself uses it.
#[cfg(unix)]
pub(crate) const WORKER: &str = "--worker";

/// The name of the program.
pub const NAME: &str = "ch08-web-server";

/// What `--help` says.
pub const HELP: &str = "\
ch08-web-server: three ways to wait in a web server, and four places to compute

usage: cargo run -p ch08-web-server -- [options]

  --port N                   the port on 127.0.0.1; 0, the default, lets the system choose one
  --workers N                so many processes that share the listener, under a parent that
                             replaces one that dies (default 1: no parent)
  --threads N                so many threads poll the tasks (default 1: one loop)
  --pool N                   so many blocking handlers at once (default 40)
  --limit-concurrency N      so many requests at once; the next one is answered with 503
  --static DIR               serve the files of DIR below /static/
  --header-timeout SECONDS   for the head of a request, and between two (default 15)
  --body-timeout SECONDS     for the body of a request (default 15)
  --request-timeout SECONDS  for a handler, queues included (default 90)
  --write-timeout SECONDS    for a client that reads nothing (default 30)
  --body-max BYTES           the longest body (default 1048576)
  --grace SECONDS            for what runs when the server is told to end (default 10)
  --half-close               answer a client that has closed its direction
  --help                     this text

Ctrl-C or SIGTERM ends it: what was begun is finished. A second one ends it at once.
";

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// 0 lets the system choose.
    pub port: u16,
    /// How many processes.
    pub workers: NonZero<usize>,
    /// How many threads poll.
    pub threads: NonZero<usize>,
    /// How many tokens the pool has.
    pub pool: NonZero<usize>,
    /// The folder of `--static`.
    pub files: Option<PathBuf>,
    /// The rest.
    pub limits: Limits,
    /// Serve the listener that a parent has given.
    pub(crate) is_worker: bool,
}

const ONE: NonZero<usize> = NonZero::<usize>::MIN;

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 0,
            workers: ONE,
            threads: ONE,
            pool: NonZero::new(POOL_TOKENS).expect("the default is not zero"),
            files: None,
            limits: Limits::default(),
            is_worker: false,
        }
    }
}

impl Options {
    /// Reads the arguments after the program's name. `None` means that `--help` was among them.
    ///
    /// # Errors
    ///
    /// One line that says which argument is wrong, and what was expected.
    pub fn parse<I>(arguments: I) -> Result<Option<Options>, String>
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        Options::read(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())
    }

    fn read(mut parser: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
        let mut options = Options::default();
        let limits = &mut options.limits;
        while let Some(argument) = parser.next()? {
            let Arg::Long(name) = argument else {
                match argument {
                    Arg::Short('h') => return Ok(None),
                    other => return Err(other.unexpected()),
                }
            };
            match name {
                "help" => return Ok(None),
                "port" => options.port = port(&mut parser)?,
                "workers" => options.workers = count(&mut parser, "workers", COUNT_MAX)?,
                "threads" => options.threads = count(&mut parser, "threads", THREADS_MAX)?,
                "pool" => options.pool = count(&mut parser, "pool", COUNT_MAX)?,
                "limit-concurrency" => {
                    limits.concurrency = count(&mut parser, "limit-concurrency", COUNT_MAX)?.get()
                }
                "static" => options.files = Some(folder(&mut parser)?),
                "header-timeout" => limits.header_timeout = seconds(&mut parser, "header-timeout")?,
                "body-timeout" => limits.body_timeout = seconds(&mut parser, "body-timeout")?,
                "request-timeout" => {
                    limits.request_timeout = seconds(&mut parser, "request-timeout")?
                }
                "write-timeout" => limits.write_timeout = seconds(&mut parser, "write-timeout")?,
                "grace" => limits.grace = seconds(&mut parser, "grace")?,
                "body-max" => limits.body_max = bytes(&mut parser, "body-max")?,
                "half-close" => limits.half_close = true,
                "worker" => options.is_worker = true,
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

fn port(parser: &mut lexopt::Parser) -> Result<u16, lexopt::Error> {
    value(parser, "port", "a port from 0 to 65535", |_| true)
}

fn count(
    parser: &mut lexopt::Parser,
    name: &str,
    max: usize,
) -> Result<NonZero<usize>, lexopt::Error> {
    let expected = format!("a whole number from 1 to {max}");
    value(parser, name, &expected, |count: &NonZero<usize>| count.get() <= max)
}

fn seconds(parser: &mut lexopt::Parser, name: &str) -> Result<Duration, lexopt::Error> {
    let expected = format!("seconds from {TIMEOUT_MIN} to {TIMEOUT_MAX}");
    let is_allowed = |seconds: &f64| (TIMEOUT_MIN..=TIMEOUT_MAX).contains(seconds);
    value(parser, name, &expected, is_allowed).map(Duration::from_secs_f64)
}

fn bytes(parser: &mut lexopt::Parser, name: &str) -> Result<usize, lexopt::Error> {
    let expected = format!("bytes from 0 to {BODY_MAX_MAX}");
    value(parser, name, &expected, |bytes| *bytes <= BODY_MAX_MAX)
}

/// The value of an option, if it is of the type and allowed.
fn value<T: FromStr>(
    parser: &mut lexopt::Parser,
    name: &str,
    expected: &str,
    is_allowed: impl Fn(&T) -> bool,
) -> Result<T, lexopt::Error> {
    let text = parser.value()?.string()?;
    let value = text.parse().ok().filter(is_allowed);
    value.ok_or_else(|| format!("--{name}: expected {expected}, got {text:?}").into())
}

fn folder(parser: &mut lexopt::Parser) -> Result<PathBuf, lexopt::Error> {
    let folder = PathBuf::from(parser.value()?);
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(format!("--static: {} is not a folder", folder.display()).into())
    }
}

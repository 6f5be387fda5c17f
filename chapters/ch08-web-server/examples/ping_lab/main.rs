//! N clients and a heartbeat, against any server of the three pings.
//!
//! For each route, N clients send one request each, all at once. Meanwhile one more client asks
//! `/ping` again and again, over a connection of its own: the heartbeat. `terrible-ping` sleeps on
//! the loop's thread, `good-ping` on another thread, `perfect-ping` awaits a sleep. Predict for
//! each how long N requests take, in sleeps, and what becomes of the heartbeat.
//!
//! `cargo run -p ch08-web-server -- --port 8000`, and in another terminal
//! `cargo run -q -p ch08-web-server --features client --example ping_lab -- http://127.0.0.1:8000`

#![forbid(unsafe_code)]

mod measure;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::ValueExt;
use reqwest::Url;

use measure::{BEAT, Plan, Route, Seen, Stats, measure, stats};

/// Each client is a connection, and a descriptor here and in the server.
const CLIENTS_MAX: usize = 5000;

/// How long one handler may be asked to wait, in seconds.
const SECONDS_MIN: f64 = 0.01;
const SECONDS_MAX: f64 = 5.0;

/// A server is not frozen for longer than this on purpose.
const FREEZE_MAX: Duration = Duration::from_secs(20);

/// How long everything takes at most.
const TIME_MAX: Duration = Duration::from_secs(55);

/// From this part of the time on, in which nobody else is answered, a server counts as frozen.
const FROZEN: f64 = 0.5;

/// A wall time of so many waits is more than waiting.
const FLAT_MAX: f64 = 2.0;

const HELP: &str = "\
N clients and a heartbeat against a server of the three pings

usage: ping_lab URL [options]

  --clients N       clients of each route (default: terrible 10, good 100, perfect 1000)
  --seconds S       how long a handler waits (default: 0.1)
  --routes LIST     some of terrible,good,perfect
  --pid PID         the server's process (default: the one that it tells at /stats)
";

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
struct Options {
    server: Url,
    clients: Option<usize>,
    wait: Duration,
    routes: Vec<Route>,
    process: Option<u32>,
}

impl Options {
    /// None when help was asked for.
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
        use lexopt::prelude::{Long, Short, Value};

        let (mut server, mut clients, mut process) = (None, None, None);
        let (mut wait, mut routes) = (Duration::from_millis(100), Route::ALL.to_vec());
        let mut parser = lexopt::Parser::from_args(arguments);
        let text = |error: lexopt::Error| error.to_string();
        while let Some(argument) = parser.next().map_err(text)? {
            match argument {
                Long("clients") => clients = Some(in_range(&value(&mut parser)?, 1, CLIENTS_MAX)?),
                Long("seconds") => {
                    let seconds = in_range(&value(&mut parser)?, SECONDS_MIN, SECONDS_MAX)?;
                    wait = Duration::from_secs_f64(seconds);
                }
                Long("routes") => routes = routes_of(&value(&mut parser)?)?,
                Long("pid") => process = Some(in_range(&value(&mut parser)?, 1, u32::MAX)?),
                Short('h') | Long("help") => return Ok(None),
                Value(address) if server.is_none() => {
                    server = Some(loopback(&address.string().map_err(text)?)?);
                }
                other => return Err(other.unexpected().to_string()),
            }
        }
        let server = server.ok_or("an address is missing, as http://127.0.0.1:8000")?;
        let options = Options { server, clients, wait, routes, process };
        let frozen =
            options.wait * u32::try_from(options.clients(Route::Terrible)).unwrap_or(u32::MAX);
        if options.routes.contains(&Route::Terrible) && frozen > FREEZE_MAX {
            return Err(format!(
                "terrible: that would freeze the server for {frozen:?}, the limit is {FREEZE_MAX:?}"
            ));
        }
        Ok(Some(options))
    }

    fn clients(&self, route: Route) -> usize {
        self.clients.unwrap_or(route.clients())
    }
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(|value| value.string()).map_err(|error| error.to_string())
}

fn in_range<T>(text: &str, min: T, max: T) -> Result<T, String>
where
    T: PartialOrd + Display + std::str::FromStr,
{
    let number = text.parse().ok().filter(|number| (&min..=&max).contains(&number));
    number.ok_or_else(|| format!("expected a number from {min} to {max}, got {text:?}"))
}

fn routes_of(list: &str) -> Result<Vec<Route>, String> {
    let route = |name: &str| Route::ALL.into_iter().find(|route| route.name() == name);
    let one = |name| route(name).ok_or_else(|| format!("no route is called {name:?}"));
    list.split(',').map(one).collect()
}

/// A load goes to this machine and to no other. So the address is read here, and no name is looked
/// up that could lead elsewhere.
fn loopback(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| {
        format!("expected an address as http://127.0.0.1:8000, got {text:?}: {error}")
    })?;
    if url.host_str() == Some("localhost") {
        url.set_host(Some("127.0.0.1")).map_err(|error| error.to_string())?;
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if !host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) {
        return Err(format!("{text:?} is not on this machine, as 127.0.0.1 and [::1] are"));
    }
    if url.scheme() != "http" || url.path() != "/" || url.query().is_some() {
        return Err(format!("expected http://, an address and a port, got {text:?}"));
    }
    Ok(url)
}

fn run(options: &Options, out: &mut dyn Write) -> io::Result<()> {
    allow_many_descriptors()?;
    let until = Instant::now() + TIME_MAX;
    let said = stats(&options.server, until).map_err(|error| {
        let help = "is a server there? Start one: cargo run -p ch08-web-server -- --port 8000";
        io::Error::new(error.kind(), format!("{}: {error}; {help}", options.server))
    })?;
    expect(options, said, out)?;
    let mut verdicts = Vec::new();
    writeln!(out, "\n{HEAD}")?;
    for &route in &options.routes {
        let plan = Plan {
            server: options.server.clone(),
            route,
            clients: options.clients(route),
            wait: options.wait,
            process: options.process.or(said.worker),
            until,
        };
        let seen = measure(&plan)?;
        writeln!(out, "{}", row(&plan, &seen))?;
        let busy =
            if seen.is_busy() { " (and this machine was busy with other things)" } else { "" };
        let verdict = verdict(&plan, &seen, said.tokens);
        verdicts.push(format!("{}: {verdict}{busy}", route.name()));
    }
    writeln!(out, "\n{}", verdicts.join("\n"))
}

/// As many as this process may have without asking anybody.
#[cfg(unix)]
fn allow_many_descriptors() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

#[cfg(not(unix))]
fn allow_many_descriptors() -> io::Result<()> {
    Ok(())
}

/// What one loop makes of it.
fn expect(options: &Options, said: Stats, out: &mut dyn Write) -> io::Result<()> {
    let wait = options.wait;
    writeln!(out, "each request waits {wait:?}, and a heartbeat follows {BEAT:?} after the last")?;
    for &route in &options.routes {
        let clients = options.clients(route);
        let expected = match (route, said.tokens) {
            (Route::Terrible, _) => format!("{clients} × {wait:?}, and no heartbeat meanwhile"),
            (Route::Good, Some(tokens)) => {
                format!("{} × {wait:?}, {tokens} at a time", clients.div_ceil(tokens))
            }
            (Route::Good, None) => format!("{wait:?} for as many as there are threads"),
            (Route::Perfect, _) => format!("{wait:?} for all, and not one thread more"),
        };
        writeln!(out, "expected of {:<9}{expected}", route.name())?;
    }
    Ok(())
}

const HEAD: &str = "                        in        latency in ms         longest
route    clients wall s waits    min median    max steps gap ms  threads   MiB errors";

fn row(plan: &Plan, seen: &Seen) -> String {
    let latency = |place: usize| seen.latencies.get(place).map_or(0, Duration::as_millis);
    let (count, unknown) = (seen.latencies.len(), || "–".to_owned());
    let threads = seen.watched.threads.map(|(before, peak)| format!("{before}→{peak}"));
    let memory = seen.watched.memory.map(|kib| format!("{:.1}", kib as f64 / 1024.0));
    format!(
        "{:<9}{:>7}{:>7.2}{:>6.1}{:>7}{:>7}{:>7}{:>6}{:>7}{:>9}{:>6}{:>7}",
        plan.route.name(),
        plan.clients,
        seen.wall.as_secs_f64(),
        seen.waits(),
        latency(0),
        latency(count / 2),
        latency(count.saturating_sub(1)),
        seen.steps(),
        seen.longest_gap.as_millis(),
        threads.unwrap_or_else(unknown),
        memory.unwrap_or_else(unknown),
        seen.errors.len(),
    )
}

/// The shape of what was seen, in words.
fn verdict(plan: &Plan, seen: &Seen, tokens: Option<usize>) -> String {
    if let Some(why) = seen.errors.first() {
        return format!("not judged: {} requests failed, as with {why:?}", seen.errors.len());
    }
    let waits =
        format!("wall {:.2} s = {:.1} × {:?}", seen.wall.as_secs_f64(), seen.waits(), seen.wait);
    let gap = format!("the longest gap is {:.0} % of the wall", 100.0 * seen.frozen());
    if plan.route == Route::Terrible {
        let frozen = if seen.frozen() >= FROZEN { "frozen" } else { "not frozen" };
        return format!("{frozen} ({gap}): {waits}");
    }
    match (seen.steps(), tokens.or(seen.new_threads())) {
        (0 | 1, _) if seen.waits() <= FLAT_MAX => format!("flat: {waits}"),
        (0 | 1, _) => format!("flat, but more work than waiting: {waits}"),
        (steps, Some(at_once)) if plan.route == Route::Good => {
            format!("a staircase of {at_once}, with {steps} steps: {waits}")
        }
        (steps, _) => format!("a staircase of {steps} steps: {waits}"),
    }
}

fn main() -> ExitCode {
    let fail = |error: &dyn Display, status: u8| {
        command_line::complain(&format!("ping_lab: {error}\n"));
        ExitCode::from(status)
    };
    let out = &mut io::stdout();
    let result = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => run(&options, out),
        Ok(None) => out.write_all(HELP.as_bytes()),
        Err(error) => return fail(&format!("{error} (--help lists the options)"), 2),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error, 1),
        _ => ExitCode::SUCCESS,
    }
}

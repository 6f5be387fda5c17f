//! One program, three phases: fetch a page, format its headers, write them to a file.
//!
//! A text calls the first and the last I/O-bound, and the one between CPU-bound. Predict for each
//! phase whether the CPU has something to do, and how long it takes.
//!
//! `cargo run -p ch01-sync --features reqwest --example phases`, and with `-- --url http://…`
//! another server than the one on this machine, which takes 200 ms.

#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lab::cpu_time;
use lab::experiment::{Experiment, Report};
use lab::late_server::LateServer;
use reqwest::blocking::Client;
use reqwest::header::HeaderMap;

const EXPERIMENT: Experiment =
    Experiment::new("ch01-sync", "phases").with_features("reqwest").with_options(&["url"]);

// ANCHOR: phases
fn fetch(client: &Client, url: &str) -> io::Result<HeaderMap> {
    let response = client.get(url).send().map_err(explained)?;
    Ok(response.error_for_status().map_err(explained)?.headers().clone())
}

fn format(headers: &HeaderMap) -> String {
    let line = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
    };
    headers.iter().map(line).collect()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}
// ANCHOR_END: phases

/// What a phase took: on the clock, and of a CPU in all threads of this process. `None` where the
/// system does not say.
#[derive(Debug, Clone, Copy)]
struct Phase {
    wall: Duration,
    on_cpu: Option<Duration>,
}

// ANCHOR: phase
fn phase<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Phase)> {
    let (start, before) = (Instant::now(), cpu_time::of_process().ok());
    let value = work()?;
    let (after, wall) = (cpu_time::of_process().ok(), start.elapsed());
    let on_cpu = after.zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok((value, Phase { wall, on_cpu }))
}
// ANCHOR_END: phase

/// The file in which the headers are for a moment.
struct Headers(PathBuf);

impl Headers {
    /// Another one at each call.
    fn new() -> Headers {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);

        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Headers(env::temp_dir().join(format!("headers-{}-{number}.txt", process::id())))
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // an error: it was not written
    }
}

struct Run {
    phases: [(&'static str, Phase); 3],
    text: String,
}

/// A server that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);

fn run(url: &str, file: &Headers) -> io::Result<Run> {
    // No proxy: a request to this machine should not leave it.
    let client = Client::builder().timeout(PATIENCE).no_proxy().build().map_err(explained)?;
    let (headers, fetched) = phase(|| fetch(&client, url))?;
    let (text, formatted) = phase(|| Ok(format(&headers)))?;
    let ((), written) = phase(|| write(&file.0, &text))?;
    let text = fs::read_to_string(&file.0)?;
    Ok(Run { phases: [("fetch", fetched), ("format", formatted), ("write", written)], text })
}

/// An error of the client with its causes, which it does not tell by itself.
fn explained(error: reqwest::Error) -> io::Error {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    io::Error::other(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    const DELAY: Duration = Duration::from_millis(200);

    report.expects("the fetch waits, nearly all the time; the two others only compute")?;
    let server = LateServer::start(DELAY, "a page")?;
    let url = report.option("url").map_or_else(|| server.url(""), str::to_owned);
    let Run { phases, text } = run(&url, &Headers::new())?;
    report.say(format_args!("{:8}{:>12}{:>14}", "in ms", "wall", "on a CPU"))?;
    for (name, Phase { wall, on_cpu }) in phases {
        let [wall, on_cpu] = [Some(wall), on_cpu].map(|time| {
            time.map_or("unknown".to_owned(), |time| format!("{:.3}", time.as_secs_f64() * 1e3))
        });
        report.say(format_args!("{name:8}{wall:>12}{on_cpu:>14}"))?;
    }
    report.say(format_args!("\nthe file:\n{}", text.trim_end()))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fetch_waits() {
        const DELAY: Duration = Duration::from_millis(100);

        let server = LateServer::start(DELAY, "a page").expect("a port is free");
        let file = Headers::new();
        // The quickest of some: a busy disk may keep one of them waiting.
        let runs = [(); 3].map(|()| run(&server.url("page"), &file).expect("loopback works"));
        let quickest = |phase: usize| runs.iter().map(|run| run.phases[phase].1.wall).min();
        assert!(quickest(0) >= Some(DELAY), "{:?}", quickest(0));
        assert!(quickest(1) < Some(DELAY) && quickest(2) < Some(DELAY), "they do not wait");
        let Run { phases: [(_, fetched), ..], text } = &runs[0];
        assert!(text.contains("server: late\n") && text.contains("content-length: 6\n"), "{text}");
        if let Some(on_cpu) = fetched.on_cpu {
            assert!(on_cpu < fetched.wall, "{fetched:?}");
        }
        let path = file.0.clone();
        drop(file);
        assert!(!path.exists(), "no file stays behind");
    }

    #[test]
    fn what_is_no_page_is_an_error() {
        let error = |url| run(url, &Headers::new()).map(|run| run.text).expect_err("there is none");
        assert!(error("http://127.0.0.1:0/").to_string().contains("127.0.0.1:0"));
        assert!(error("no address").to_string().contains("URL"));
    }
}

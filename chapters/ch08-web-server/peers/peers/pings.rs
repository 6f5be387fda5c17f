//! The three pings of each server, and whether they have their shapes.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::measure::{BEAT, Plan, Route, Seen, Stats, measure, stats};
use crate::options::Options;
use crate::servers::{Server, with_pings};
use crate::shapes::{self, Verdict};
use crate::table::{head, line, median};

/// How long a handler waits.
const WAIT: Duration = Duration::from_millis(100);

/// A server is measured for no longer.
const TIME_MAX: Duration = Duration::from_secs(40);

/// What was seen of one route of a server, a round after the other.
struct Row {
    server: Server,
    route: Route,
    rounds: Vec<Seen>,
}

pub(crate) fn everything(options: &Options, out: &mut dyn Write) -> io::Result<Vec<Verdict>> {
    let mut rows = Vec::new();
    for server in with_pings(options) {
        let row = |route| Row { server, route, rounds: Vec::new() };
        rows.extend(Route::ALL.map(row));
    }
    let sizes = options.sizes;
    for round in 0..sizes.ping_rounds_max {
        if round >= sizes.ping_rounds
            && rows.iter().flat_map(judge).all(|one| one == Verdict::Holds)
        {
            break;
        }
        command_line::complain(&format!("pings, round {round}\n"));
        for of_a_server in rows.chunk_by_mut(|a, b| a.server == b.server) {
            measure_one(of_a_server, options)?;
        }
    }
    write!(out, "{}\n{}", markdown(&rows), words(&rows))?;
    Ok(rows.iter().flat_map(judge).collect())
}

/// In a process that has served nobody before: threads that were started stay for a while.
fn measure_one(rows: &mut [Row], options: &Options) -> io::Result<()> {
    let Some(server) = rows.first().map(|row| row.server) else { return Ok(()) };
    let process = server.start(options)?;
    let until = Instant::now() + TIME_MAX;
    let expected = Stats { worker: Some(process.id()), tokens: Some(server.tokens()) };
    let said = stats(&process.url, until)?;
    if said != expected {
        let wrong = format!("{}: /stats should tell {expected:?}: {said:?}", server.name());
        return Err(io::Error::other(wrong));
    }
    for row in rows {
        row.rounds.push(measure(&Plan {
            server: process.url.clone(),
            route: row.route,
            clients: row.route.clients(),
            wait: WAIT,
            process: Some(process.id()),
            until,
        })?);
    }
    Ok(())
}

fn judge(row: &Row) -> Vec<Verdict> {
    let shapes = shapes::of(row.route).iter();
    shapes.map(|shape| shape.judge(row.server, row.route, &row.rounds)).collect()
}

fn markdown(rows: &[Row]) -> String {
    let words = ["server", "ping"];
    let figures = ["clients", "wall", "÷ ideal", "longest heartbeat gap", "threads", "most memory"];
    let lines: String = rows.iter().map(Row::markdown).collect();
    head(&words, &figures) + &lines
}

impl Row {
    fn markdown(&self) -> String {
        let of = |figure: fn(&Seen) -> f64| median(self.rounds.iter().map(figure));
        let of_some =
            |figure: fn(&Seen) -> Option<f64>| median(self.rounds.iter().filter_map(figure));
        let text = |figure: Option<f64>, digits: usize, unit: &str| {
            figure.map_or("–".to_owned(), |figure| format!("{figure:.digits$}{unit}"))
        };
        let wall = of(|seen| seen.wall.as_secs_f64());
        let before = of_some(|seen| seen.watched.threads.map(|(before, _)| before as f64));
        let peak = of_some(|seen| seen.watched.threads.map(|(_, peak)| peak as f64));
        line([
            self.server.name().to_owned(),
            self.route.name().to_owned(),
            self.route.clients().to_string(),
            text(wall, 2, " s"),
            text(wall.map(|wall| wall / self.ideal().as_secs_f64()), 2, ""),
            text(of(|seen| 1000.0 * seen.longest_gap.as_secs_f64()), 0, " ms"),
            format!("{} → {}", text(before, 0, ""), text(peak, 0, "")),
            text(of_some(|seen| seen.watched.memory.map(|kib| kib as f64 / 1024.0)), 0, " MiB"),
        ])
    }

    /// The time in which the waits alone could be over.
    fn ideal(&self) -> Duration {
        let at_once = match self.route {
            Route::Terrible => 1,
            Route::Good => self.server.tokens(),
            Route::Perfect => usize::MAX,
        };
        let groups = self.route.clients().div_ceil(at_once);
        WAIT * u32::try_from(groups).expect("there are few clients")
    }
}

fn words(rows: &[Row]) -> String {
    let rounds = match rows.iter().map(|row| row.rounds.len()).max() {
        Some(rounds @ 2..) => format!("Medians of {rounds} rounds"),
        _ => "One round".to_owned(),
    };
    format!(
        "Each handler waits {WAIT:?}. {rounds}, each with a fresh process. Ideal \
         is the time of the waits alone: terrible one after the other, good 40 at a time (axum: \
         512), perfect all at once. All clients are connected before the first one asks. \
         The heartbeat is another client that asks for `/ping` {BEAT:?} after it was answered.\n\n"
    )
}

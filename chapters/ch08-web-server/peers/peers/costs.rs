//! What a request and an idle connection cost each server: its CPU time and its memory.
//!
//! In rounds, in which all have their turn. Each is compared with bare hyper in the same round, so
//! that what slows the machine down for a while slows down both.

use std::io::{self, Write};

use crate::load::Client;
use crate::options::{Options, Sizes};
use crate::process::{cpu_time, resident};
use crate::servers::Server::{self, Axum, FastApiUvloop, Hyper, Ours};
use crate::servers::all;
use crate::shapes::Verdict;
use crate::table::{head, line, median, ratios, spread};

/// With so many connections the CPU time of a request is measured.
const FEW: usize = 64;
const MANY: usize = 1000;

/// So many requests on each connection are not measured.
const WARM_UP: usize = 5;

/// So many connections are open before the memory of the idle ones is measured. With the first ones
/// a server makes what it needs once.
const FIRST_CONNECTIONS: usize = 100;

/// Who had to wait for a core so long, as a part of the time that it had one, was not alone.
const WAITED_MAX: f64 = 0.3;

/// What is compared with bare hyper, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cost {
    /// A request's CPU time in nanoseconds, with so many connections.
    Cpu(usize),
    /// An idle connection's memory in bytes.
    Memory,
}

const COSTS: [Cost; 3] = [Cost::Cpu(FEW), Cost::Cpu(MANY), Cost::Memory];

/// The figures of a server: of each cost one a round.
struct Row {
    server: Server,
    costs: [Vec<f64>; COSTS.len()],
    /// Of each cost, the rounds in which the machine was busy with other things.
    busy_rounds: [usize; COSTS.len()],
}

pub(crate) fn everything(options: &Options, out: &mut dyn Write) -> io::Result<Vec<Verdict>> {
    let row = |server| Row { server, costs: Default::default(), busy_rounds: [0; COSTS.len()] };
    let mut rows: Vec<Row> = all(options).into_iter().map(row).collect();
    for (place, cost) in COSTS.iter().enumerate() {
        for round in 0..options.sizes.cost_rounds {
            command_line::complain(&format!("{}, round {round}\n", cost.what()));
            for row in &mut rows {
                let (figure, is_busy) = cost.measure(row.server, options)?;
                row.costs[place].push(figure);
                row.busy_rounds[place] += usize::from(is_busy);
            }
        }
    }
    writeln!(out, "{}\n{}", markdown(&rows), words(options.sizes))?;
    let judged = PROMISES.iter().map(|promise| promise.judge(&rows));
    let (seen, verdicts): (Vec<String>, Vec<Verdict>) = judged.unzip();
    for promise in seen {
        command_line::complain(&format!("{promise}\n"));
    }
    Ok(verdicts)
}

impl Cost {
    /// Of a process that has served nobody before. And whether the machine was busy with other
    /// things: other processes that use a core leave less of its caches.
    fn measure(self, server: Server, options: &Options) -> io::Result<(f64, bool)> {
        let process = server.start(options)?;
        let mut client = Client::new(&process.url)?;
        match self {
            Cost::Cpu(connections) => {
                client.connect(connections)?;
                client.waves(WARM_UP)?;
                let waves = requests(server, options.sizes).div_ceil(connections);
                let before = cpu_time(process.id())?;
                client.waves(waves)?;
                let after = cpu_time(process.id())?;
                let used = after.used - before.used;
                let is_busy = after.waited - before.waited > WAITED_MAX * used;
                Ok((used / (waves * connections) as f64, is_busy))
            }
            Cost::Memory => {
                let connections = options.sizes.idle_connections;
                client.connect(FIRST_CONNECTIONS)?;
                let before = resident(process.id())?;
                client.connect(connections)?;
                Ok(((resident(process.id())? - before) / connections as f64, false))
            }
        }
    }

    /// The head of its column.
    fn title(self) -> String {
        match self {
            Cost::Cpu(connections) => format!("CPU, {connections} connections"),
            Cost::Memory => "idle connection".to_owned(),
        }
    }

    fn what(self) -> String {
        match self {
            Cost::Cpu(connections) => format!("CPU time a request, {connections} connections"),
            Cost::Memory => "memory an idle connection".to_owned(),
        }
    }

    fn text(self, figure: f64) -> String {
        match self {
            Cost::Cpu(_) => format!("{:.1} µs", figure / 1000.0),
            Cost::Memory => format!("{figure:.0} B"),
        }
    }
}

fn requests(server: Server, sizes: Sizes) -> usize {
    if server.is_python() { sizes.requests_of_python } else { sizes.requests }
}

/// What one server costs, divided by what another costs in the same round, and a limit for it.
struct Promise {
    cost: Cost,
    of: Server,
    to: Server,
    limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

use Limit::{AtLeast, AtMost};

const fn promise(cost: Cost, of: Server, limit: Limit, to: Server) -> Promise {
    Promise { cost, of, to, limit }
}

// ANCHOR: promises
const PROMISES: &[Promise] = &[
    // Somewhat above what was seen: 1.08 to 1.22 of bare hyper, and level with axum.
    promise(Cost::Cpu(FEW), Ours, AtMost(1.25), Hyper),
    promise(Cost::Cpu(MANY), Ours, AtMost(1.25), Hyper),
    promise(Cost::Cpu(FEW), Ours, AtMost(1.1), Axum),
    promise(Cost::Cpu(MANY), Ours, AtMost(1.1), Axum),
    promise(Cost::Cpu(FEW), FastApiUvloop, AtLeast(5.0), Ours),
    // Level: what differs is a timer, for the header time-out that bare hyper does not have.
    promise(Cost::Memory, Ours, AtMost(1.01), Hyper),
];
// ANCHOR_END: promises

impl Promise {
    /// In words, and whether it holds. A machine that is busy with other things can hide that, so
    /// one round is enough.
    fn judge(&self, rows: &[Row]) -> (String, Verdict) {
        let what = format!(
            "{}: {} {}",
            self.cost.what(),
            self.of.name(),
            match self.limit {
                AtMost(limit) => format!("at most {limit} of {}", self.to.name()),
                AtLeast(limit) => format!("at least {limit} of {}", self.to.name()),
            }
        );
        let row = |server| rows.iter().find(|row| row.server == server);
        let (Some(of), Some(to)) = (row(self.of), row(self.to)) else {
            return (format!("{what}: –"), Verdict::NotJudged(format!("{what}: no Python")));
        };
        let place = COSTS.iter().position(|cost| *cost == self.cost).expect("it is measured");
        let ratios = ratios(&of.costs[place], &to.costs[place]);
        let seen = format!("{what}: {}", spread(&ratios));
        let holds = |ratio: &f64| match self.limit {
            AtMost(limit) => *ratio <= limit,
            AtLeast(limit) => *ratio >= limit,
        };
        let is_busy = of.busy_rounds[place].max(to.busy_rounds[place]) == ratios.len();
        let verdict = match ratios.iter().any(holds) {
            true => Verdict::Holds,
            false if is_busy => Verdict::NotJudged(format!("{seen}: the machine is busy")),
            false => Verdict::Wrong(seen.clone()),
        };
        (seen, verdict)
    }
}

fn markdown(rows: &[Row]) -> String {
    let titles = COSTS.map(Cost::title);
    let lines: String = rows.iter().map(|row| row.markdown(&rows[0])).collect();
    head(&["server"], &titles.each_ref().map(|title| &**title)) + &lines
}

impl Row {
    fn markdown(&self, one: &Row) -> String {
        let mut cells = vec![self.server.name().to_owned()];
        for (place, cost) in COSTS.iter().enumerate() {
            let figures = &self.costs[place];
            let figure = median(figures.iter().copied());
            let figure = figure.map_or("–".to_owned(), |figure| cost.text(figure));
            cells.push(match self.server == one.server {
                true => figure,
                false => format!("{figure}: {}", spread(&ratios(figures, &one.costs[place]))),
            });
        }
        line(cells)
    }
}

fn words(sizes: Sizes) -> String {
    format!(
        "Medians of {rounds} rounds, each with a fresh process. After the colon, divided by bare \
         hyper: the median of the rounds' ratios, and in parentheses the lowest and the \
         highest. CPU: the time of all threads of the server's process, user and kernel, for one \
         `GET /ping` over connections that are kept alive. Idle connection: what {idle} \
         connections that were answered once add to the resident memory of the process; what the \
         kernel has for them is not in it.\n",
        rounds = sizes.cost_rounds,
        idle = sizes.idle_connections,
    )
}

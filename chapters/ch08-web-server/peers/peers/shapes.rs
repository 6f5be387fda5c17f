//! What must be seen of each ping, whatever machine this is.

use crate::measure::{Route, Seen};
use crate::servers::Server;

/// Nobody is woken early. But a wall time begins with the first request, and that was on its way
/// for a moment.
const ALMOST: f64 = 0.97;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    /// What, and what was seen instead.
    Wrong(String),
    /// What, and why.
    NotJudged(String),
}

/// One thing that is expected.
pub(crate) struct Shape {
    pub(crate) what: &'static str,
    pub(crate) when: When,
    pub(crate) holds: fn(&Seen, Server) -> bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// A busy machine cannot break it: it holds in every round.
    Always,
    /// A busy machine can hide it: it holds in one round at least.
    Once,
}

use When::{Always, Once};

const ANSWERED: Shape = Shape {
    what: "every request is answered",
    when: Always,
    holds: |seen, _| seen.errors.is_empty(),
};

const TERRIBLE: &[Shape] = &[
    ANSWERED,
    Shape {
        what: "one request waits after the other",
        when: Always,
        holds: |seen, _| seen.waits() >= ALMOST * seen.latencies.len() as f64,
    },
    Shape {
        what: "meanwhile nobody else is answered",
        when: Once,
        holds: |seen, _| seen.frozen() >= 0.8,
    },
];

const GOOD: &[Shape] = &[
    ANSWERED,
    Shape {
        what: "as many at a time as there are tokens",
        when: Always,
        holds: |seen, server| seen.waits() >= ALMOST * stairs(seen, server) as f64,
    },
    Shape {
        what: "a group is answered a wait after another",
        when: Once,
        holds: |seen, server| seen.steps() == stairs(seen, server),
    },
    Shape { what: "the heart goes on", when: Once, holds: |seen, _| seen.frozen() < 0.5 },
    Shape {
        what: "no more threads than it may start",
        when: Always,
        holds: |seen, server| threads_within(seen, server),
    },
    Shape {
        what: "a thread for each request, or for each token",
        when: Once,
        holds: |seen, server| {
            let wanted = seen.latencies.len().min(server.tokens());
            seen.new_threads().is_none_or(|new| new >= wanted)
        },
    },
];

const PERFECT: &[Shape] = &[
    ANSWERED,
    Shape {
        what: "no staircase",
        when: Once,
        holds: |seen, _| seen.steps() <= 3, // in groups of 40 it would have 25 steps
    },
    Shape {
        what: "all in a few waits",
        when: Once,
        holds: |seen, server| seen.waits() <= if server.is_python() { 12.0 } else { 3.0 },
    },
    Shape {
        what: "not one thread more",
        when: Once,
        holds: |seen, _| seen.new_threads().is_none_or(|new| new == 0),
    },
];

pub(crate) fn of(route: Route) -> &'static [Shape] {
    match route {
        Route::Terrible => TERRIBLE,
        Route::Good => GOOD,
        Route::Perfect => PERFECT,
    }
}

/// How many groups the requests form.
fn stairs(seen: &Seen, server: Server) -> usize {
    seen.latencies.len().div_ceil(server.tokens())
}

/// anyio starts a thread a token. tokio may start one for the next request while the last one's
/// thread, which has given its token back, is still on its way to the queue.
fn threads_within(seen: &Seen, server: Server) -> bool {
    let max = if server.is_python() { server.tokens() } else { 2 * server.tokens() };
    seen.new_threads().is_none_or(|new| new <= max)
}

impl Shape {
    /// Judges what was seen in all rounds.
    pub(crate) fn judge(&self, server: Server, route: Route, rounds: &[Seen]) -> Verdict {
        let what = format!("{}, {}: {}", server.name(), route.name(), self.what);
        let wrong = rounds.iter().rfind(|seen| !(self.holds)(seen, server));
        let holds = rounds.iter().any(|seen| (self.holds)(seen, server));
        match (self.when, wrong) {
            (_, None) => Verdict::Holds,
            (Once, _) if holds => Verdict::Holds,
            (Once, Some(_)) if rounds.iter().all(Seen::is_busy) => {
                Verdict::NotJudged(format!("{what}: the machine is busy with other things"))
            }
            (_, Some(seen)) => Verdict::Wrong(format!("{what}: {}", told(seen))),
        }
    }
}

fn told(seen: &Seen) -> String {
    format!(
        "{} answers and {} errors in {:.2} waits and {} steps, the longest gap {:?}, new threads \
         {:?}; a thread was late by {:?}, and the loop without a core for {:?}",
        seen.latencies.len(),
        seen.errors.len(),
        seen.waits(),
        seen.steps(),
        seen.longest_gap,
        seen.new_threads(),
        seen.watched.late,
        seen.watched.without_a_core,
    )
}

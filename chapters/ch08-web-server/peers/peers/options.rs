//! What was asked for, and how much of it is measured.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
This chapter's server beside axum, bare hyper, and FastAPI on uvicorn

usage: peers [options] [pings] [costs]

  --python PATH     a Python that has what requirements.txt lists; without it no FastAPI
  --quick           fewer rounds
  --check           one round; the status is 1 where a shape does not hold
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Pings,
    Costs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) python: Option<PathBuf>,
    pub(crate) sizes: Sizes,
    /// All, if none is named.
    parts: Vec<Part>,
}

/// How many rounds and requests there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) ping_rounds: usize,
    /// Where a shape is not seen in these rounds, there are more of them, up to so many.
    pub(crate) ping_rounds_max: usize,
    pub(crate) cost_rounds: usize,
    /// Requests to a server in one round, over all its connections.
    pub(crate) requests: usize,
    /// The same for a server that takes ten times as long for each.
    pub(crate) requests_of_python: usize,
    pub(crate) idle_connections: usize,
}

const FULL: Sizes = Sizes {
    ping_rounds: 5,
    ping_rounds_max: 5,
    cost_rounds: 7,
    requests: 40_000,
    requests_of_python: 8_000,
    idle_connections: 5000,
};

const QUICK: Sizes =
    Sizes { ping_rounds: 3, cost_rounds: 3, requests: 20_000, requests_of_python: 4_000, ..FULL };

const CHECK: Sizes = Sizes {
    ping_rounds: 1,
    ping_rounds_max: 3,
    cost_rounds: 3,
    requests: 5_000,
    requests_of_python: 2_000,
    idle_connections: 1000,
};

impl Options {
    /// None when help was asked for.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Option<Options>, lexopt::Error> {
        use lexopt::prelude::{Long, Short, Value};

        let mut options = Options { python: None, sizes: FULL, parts: Vec::new() };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("python") => options.python = Some(parser.value()?.into()),
                Long("quick") => options.sizes = QUICK,
                Long("check") => options.sizes = CHECK,
                Short('h') | Long("help") => return Ok(None),
                Value(part) if part == "pings" => options.parts.push(Part::Pings),
                Value(part) if part == "costs" => options.parts.push(Part::Costs),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }

    pub(crate) fn does(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}

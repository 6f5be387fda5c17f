//! What each implementation is expected to show.
//!
//! The ✗ are promises as well: an implementation that shows what its model of waiting cannot show
//! is a failure, since the text would then be wrong. A cell is changed only when a measurement is
//! understood.

use crate::behaviour::Behaviour;

/// What stands in one cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The behaviour must be shown.
    Shown,
    /// The behaviour must not be shown.
    NotShown,
    /// There is nothing to judge: a program that never sleeps has no wake-ups.
    NotApplicable,
    /// It depends on the machine, or on who comes first, and not on the model. No measurement
    /// disagrees with it.
    Varies,
    /// Nobody knows yet. No measurement disagrees with it.
    Unknown,
}

/// The built program that stands for an implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A package's main program, built without features, as a reader gets it.
    Main {
        /// The package, and the program's name.
        package: &'static str,
        /// The options that choose the implementation.
        args: &'static [&'static str],
        /// Does it take `--workers`?
        takes_workers: bool,
    },
    /// An example of a package.
    Example {
        /// The package.
        package: &'static str,
        /// The example, and the program's name. No other example of the workspace is called so.
        example: &'static str,
        /// The features of the package that it needs.
        features: &'static [&'static str],
        /// The options that choose the implementation.
        args: &'static [&'static str],
        /// Does it take `--workers`?
        takes_workers: bool,
    },
    /// There is none yet. Its row is kept for whoever writes it, and shown nowhere.
    NotBuilt,
}

impl Program {
    /// The package that it is built from.
    pub fn package(&self) -> Option<&'static str> {
        match *self {
            Program::Main { package, .. } | Program::Example { package, .. } => Some(package),
            Program::NotBuilt => None,
        }
    }

    /// The name of the built file.
    pub fn name(&self) -> Option<&'static str> {
        match *self {
            Program::Main { package, .. } => Some(package),
            Program::Example { example, .. } => Some(example),
            Program::NotBuilt => None,
        }
    }

    /// The options that choose the implementation.
    pub fn args(&self) -> &'static [&'static str] {
        match *self {
            Program::Main { args, .. } | Program::Example { args, .. } => args,
            Program::NotBuilt => &[],
        }
    }

    /// Does it take `--workers`?
    pub fn takes_workers(&self) -> bool {
        match *self {
            Program::Main { takes_workers, .. } | Program::Example { takes_workers, .. } => {
                takes_workers
            }
            Program::NotBuilt => false,
        }
    }

    const fn with_workers(self) -> Program {
        match self {
            Program::Main { package, args, .. } => {
                Program::Main { package, args, takes_workers: true }
            }
            Program::Example { package, example, features, args, .. } => {
                Program::Example { package, example, features, args, takes_workers: true }
            }
            Program::NotBuilt => Program::NotBuilt,
        }
    }
}

/// One implementation and what it is expected to show.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The program's name and the options that choose the implementation; for what is not built, a
    /// description.
    pub name: &'static str,
    /// How we start it.
    pub program: Program,
    /// One cell for each behaviour, in the order of [`Behaviour::ALL`].
    pub cells: [Cell; Behaviour::ALL.len()],
}

impl Row {
    /// What this implementation is expected to do about `behaviour`.
    pub fn cell(&self, behaviour: Behaviour) -> Cell {
        self.cells[behaviour.column()]
    }

    /// Is it a program, and does its name or the name of its package begin with `start`?
    pub fn is_called(&self, start: &str) -> bool {
        self.program
            .package()
            .is_some_and(|package| package.starts_with(start) || self.name.starts_with(start))
    }
}

const fn main_program(package: &'static str, args: &'static [&'static str]) -> Program {
    Program::Main { package, args, takes_workers: false }
}

/// A runtime of the ecosystem, each behind the feature of its name.
const fn hello(
    example: &'static str,
    features: &'static [&'static str],
    args: &'static [&'static str],
) -> Program {
    Program::Example { package: "ch07-asyncio", example, features, args, takes_workers: false }
}

/// The web server and its client.
const fn http(args: &'static [&'static str]) -> Program {
    let (package, example) = ("ch08-web-server", "hello_http");
    Program::Example { package, example, features: &[], args, takes_workers: false }
}

const fn row(name: &'static str, program: Program, cells: [Cell; Behaviour::ALL.len()]) -> Row {
    Row { name, program, cells }
}

// Letters that are as wide as the columns' names are short: Y shown, n not shown, x nothing to
// judge, v varies, q unknown.
const Y: Cell = Cell::Shown;
#[allow(non_upper_case_globals)]
const n: Cell = Cell::NotShown;
#[allow(non_upper_case_globals)]
const x: Cell = Cell::NotApplicable;
#[allow(non_upper_case_globals)]
const v: Cell = Cell::Varies;
#[allow(non_upper_case_globals)]
const q: Cell = Cell::Unknown;

const CH01: Program = main_program("ch01-sync", &[]);
const CH02: Program = main_program("ch02-threads", &[]);
const CH03_RAYON: Program = main_program("ch03-parallel", &["--pool", "rayon"]).with_workers();
const CH03_PROCESS: Program = main_program("ch03-parallel", &["--pool", "process"]).with_workers();
const CH04: Program = main_program("ch04-selectors", &[]);
const CH05: Program = main_program("ch05-callback-loop", &[]);
const CH05_OFFLOAD: Program = main_program("ch05-callback-loop", &["--offload"]).with_workers();
const CH06: Program = main_program("ch06-generators-to-futures", &[]);
const CH07: Program = main_program("ch07-asyncio", &[]);
const CH07_OFFLOAD: Program = main_program("ch07-asyncio", &["--offload"]).with_workers();
const TOKIO: Program = hello("hello_tokio", &["tokio"], &[]);
const TOKIO_MULTI: Program = hello("hello_tokio", &["tokio"], &["--multi-thread"]).with_workers();
const TOKIO_OFFLOAD: Program = hello("hello_tokio", &["tokio"], &["--offload"]).with_workers();
const TOKIO_STDIN: Program = hello("hello_tokio", &["tokio"], &["--tokio-stdin"]);
const SMOL: Program = hello("hello_smol", &["smol"], &[]);
const SMOL_OFFLOAD: Program = hello("hello_smol", &["smol"], &["--offload"]).with_workers();
// --workers changes nothing there: it asks as many threads as the machine has cores.
const ASYNC_STD: Program = hello("hello_async_std", &["async-std"], &[]).with_workers();
const ASYNC_STD_OFFLOAD: Program =
    hello("hello_async_std", &["async-std"], &["--offload"]).with_workers();
const HTTP_INLINE: Program = http(&["--where", "inline"]);
const HTTP_POOL: Program = http(&["--where", "pool"]).with_workers();
const HTTP_RAYON: Program = http(&["--where", "rayon"]).with_workers();
const HTTP_PROCESS: Program = http(&["--where", "process"]).with_workers();
const NONE: Program = Program::NotBuilt;

/// The table.
///
/// - B4: where a fib does not run on the thread that prints hello.
/// - B12: where a hello wakes one thread. Where another thread writes it, it wakes that one as well,
///   and often the loop once more, which is told that it was written: up to 3/T a second. At the
///   default period of three seconds ch07 is within the bound, and the matrix takes 0.3 s. The
///   server of ch08 looks fifty times a second whether its loop is stalled.
/// - B14: where hello is written by a thread of its own, which alone is stuck in the write; the
///   reader still sees `exit`. In a loop that writes blocking, standard output is a hidden wait.
/// - B15, B16: where answers are computed beside whatever reads. The client of ch08 reads `exit` in
///   any case, and sends SIGTERM; a server that computes on its loop does not hear that.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    //                                                       B1 2  3  3b 4  5  6  7  8  9  10 11 12 13 14 15 16
    row("ch01-sync",                      CH01,              [Y, Y, n, n, n, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n, n]),
    row("ch02-threads",                   CH02,              [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n]),
    row("ch03-parallel --pool rayon",     CH03_RAYON,        [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y]),
    row("ch03-parallel --pool process",   CH03_PROCESS,      [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y]),
    row("ch04, busy wait",                NONE,              [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, n, x, Y, n, n, n]),
    // It looks ten times a second, and shows B3 for a T of a second and more.
    row("ch04, first selector loop",      NONE,              [q, q, q, n, n, n, q, q, n, n, n, Y, n, n, n, n, n]),
    row("ch04-selectors",                 CH04,              [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n]),
    // It ends at an `exit` that comes alone, which is half of B9.
    row("ch05, first callback loop",      NONE,              [q, q, Y, n, n, n, q, q, n, n, n, n, x, n, n, n, n]),
    row("ch05-callback-loop",             CH05,              [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n]),
    row("ch05-callback-loop --offload",   CH05_OFFLOAD,      [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y]),
    row("ch06-generators-to-futures",     CH06,              [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n]),
    row("ch07-asyncio",                   CH07,              [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, n, n]),
    row("ch07-asyncio --offload",         CH07_OFFLOAD,      [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, Y, Y]),
    row("hello_tokio",                    TOKIO,             [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, n, n]),
    // B4 holds until as many slow fibs run as the runtime has threads. B15: the quick question
    // mostly overtakes the slow ones; now and then it waits.
    row("hello_tokio --multi-thread",     TOKIO_MULTI,       [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, v, Y]),
    row("hello_tokio --offload",          TOKIO_OFFLOAD,     [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, Y, Y]),
    row("hello_tokio --tokio-stdin",      TOKIO_STDIN,       [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, n, n]),
    row("hello_smol",                     SMOL,              [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, n, n]),
    row("hello_smol --offload",           SMOL_OFFLOAD,      [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, Y, Y]),
    // Its executor has as many threads as the machine has cores: B15 depends on the machine.
    row("hello_async_std",                ASYNC_STD,         [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, v, Y]),
    row("hello_async_std --offload",      ASYNC_STD_OFFLOAD, [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, Y, Y]),
    row("hello_http --where inline",      HTTP_INLINE,       [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, n, n]),
    row("hello_http --where pool",        HTTP_POOL,         [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, Y, Y]),
    row("hello_http --where rayon",       HTTP_RAYON,        [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, Y, Y]),
    row("hello_http --where process",     HTTP_PROCESS,      [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y, Y, Y]),
    //                                                       B1 2  3  3b 4  5  6  7  8  9  10 11 12 13 14 15 16
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_implementation_has_a_cell_for_each_behaviour_and_a_name_of_its_own() {
        let names: HashSet<&str> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for row in TABLE {
            let cells: Vec<Cell> =
                Behaviour::ALL.into_iter().map(|behaviour| row.cell(behaviour)).collect();
            assert_eq!(cells, row.cells);
        }
    }

    #[test]
    fn what_is_built_is_known_and_named_as_it_is_started() {
        for row in TABLE {
            let Some(name) = row.program.name() else { continue };
            assert_eq!([&[name], row.program.args()].concat().join(" "), row.name);
            assert!(!row.cells.contains(&Cell::Unknown), "{}", row.name);
        }
    }

    /// Else the first cell of the book's table is wider than a narrow screen.
    #[test]
    fn names_are_short() {
        for row in TABLE {
            assert!(row.name.len() <= 30, "{}", row.name);
        }
    }

    #[test]
    fn an_example_is_called_by_its_own_name_and_its_packages() {
        let program = hello("hello_tokio", &["tokio"], &["--offload"]).with_workers();
        assert!(program.takes_workers());
        let row = row("hello_tokio --offload", program, TABLE[0].cells);
        assert!(row.is_called("ch07") && row.is_called("hello_tokio --o") && row.is_called(""));
        assert!(!row.is_called("ch06"));
        let unwritten = Row { program: Program::NotBuilt, ..row };
        assert!(!unwritten.is_called("hello_tokio"), "there is nothing to call");
    }

    #[test]
    fn the_first_chapter_cannot_and_the_second_can() {
        let cell = |name, behaviour| {
            TABLE.iter().find(|row| row.name == name).map(|row| row.cell(behaviour))
        };
        assert_eq!(cell("ch01-sync", Behaviour::B3), Some(Cell::NotShown));
        assert_eq!(cell("ch02-threads", Behaviour::B3), Some(Cell::Shown));
        assert_eq!(cell("ch05-callback-loop", Behaviour::B16), Some(Cell::NotShown));
        assert_eq!(cell("ch05-callback-loop --offload", Behaviour::B16), Some(Cell::Shown));
    }
}

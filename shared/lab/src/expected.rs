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
    /// Nobody knows yet. No measurement disagrees with it.
    Unknown,
}

/// The built program that stands for an implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A package's main program.
    Main {
        /// The package, and the program's name.
        package: &'static str,
        /// The options that choose the implementation.
        args: &'static [&'static str],
        /// Does it take `--workers`?
        takes_workers: bool,
    },
    /// There is none yet.
    NotBuilt,
}

/// One implementation and what it is expected to show.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// How a reader starts it, without `cargo run -p`; for what is not built, a description.
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
}

const fn main_program(package: &'static str, args: &'static [&'static str]) -> Program {
    Program::Main { package, args, takes_workers: false }
}

const fn with_workers(package: &'static str, args: &'static [&'static str]) -> Program {
    Program::Main { package, args, takes_workers: true }
}

const fn row(name: &'static str, program: Program, cells: [Cell; Behaviour::ALL.len()]) -> Row {
    Row { name, program, cells }
}

// Letters that are as wide as the columns' names are short: Y shown, n not shown, x nothing to
// judge, q unknown.
const Y: Cell = Cell::Shown;
#[allow(non_upper_case_globals)]
const n: Cell = Cell::NotShown;
#[allow(non_upper_case_globals)]
const x: Cell = Cell::NotApplicable;
#[allow(non_upper_case_globals)]
const q: Cell = Cell::Unknown;

const CH01: Program = main_program("ch01-sync", &[]);
const CH02: Program = main_program("ch02-threads", &[]);
const CH03_RAYON: Program = with_workers("ch03-parallel", &["--pool", "rayon"]);
const CH03_PROCESS: Program = with_workers("ch03-parallel", &["--pool", "process"]);
const CH04: Program = main_program("ch04-selectors", &[]);
const CH05: Program = main_program("ch05-callback-loop", &[]);
const CH05_OFFLOAD: Program = with_workers("ch05-callback-loop", &["--offload"]);
const NONE: Program = Program::NotBuilt;

/// The table.
///
/// - B4: where a fib does not run on the thread that prints hello.
/// - B14: where hello is written by a thread of its own, which alone is stuck in the write; the
///   reader still sees `exit`. In a loop that writes blocking, standard output is a hidden wait.
/// - B15, B16: where answers are computed beside whatever reads.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    // B1 2  3  3b 4  5  6  7  8  9  10 11 12 13 14 15 16
    row("ch01-sync",                      CH01,         [Y, Y, n, n, n, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n, n]),
    row("ch02-threads",                   CH02,         [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n]),
    row("ch03-parallel --pool rayon",     CH03_RAYON,   [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y]),
    row("ch03-parallel --pool process",   CH03_PROCESS, [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y]),
    row("ch04, busy wait",                NONE,         [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, n, x, Y, n, n, n]),
    // It looks ten times a second, and shows B3 for a T of a second and more.
    row("ch04, first selector loop",      NONE,         [q, q, q, n, n, n, q, q, n, n, n, Y, n, n, n, n, n]),
    row("ch04-selectors",                 CH04,         [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n]),
    // It ends at an `exit` that comes alone, which is half of B9.
    row("ch05, first callback loop",      NONE,         [q, q, Y, n, n, n, q, q, n, n, n, n, x, n, n, n, n]),
    row("ch05-callback-loop",             CH05,         [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n]),
    row("ch05-callback-loop --offload",   CH05_OFFLOAD, [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, Y, Y]),
    row("ch06, own block_on",             NONE,         [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, Y, Y, n, n, n]),
    row("ch07, one thread, fib inline",   NONE,         [Y, Y, Y, Y, n, Y, Y, Y, Y, Y, Y, Y, Y, Y, q, n, n]),
    // B4 holds until as many slow fibs run as the runtime has threads.
    row("ch07, many threads, fib inline", NONE,         [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, q, q, q]),
    row("ch07, fib offloaded",            NONE,         [Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, Y, q, Y, Y]),
    // B1 2  3  3b 4  5  6  7  8  9  10 11 12 13 14 15 16
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
            let Program::Main { package, args, .. } = row.program else { continue };
            assert_eq!([&[package], args].concat().join(" "), row.name);
            assert!(!row.cells.contains(&Cell::Unknown), "{}", row.name);
        }
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

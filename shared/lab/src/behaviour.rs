//! The behaviours that an implementation can show, by the names the book gives them.

use std::fmt;

/// One promise of the specification. The variants are in the order of the matrix's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behaviour {
    /// Hello at once, before any input is handled.
    B1,
    /// Right answers, in the promised form.
    B2,
    /// Hello on time while standard input is silent.
    B3,
    /// Hello on time while half a line is pending.
    B3b,
    /// Hello on time while a long fib runs.
    B4,
    /// Many lines in one write are all answered.
    B5,
    /// A line split over two writes is one line.
    B6,
    /// Bad input is reported, and the program goes on.
    B7,
    /// At the end of input the pending answers are printed; then it ends, with status 0.
    B8,
    /// `exit` ends it while standard input stays open, and what was pasted after it is dropped.
    B9,
    /// Standard input may be a regular file, or /dev/null.
    B10,
    /// Idle, it uses next to no CPU time.
    B11,
    /// Idle, it wakes no more often than hello asks.
    B12,
    /// Each hello belongs to its own point of the original grid, also after a stall.
    B13,
    /// `exit` ends it while standard output is full.
    B14,
    /// With w workers a quick question waits behind w slow ones, and not behind w − 1.
    B15,
    /// `exit` ends it while a slow fib runs.
    B16,
}

impl Behaviour {
    /// Every behaviour, in the order of the matrix's columns.
    pub const ALL: [Behaviour; 17] = {
        use Behaviour::*;
        [B1, B2, B3, B3b, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15, B16]
    };

    /// The behaviour that is called `id` (`B3b`, in any case), if there is one.
    pub fn named(id: &str) -> Option<Behaviour> {
        Behaviour::ALL.into_iter().find(|behaviour| behaviour.to_string().eq_ignore_ascii_case(id))
    }

    /// Its column in the matrix, counted from 0.
    pub fn column(self) -> usize {
        self as usize
    }

    /// What is promised, in a few words.
    pub fn promise(self) -> &'static str {
        match self {
            Behaviour::B1 => "hello at once",
            Behaviour::B2 => "right answers",
            Behaviour::B3 => "hello on time while stdin is silent",
            Behaviour::B3b => "hello on time while half a line is pending",
            Behaviour::B4 => "hello on time while a long fib runs",
            Behaviour::B5 => "many lines in one write are all answered",
            Behaviour::B6 => "a line split over two writes is one line",
            Behaviour::B7 => "bad input is reported, the program goes on",
            Behaviour::B8 => "end of input: pending answers, then exit 0 within 1 s",
            Behaviour::B9 => "`exit` ends within 1 s while stdin stays open",
            Behaviour::B10 => "stdin from a regular file, and from /dev/null",
            Behaviour::B11 => "idle CPU below 2 %",
            Behaviour::B12 => "idle wake-ups at most 1/T + 1 a second",
            Behaviour::B13 => "each hello in its own point of the grid, also after a stall",
            Behaviour::B14 => "stdout full, then `exit`: ends within 1 s",
            Behaviour::B15 => "a quick fib waits behind w slow ones, not behind w - 1",
            Behaviour::B16 => "`exit` while a slow fib runs: ends within 1 s",
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}")) // with the width that a table asks for
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_is_found_by_its_name_and_stands_in_its_column() {
        for (column, behaviour) in Behaviour::ALL.into_iter().enumerate() {
            assert_eq!(behaviour.column(), column);
            assert_eq!(Behaviour::named(&behaviour.to_string()), Some(behaviour));
        }
        assert_eq!(Behaviour::named("b3B"), Some(Behaviour::B3b));
        assert_eq!(Behaviour::named("B17"), None);
    }
}

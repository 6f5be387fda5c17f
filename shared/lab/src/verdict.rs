//! What a probe says about a program.

use std::fmt;

/// The answer of one probe. A reason tells what was seen, not what was hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The program showed the behaviour.
    Shown,
    /// The program did something else: this.
    NotShown(String),
    /// Nothing can be said, and why: the machine was overloaded, or a facility is missing here.
    NotJudged(String),
}

impl Verdict {
    /// The matrix's sign for it: ✓, ✗ or ~.
    pub fn sign(&self) -> &'static str {
        match self {
            Verdict::Shown => "✓",
            Verdict::NotShown(_) => "✗",
            Verdict::NotJudged(_) => "~",
        }
    }

    /// Why, where there is something to say: empty for [`Verdict::Shown`].
    pub fn reason(&self) -> &str {
        match self {
            Verdict::Shown => "",
            Verdict::NotShown(reason) | Verdict::NotJudged(reason) => reason,
        }
    }

    /// Is it [`Verdict::NotShown`]?
    pub fn is_not_shown(&self) -> bool {
        matches!(self, Verdict::NotShown(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Shown => write!(f, "shown"),
            Verdict::NotShown(reason) => write!(f, "not shown: {reason}"),
            Verdict::NotJudged(reason) => write!(f, "not judged: {reason}"),
        }
    }
}

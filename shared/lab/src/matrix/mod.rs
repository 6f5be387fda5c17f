//! The matrix: every implementation against every behaviour, measured now, beside what was
//! expected.

pub(crate) mod build;
pub(crate) mod check;
mod measure;
pub(crate) mod table;

pub(crate) use measure::measure;

use lab::behaviour::Behaviour;
use lab::expected::{Cell, Row};
use lab::verdict::Verdict;

/// A row of the table as it was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The implementation, and what was expected of it.
    pub(crate) row: &'static Row,
    /// What was seen, of each behaviour that was looked at.
    pub(crate) verdicts: Vec<(Behaviour, Verdict)>,
}

impl Measured {
    /// What was seen of `behaviour`, if it was looked at.
    pub(crate) fn verdict(&self, behaviour: Behaviour) -> Option<&Verdict> {
        self.verdicts.iter().find(|(of, _)| *of == behaviour).map(|(_, verdict)| verdict)
    }

    /// The verdicts that contradict the table.
    pub(crate) fn disagreements(&self) -> impl Iterator<Item = &(Behaviour, Verdict)> {
        let contradicts = |(behaviour, verdict): &&_| disagree(self.row.cell(*behaviour), verdict);
        self.verdicts.iter().filter(contradicts)
    }
}

/// What was not judged agrees with everything: it is counted instead.
fn disagree(expected: Cell, seen: &Verdict) -> bool {
    matches!(
        (expected, seen),
        (Cell::Shown, Verdict::NotShown(_))
            | (Cell::NotShown, Verdict::Shown)
            | (Cell::NotApplicable, Verdict::Shown)
    )
}

/// How many verdicts of each kind there are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    /// ✓
    pub(crate) shown: usize,
    /// ✗
    pub(crate) not_shown: usize,
    /// ~
    pub(crate) not_judged: usize,
    /// Those, of the first two kinds, that contradict the table.
    pub(crate) disagree: usize,
}

impl Totals {
    /// Counts them.
    pub(crate) fn of(rows: &[Measured]) -> Totals {
        let mut totals = Totals::default();
        for row in rows {
            totals.disagree += row.disagreements().count();
            for (_, verdict) in &row.verdicts {
                match verdict {
                    Verdict::Shown => totals.shown += 1,
                    Verdict::NotShown(_) => totals.not_shown += 1,
                    Verdict::NotJudged(_) => totals.not_judged += 1,
                }
            }
        }
        totals
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Totals { shown, not_shown, not_judged, disagree } = self;
        write!(
            f,
            "{shown} shown, {not_shown} not shown, {not_judged} not judged, {disagree} disagree"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::expected::TABLE;

    #[test]
    fn a_success_where_a_failure_was_expected_disagrees_too() {
        let no = || Verdict::NotShown("seen".to_owned());
        let skipped = || Verdict::NotJudged("busy".to_owned());
        assert!(disagree(Cell::Shown, &no()) && disagree(Cell::NotShown, &Verdict::Shown));
        assert!(!disagree(Cell::Shown, &Verdict::Shown) && !disagree(Cell::NotShown, &no()));
        for cell in [Cell::Shown, Cell::NotShown, Cell::NotApplicable, Cell::Varies, Cell::Unknown]
        {
            assert!(!disagree(cell, &skipped()));
        }
    }

    #[test]
    fn totals_count_each_verdict_once() {
        let verdicts = vec![
            (Behaviour::B1, Verdict::Shown),
            (Behaviour::B2, Verdict::NotShown("wrong".to_owned())),
            (Behaviour::B3, Verdict::NotJudged("busy".to_owned())),
        ];
        assert_eq!(
            Totals::of(&[Measured { row: &TABLE[0], verdicts }]).to_string(),
            "1 shown, 1 not shown, 1 not judged, 1 disagree"
        );
    }
}

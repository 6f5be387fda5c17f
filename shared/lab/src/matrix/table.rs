//! The measured table as text: aligned for a terminal, or as Markdown for the book.

use super::Measured;
use lab::behaviour::Behaviour;
use lab::expected::Cell;
use lab::verdict::Verdict;

/// The sign for what was not asked for.
pub(crate) const NOTHING: &str = "·";

/// Aligned columns, for a terminal.
pub(crate) fn aligned(rows: &[Measured], behaviours: &[Behaviour]) -> String {
    let width = rows.iter().map(|row| row.row.name.chars().count()).max().unwrap_or(0);
    let head: Vec<String> = behaviours.iter().map(|behaviour| format!(" {behaviour:>3}")).collect();
    let mut text = format!("{:width$}{}\n", "", head.concat());
    for row in rows {
        let cells: Vec<String> =
            behaviours.iter().map(|behaviour| format!(" {:>3}", sign(row, *behaviour))).collect();
        text += &format!("{:width$}{}\n", row.row.name, cells.concat());
    }
    text
}

/// A Markdown table with a heading.
pub(crate) fn markdown(rows: &[Measured], behaviours: &[Behaviour]) -> String {
    let head: Vec<String> = behaviours.iter().map(ToString::to_string).collect();
    let rule = vec!["---"; behaviours.len() + 1];
    let mut text = format!("| implementation | {} |\n| {} |\n", head.join(" | "), rule.join(" | "));
    for row in rows {
        let cells: Vec<&str> = behaviours.iter().map(|behaviour| sign(row, *behaviour)).collect();
        text += &format!("| {} | {} |\n", name(row), cells.join(" | "));
    }
    text
}

/// Each verdict that contradicts the table, with what was seen.
pub(crate) fn disagreements(rows: &[Measured]) -> String {
    let mut text = String::new();
    for row in rows {
        for (behaviour, verdict) in row.disagreements() {
            let promise = behaviour.promise();
            text += &format!(
                "{}, {behaviour} ({promise}): expected {}, {verdict}\n",
                row.row.name,
                expectation(row, *behaviour)
            );
        }
    }
    text
}

/// What was seen wherever a behaviour was not, expected or not: a ✗ for the wrong reason is no ✗.
pub(crate) fn reasons(rows: &[Measured]) -> String {
    let mut text = String::new();
    for row in rows {
        for (behaviour, verdict) in
            row.verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Shown)
        {
            text += &format!("{}, {behaviour}: {verdict}\n", row.row.name);
        }
    }
    text
}

/// Each verdict that could not be given, where there was one to give, with the reason.
pub(crate) fn not_judged(rows: &[Measured]) -> String {
    let mut text = String::new();
    for row in rows {
        let verdicts = row.verdicts.iter();
        for (behaviour, verdict) in verdicts.filter(|(behaviour, _)| sign(row, *behaviour) == "~") {
            text += &format!("{}, {behaviour}: {verdict}\n", row.row.name);
        }
    }
    text
}

fn expectation(row: &Measured, behaviour: Behaviour) -> &'static str {
    match row.row.cell(behaviour) {
        Cell::Shown => "✓",
        Cell::NotShown => "✗",
        Cell::NotApplicable | Cell::Varies => "–",
        Cell::Unknown => "?",
    }
}

/// The name of a row's first cell in Markdown.
pub(crate) fn name(row: &Measured) -> String {
    format!("`{}`", row.row.name)
}

/// The sign in a cell.
pub(crate) fn sign(row: &Measured, behaviour: Behaviour) -> &'static str {
    match row.verdict(behaviour) {
        Some(_) if row.row.cell(behaviour) == Cell::Varies => "–",
        Some(Verdict::NotJudged(_)) if row.row.cell(behaviour) == Cell::NotApplicable => "–",
        Some(verdict) => verdict.sign(),
        None => NOTHING,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use lab::expected::TABLE;

    /// Chapter 1, which shows B1 and fails B3, and chapter 2, of which only B1 was looked at.
    pub(crate) fn example() -> [Measured; 2] {
        let verdicts = vec![
            (Behaviour::B1, Verdict::Shown),
            (Behaviour::B3, Verdict::NotShown("late".to_owned())),
        ];
        [
            Measured { row: &TABLE[0], verdicts },
            Measured { row: &TABLE[1], verdicts: vec![(Behaviour::B1, Verdict::Shown)] },
        ]
    }

    #[test]
    fn the_columns_are_aligned() {
        let text = aligned(&example(), &[Behaviour::B1, Behaviour::B3]);
        assert_eq!(
            text,
            "              B1  B3\n\
             ch01-sync      ✓   ✗\n\
             ch02-threads   ✓   ·\n"
        );
    }

    #[test]
    fn the_markdown_has_the_command_in_its_first_cell() {
        let text = markdown(&example(), &[Behaviour::B1, Behaviour::B3]);
        assert_eq!(
            text,
            "| implementation | B1 | B3 |\n\
             | --- | --- | --- |\n\
             | `ch01-sync` | ✓ | ✗ |\n\
             | `ch02-threads` | ✓ | · |\n"
        );
    }
}

//! Is the table that the book prints still true?

use super::Measured;
use super::table::{NOTHING, name, sign};
use lab::behaviour::Behaviour;

/// Compares what was measured with a Markdown table as [`super::table::markdown`] prints it: one
/// line for each difference. A cell that was not judged, now or then, differs from nothing. A row
/// of the file that was not measured is a difference where `all` rows were to be.
pub(crate) fn differences(
    rows: &[Measured],
    behaviours: &[Behaviour],
    markdown: &str,
    all: bool,
) -> Vec<String> {
    let mut lines = markdown.lines().filter_map(cells).filter(|line| !is_rule(line));
    let Some(head) = lines.find(|line| line[0] == "implementation") else {
        return vec!["there is no table that begins with `| implementation |`".to_owned()];
    };
    let lines: Vec<Vec<&str>> = lines.collect();
    let names: Vec<String> = rows.iter().map(name).collect();
    let gone = lines.iter().filter(|line| all && !names.iter().any(|name| line[0] == name));
    let gone = gone.map(|line| format!("{}: in the file, and not measured", line[0]));
    let changed = rows.iter().flat_map(|row| row_differences(row, behaviours, &head, &lines));
    changed.chain(gone).collect()
}

/// The line below the head.
fn is_rule(line: &[&str]) -> bool {
    line.iter().all(|cell| cell.chars().all(|c| "-:".contains(c)))
}

fn row_differences(
    row: &Measured,
    behaviours: &[Behaviour],
    head: &[&str],
    lines: &[Vec<&str>],
) -> Vec<String> {
    let name = name(row);
    let Some(recorded) = lines.iter().find(|line| line[0] == name) else {
        return vec![format!("{name}: the file has no such row")];
    };
    let difference = |behaviour: &Behaviour| {
        let column = head.iter().position(|title| *title == behaviour.to_string());
        let recorded = column.and_then(|column| recorded.get(column)).copied().unwrap_or(NOTHING);
        let measured = sign(row, *behaviour);
        let same = recorded == measured || [recorded, measured].contains(&"~");
        (!same)
            .then(|| format!("{name}, {behaviour}: the file says {recorded}, measured {measured}"))
    };
    behaviours.iter().filter_map(difference).collect()
}

/// The cells of a line of a Markdown table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(line.split('|').map(str::trim).collect())
}

/// Kept beside the table it reads: what is printed is found again.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::table::{self, tests::example};

    const BOTH: [Behaviour; 2] = [Behaviour::B1, Behaviour::B3];

    fn compared(text: &str) -> Vec<String> {
        differences(&example(), &BOTH, text, true)
    }

    #[test]
    fn what_was_printed_does_not_differ() {
        let text = format!("A table:\n\n{}", table::markdown(&example(), &BOTH));
        assert_eq!(compared(&text), [] as [&str; 0]);
    }

    #[test]
    fn a_changed_cell_differs_and_an_unjudged_cell_does_not() {
        let text = table::markdown(&example(), &BOTH);
        assert_eq!(
            compared(&text.replace('✗', "✓")),
            ["`ch01-sync`, B3: the file says ✓, measured ✗"]
        );
        assert_eq!(compared(&text.replace('✗', "~")), [] as [&str; 0]);
        assert_eq!(compared("").len(), 1);
    }

    #[test]
    fn a_row_must_be_in_the_file_and_a_row_of_the_file_measured() {
        let text = table::markdown(&example(), &BOTH).replace("ch02", "ch12");
        let missing = "`ch02-threads`: the file has no such row";
        let gone = "`ch12-threads`: in the file, and not measured";
        assert_eq!(compared(&text), [missing, gone]);
        assert_eq!(differences(&example(), &BOTH, &text, false), [missing]);
    }
}

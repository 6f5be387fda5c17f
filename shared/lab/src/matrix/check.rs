//! Is the table that the book prints still true?

use super::Measured;
use super::table::{NOTHING, name, sign};
use lab::behaviour::Behaviour;

/// Compares what was measured with a Markdown table as [`super::table::markdown`] prints it: one
/// line for each difference. A cell that was not judged, now or then, differs from nothing.
pub(crate) fn differences(
    rows: &[Measured],
    behaviours: &[Behaviour],
    markdown: &str,
) -> Vec<String> {
    let lines: Vec<Vec<&str>> = markdown.lines().filter_map(cells).collect();
    let Some(head) = lines.iter().find(|line| line[0] == "implementation") else {
        return vec!["there is no table that begins with `| implementation |`".to_owned()];
    };
    rows.iter().flat_map(|row| row_differences(row, behaviours, head, &lines)).collect()
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

    #[test]
    fn what_was_printed_does_not_differ() {
        let text = format!("A table:\n\n{}", table::markdown(&example(), &BOTH));
        assert_eq!(differences(&example(), &BOTH, &text), [] as [&str; 0]);
    }

    #[test]
    fn a_changed_cell_and_a_missing_row_differ_and_an_unjudged_cell_does_not() {
        let text = table::markdown(&example(), &BOTH);
        let changed = text.replace('✗', "✓");
        assert_eq!(
            differences(&example(), &BOTH, &changed),
            ["`ch01-sync`, B3: the file says ✓, measured ✗"]
        );
        let unjudged = text.replace('✗', "~");
        assert_eq!(differences(&example(), &BOTH, &unjudged), [] as [&str; 0]);
        let renamed = text.replace("ch04", "ch14");
        assert_eq!(differences(&example(), &BOTH, &renamed).len(), 1);
        assert_eq!(differences(&example(), &BOTH, "").len(), 1);
    }
}

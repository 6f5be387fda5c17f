//! The table: a line for each thing that was measured, a column for each runtime.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The runtimes, in the order of the columns.
const COLUMNS: [&str; 6] = ["ours", "step 1", "tokio, 1 thread", "tokio", "smol", "async-std"];

/// What was measured of one thing.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    /// Whose figure is 1.
    pub(crate) one: &'static str,
    /// By the name of the runtime: a figure of each round. Lower is better.
    pub(crate) figures: BTreeMap<&'static str, Vec<f64>>,
}

impl Row {
    fn markdown(&self) -> String {
        let ours = self.figures.get("ours").map_or(String::new(), |figures| {
            let figure = median(figures);
            let digits = if figure < 100.0 { 1 } else { 0 };
            format!("{figure:.digits$} {}", self.unit)
        });
        let mut line = format!("| {} | {ours} | {} |", self.what, self.one);
        for column in COLUMNS {
            let _ = write!(line, " {} |", self.relative(column)); // a String takes everything
        }
        line + "\n"
    }

    /// The median of what each round says, and the lowest and the highest.
    fn relative(&self, name: &str) -> String {
        let (Some(figures), Some(one)) = (self.figures.get(name), self.figures.get(self.one))
        else {
            return "–".to_owned();
        };
        if name == self.one {
            return "1".to_owned();
        }
        let mut ratios: Vec<f64> =
            figures.iter().zip(one).map(|(figure, one)| figure / one).collect();
        ratios.sort_by(f64::total_cmp);
        match ratios[..] {
            [ratio] => format!("{ratio:.2}"),
            [first, .., last] => format!("{:.2} ({first:.2}–{last:.2})", median(&ratios)),
            [] => "–".to_owned(),
        }
    }
}

pub(crate) fn markdown(rows: &[Row]) -> String {
    let columns = COLUMNS.join(" | ");
    let rule = "---|".repeat(COLUMNS.len());
    let rows: String = rows.iter().map(Row::markdown).collect();
    format!("| lower is better | our figure | 1 is | {columns} |\n|---|---|---|{rule}\n{rows}")
}

/// Of an odd number of figures the one in the middle.
fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

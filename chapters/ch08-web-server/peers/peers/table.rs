//! Figures of several rounds in the cells of a Markdown table.

/// A line of a table.
pub(crate) fn line(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().fold("|".to_owned(), |line, cell| line + " " + &cell + " |") + "\n"
}

/// The first two lines: words stand to the left, figures to the right.
pub(crate) fn head(words: &[&str], figures: &[&str]) -> String {
    let cells = words.iter().chain(figures).map(|cell| (*cell).to_owned());
    line(cells) + "|" + &"---|".repeat(words.len()) + &"--:|".repeat(figures.len()) + "\n"
}

/// Of an odd number of figures the one in the middle, of an even number the higher of the two.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Each figure divided by that of the same round.
pub(crate) fn ratios(figures: &[f64], ones: &[f64]) -> Vec<f64> {
    figures.iter().zip(ones).map(|(figure, one)| figure / one).collect()
}

/// The median, and the lowest and the highest.
pub(crate) fn spread(figures: &[f64]) -> String {
    let digits = |figure: f64| if figure < 10.0 { 2 } else { 1 };
    let text = |figure: f64| format!("{figure:.0$}", digits(figure));
    let min = figures.iter().copied().reduce(f64::min);
    let max = figures.iter().copied().reduce(f64::max);
    match (median(figures.iter().copied()), min, max) {
        (Some(median), Some(min), Some(max)) if figures.len() > 1 => {
            format!("{} ({}–{})", text(median), text(min), text(max))
        }
        (Some(median), ..) => text(median),
        _ => "–".to_owned(),
    }
}

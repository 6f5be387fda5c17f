//! `{{#matrix}}` and `{{#matrix-row name …}}`: the measured behaviour matrix, a Markdown table in
//! `recordings/matrix.md`.

use super::Directive;
use super::table::Table;
use crate::html::escape;
use crate::page::Page;
use std::fs;

/// The class of a cell that is neither ✓ nor ✗: nothing was shown, nor that it cannot be.
const OPEN: &str = "open";

/// The whole recording, with the words around the table.
pub(super) fn whole(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(0..=0, &[])?;
    let label = &page.library.strings.matrix;
    let matrix = load(page)?.with_words(page, label, OPEN)?;
    Ok(format!("<div class=\"matrix\">\n{matrix}\n</div>"))
}

/// The head and the rows of the implementations that the directive names.
pub(super) fn rows(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=usize::MAX, &[])?;
    let matrix = load(page)?;
    let mut rows = Vec::new();
    for name in &directive.values {
        let row = matrix.rows.iter().find(|row| row[0].replace('`', "").trim() == name);
        rows.push(row.ok_or_else(|| format!("the matrix has no row `{name}`"))?);
    }
    let table = matrix.html(&rows, &page.library.strings.matrix, OPEN)?;
    Ok(format!("<div class=\"matrix\">\n{table}\n{}\n</div>", legend(&matrix.head, page)))
}

fn load(page: &Page<'_>) -> Result<Table, String> {
    let text = fs::read_to_string(page.library.places.matrix())
        .map_err(|error| format!("`recordings/matrix.md` cannot be read: {error}"))?;
    Table::parse(&text).map_err(|error| format!("`recordings/matrix.md`: {error}"))
}

/// What the columns ask, in a few words each.
fn legend(head: &[String], page: &Page<'_>) -> String {
    let names = head.iter().filter_map(|id| {
        let name = page.library.strings.behaviours.get(id)?;
        Some(format!("<b>{}</b> {}", escape(id), escape(name)))
    });
    format!("<p class=\"matrix-legend\">{}</p>", names.collect::<Vec<_>>().join(" · "))
}

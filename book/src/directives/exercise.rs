//! `{{#exercise name}}`: something to build, from `exercises/name.toml` beside the pages, with the
//! test that tells when it is done.

use super::predict::beside;
use super::{Directive, proof, run};
use crate::html::{escape, markdown};
use crate::page::Page;
use crate::strings::fill;
use serde::Deserialize;

/// The file of an exercise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exercise {
    title: String,
    task: String,
    test: String,
    command: String,
    hint: Option<String>,
    /// A patch that solves it; for those who test the exercises, not shown.
    #[serde(rename = "patch")]
    _patch: Option<String>,
}

/// The exercise in HTML.
pub(super) fn render(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=1, &[])?;
    let name = &directive.values[0];
    let exercise: Exercise = beside(page, "exercises", name)?;
    let line = page.line;
    page.texts.push((exercise.task.clone(), line));
    page.texts.extend(exercise.hint.iter().map(|hint| (hint.clone(), line)));
    html(name, &exercise, page).map_err(|error| format!("`exercises/{name}.toml`: {error}"))
}

/// The whole exercise.
fn html(name: &str, exercise: &Exercise, page: &Page<'_>) -> Result<String, String> {
    let strings = &page.library.strings;
    let test = proof::test(page.library, &exercise.test)?;
    let link = page.link_to_lines(&test.file, test.line, test.line);
    let test = format!("<code>{}</code> ({link})", escape(&test.name));
    let test = fill(&escape(&strings.exercise_test), &[("test", &test)]);
    let title = escape(&fill(&strings.exercise, &[("title", &exercise.title)]));
    let hint = exercise.hint.as_ref().map(|hint| {
        format!(
            "<details>\n<summary>{}</summary>\n{}\n</details>\n",
            escape(&strings.hint),
            markdown(hint)
        )
    });
    Ok(format!(
        "<section class=\"exercise\" id=\"exercise-{name}\" aria-label=\"{title}\">\n\
         <p class=\"exercise-title\">{title}</p>\n{task}\n<p>{test}</p>\n{command}\n{hint}</section>",
        name = escape(name),
        task = markdown(&exercise.task),
        command = run::command(exercise.command.trim(), page)?,
        hint = hint.unwrap_or_default(),
    ))
}

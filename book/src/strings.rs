//! The words around code and questions, one file per language (`strings.toml` beside the pages):
//! none is in the program.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What `strings.toml` holds. `{…}` in a text is replaced.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Strings {
    /// Before the place of a listing: `in {place}`.
    pub listing_in: String,
    /// One line of a listing left out: `… ({name})`.
    pub elided: String,
    /// Spoken name of a block of code: `code from {file}`.
    pub code_from: String,
    /// The link to a range of a file: `lines {first}–{last}`.
    pub lines: String,
    /// The link to one line of a file: `line {line}`.
    pub line: String,
    /// Spoken name of a dialogue.
    pub transcript: String,
    /// Spoken before an exit status: `exit status {status}`.
    pub exit_status: String,
    /// End of input, as typed.
    pub end_of_input: String,
    /// A signal, as sent from a terminal: `signal {name}`.
    pub signal: String,
    /// Above a diff: `from {old} to {new}`.
    pub diff: String,
    /// Head of a prediction.
    pub prediction: String,
    /// What to do with it, when a script runs.
    pub choose: String,
    /// What unfolds the answers.
    pub reveal: String,
    /// At the right answer.
    pub right: String,
    /// At a wrong answer.
    pub wrong: String,
    /// At the answer the reader chose.
    pub your_choice: String,
    /// What shows the answer to be so: `Settled by {proof}`.
    pub settled_by: String,
    /// Head of an exercise: `Exercise: {title}`.
    pub exercise: String,
    /// Names the test that an exercise must turn green: `The test: {test}`.
    pub exercise_test: String,
    /// What unfolds the hint.
    pub hint: String,
    /// Spoken name of the behaviour matrix.
    pub matrix: String,
    /// Below a recorded run: `Recorded on {date}, {machine}.`
    pub recorded: String,
    /// Spoken name of what it printed.
    pub recorded_output: String,
    /// A few words for each column of the matrix, by its head.
    pub behaviours: BTreeMap<String, String>,
    /// Names the mechanism's file: `The mechanism: {file}`.
    pub mechanism: String,
    /// A part not shown: `Not shown here: {part}. {reason}`.
    pub left_out: String,
    /// Title of the list of files at the end.
    pub source_files: String,
    /// Its first paragraph.
    pub source_files_intro: String,
}

impl Strings {
    /// Reads the language's `strings.toml`.
    ///
    /// # Errors
    ///
    /// When it is missing or lacks a text.
    pub fn load(text: &Path) -> Result<Strings, String> {
        let file = std::fs::read_to_string(text.join("strings.toml"))
            .map_err(|error| format!("cannot be read: {error}"))?;
        toml::from_str(&file).map_err(|error| error.to_string())
    }
}

/// `template` with each `{name}` replaced by its value.
#[must_use]
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        let found = values
            .iter()
            .find(|(name, _)| tail[1..].strip_prefix(name).is_some_and(|t| t.starts_with('}')));
        let Some((name, value)) = found else {
            out.push('{');
            rest = &tail[1..];
            continue;
        };
        out.push_str(value);
        rest = &tail[name.len() + 2..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn a_value_is_not_filled_again() {
        assert_eq!(fill("a {x} {y} {z", &[("x", "{y}"), ("y", "2")]), "a {y} 2 {z");
    }
}

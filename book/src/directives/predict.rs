//! `{{#predict name}}`: a question to answer before reading on, from `predict/name.toml` beside the
//! pages.
//!
//! Without a script the reasons are folded; with one (`theme/predict.js`) the options are buttons,
//! a choice is final, and then every reason is shown.

use super::{Directive, proof};
use crate::html::{escape, inline_markdown, markdown};
use crate::page::Page;
use crate::strings::fill;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs;

/// The file of a prediction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Prediction {
    question: String,
    settled_by: String,
    options: Vec<Choice>,
}

/// One answer, and why it is right or tempting.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    text: String,
    why: String,
    #[serde(default)]
    right: bool,
}

/// Reads `folder/name.toml` beside the pages.
pub(super) fn beside<T: DeserializeOwned>(
    page: &Page<'_>,
    folder: &str,
    name: &str,
) -> Result<T, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.chars().all(plain) {
        return Err(format!("`{name}` is not a plain name"));
    }
    let path = page.library.places.text.join(folder).join(format!("{name}.toml"));
    let text = fs::read_to_string(path)
        .map_err(|error| format!("`{folder}/{name}.toml` cannot be read: {error}"))?;
    toml::from_str(&text)
        .map_err(|error| format!("`{folder}/{name}.toml`: {}", error.to_string().trim_end()))
}

/// The question in HTML.
pub(super) fn render(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=1, &[])?;
    let name = &directive.values[0];
    let prediction: Prediction = beside(page, "predict", name)?;
    prediction.check().map_err(|error| format!("`predict/{name}.toml`: {error}"))?;
    let settled = settled_by(page, &prediction.settled_by)
        .map_err(|error| format!("`predict/{name}.toml`: {error}"))?;
    let line = page.line;
    page.texts.push((prediction.question.clone(), line));
    page.texts.extend(prediction.options.iter().map(|option| (option.why.clone(), line)));
    html(name, &prediction, &settled, page)
}

impl Prediction {
    /// Refuses a question that cannot be answered.
    fn check(&self) -> Result<(), String> {
        match (self.options.len(), self.options.iter().filter(|option| option.right).count()) {
            (0 | 1, _) => Err("a prediction needs at least two options".to_owned()),
            (27.., _) => Err("there are more options than letters".to_owned()),
            (_, 1) => Ok(()),
            (_, right) => Err(format!("exactly one option must be `right = true`, not {right}")),
        }
    }
}

/// A link to the test, or the name of the transcript, that shows the right answer to be right.
fn settled_by(page: &Page<'_>, reference: &str) -> Result<String, String> {
    if reference.contains("::") {
        let test = proof::test(page.library, reference)?;
        let link = page.link_to_lines(&test.file, test.line, test.line);
        return Ok(format!("<code>{}</code> ({link})", escape(&test.name)));
    }
    if page.library.places.transcript(reference).is_file() {
        Ok(format!("<code>{}</code>", escape(reference)))
    } else {
        Err(format!("it is settled by `{reference}`, which is neither a test nor a transcript"))
    }
}

/// The whole question.
fn html(
    name: &str,
    prediction: &Prediction,
    settled: &str,
    page: &Page<'_>,
) -> Result<String, String> {
    let strings = &page.library.strings;
    let mut options = String::new();
    let mut reasons = String::new();
    for (letter, option) in ('A'..='Z').zip(&prediction.options) {
        let (class, verdict) = if option.right {
            ("right-answer", &strings.right)
        } else {
            ("wrong-answer", &strings.wrong)
        };
        let text = inline_markdown(&option.text)?;
        options.push_str(&format!("<li class=\"{class}\"><span class=\"letter\">{letter}</span> <span class=\"option\">{text}</span></li>\n"));
        reasons.push_str(&format!(
            "<li class=\"{class}\"><p><span class=\"letter\">{letter}</span> <strong class=\"verdict\">{}</strong></p>\n{}\n</li>\n",
            escape(verdict),
            markdown(&option.why)
        ));
    }
    let settled = fill(&escape(&strings.settled_by), &[("proof", settled)]);
    Ok(format!(
        "<section class=\"predict\" id=\"predict-{name}\" aria-label=\"{title}\" data-yours=\"{yours}\">\n\
         <p class=\"predict-title\">{title} <span class=\"choose\">{choose}</span></p>\n{question}\n\
         <ul class=\"options\">\n{options}</ul>\n\
         <p class=\"outcome\" role=\"status\"></p>\n\
         <details>\n<summary>{reveal}</summary>\n<ul class=\"reasons\">\n{reasons}</ul>\n\
         <p class=\"settled\">{settled}</p>\n</details>\n</section>",
        name = escape(name),
        title = escape(&strings.prediction),
        yours = escape(&strings.your_choice),
        choose = escape(&strings.choose),
        question = markdown(&prediction.question),
        reveal = escape(&strings.reveal),
    ))
}

//! The preprocessor: replaces directives by HTML, checks each page, and adds the pages of source
//! files.
//!
//! Problems do not stop it: all are collected, and whoever runs it decides that a book with
//! problems is no book.

use crate::check::{self, Fragment, Linked};
use crate::code_pages;
use crate::directives::{self, Directive};
use crate::html::{block, escape, markdown_options};
use crate::library::Library;
use crate::page::Page;
use crate::places::Places;
use crate::problem::Problem;
use mdbook_preprocessor::book::{Book, BookItem};
use mdbook_preprocessor::errors::Result;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};
use pulldown_cmark::{Event, Parser, Tag};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

/// The name of the preprocessor's table in `book.toml`.
pub const NAME: &str = "directives";

/// What one run found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Links to headings, to be looked for in the rendered pages.
    pub fragments: Vec<Fragment>,
}

/// The preprocessor, and where it leaves its findings.
#[derive(Debug, Default, Clone)]
pub struct Expand {
    outcome: Rc<RefCell<Outcome>>,
}

impl Expand {
    /// What the last run found.
    #[must_use]
    pub fn take_outcome(&self) -> Outcome {
        self.outcome.take()
    }
}

impl Preprocessor for Expand {
    fn name(&self) -> &str {
        NAME
    }

    fn supports_renderer(&self, renderer: &str) -> Result<bool> {
        Ok(renderer == "html")
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let mut outcome = Outcome::default();
        match Library::open(Places::of_book(&context.root, &context.config.book.src)) {
            Ok(library) => expand_book(&library, &mut book, &mut outcome),
            Err(message) => outcome.problems.push(Problem::new("strings.toml", 1, message)),
        }
        outcome.problems.sort();
        outcome.problems.dedup();
        self.outcome.replace(outcome);
        Ok(book)
    }
}

/// Expands every page of `book`.
fn expand_book(library: &Library, book: &mut Book, outcome: &mut Outcome) {
    let pages: BTreeSet<String> = book.iter().filter_map(page_path).collect();
    let linked = Linked { text: &library.places.text, pages: &pages };
    book.for_each_mut(|item| {
        let Some(path) = page_path(item) else { return };
        let BookItem::Chapter(chapter) = item else { return };
        chapter.content = expand_page(library, &path, &chapter.content, &linked, outcome);
    });
    match code_pages::chapter(library) {
        Ok(chapter) => {
            book.push_item(BookItem::Chapter(chapter));
        }
        Err(message) => outcome.problems.push(Problem::new("SUMMARY.md", 1, message)),
    }
}

/// The path of a page that has one, with slashes.
fn page_path(item: &BookItem) -> Option<String> {
    match item {
        BookItem::Chapter(chapter) => {
            chapter.path.as_deref().and_then(Path::to_str).map(|path| path.replace('\\', "/"))
        }
        _ => None,
    }
}

/// One page, its directives replaced.
fn expand_page(
    library: &Library,
    path: &str,
    content: &str,
    linked: &Linked<'_>,
    outcome: &mut Outcome,
) -> String {
    let mut page = Page::new(library, path);
    let code = code_ranges(content);
    let mut expanded = String::with_capacity(content.len());
    let mut at = 0;
    for (number, line) in content.split_inclusive('\n').enumerate() {
        page.line = number + 1;
        let directive = line
            .find("{{#")
            .filter(|start| !code.iter().any(|range| range.contains(&(at + start))));
        at += line.len();
        if directive.is_none() {
            expanded.push_str(line);
            continue;
        }
        match expand_line(line, &mut page) {
            Ok(html) => expanded.push_str(&html),
            Err(message) => {
                expanded
                    .push_str(&block(&format!("<p class=\"broken\">{}</p>", escape(&message)), ""));
                outcome.problems.push(Problem::new(path, page.line, message));
            }
        }
    }
    outcome.problems.extend(coverage(&page, path));
    check_text(path, content, &page, linked, outcome);
    expanded
}

/// The HTML of the directive on `line`.
fn expand_line(line: &str, page: &mut Page<'_>) -> std::result::Result<String, String> {
    let directive = Directive::parse(line).ok_or("a directive must stand alone on its line")??;
    let indent = &line[..line.len() - line.trim_start().len()];
    Ok(block(&directives::render(&directive, page)?, indent))
}

/// The parts of `content` that are code, where a directive is only spoken of.
fn code_ranges(content: &str) -> Vec<Range<usize>> {
    let events = Parser::new_ext(content, markdown_options()).into_offset_iter();
    let code = events
        .filter(|(event, _)| matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_))));
    code.map(|(_, range)| range).collect()
}

/// The first line of each mechanism file that the page does not account for.
fn coverage(page: &Page<'_>, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, at) in &page.mechanisms {
        let Ok(source) = page.source(name) else { continue };
        let covered = page.covered.get(name).cloned().unwrap_or_default();
        if let Some(line) = directives::uncovered(&source, &covered) {
            let text = source.lines[line].trim();
            let message = format!(
                "`{name}`, line {} (`{text}`) is neither shown nor named by `left-out`",
                line + 1
            );
            problems.push(Problem::new(path, *at, message));
        }
    }
    problems
}

/// Checks the links of a page and of the texts it takes from files beside it.
fn check_text(
    path: &str,
    content: &str,
    page: &Page<'_>,
    linked: &Linked<'_>,
    outcome: &mut Outcome,
) {
    let mut take = |findings: check::Findings| {
        outcome.problems.extend(findings.problems);
        outcome.fragments.extend(findings.fragments);
    };
    take(check::page(path, content, &check::lines(content), linked));
    for (text, line) in &page.texts {
        take(check::page(path, text, &|_| *line, linked));
    }
}

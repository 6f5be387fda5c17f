//! The files that pages show, each as a page of its own at the end of the book, so that every
//! listing's link shows the rest.
//!
//! They are chapters, not files written beside the book, so a plain `mdbook build` has them too.
//! The style sheet keeps them out of the table of contents and out of print (mdBook's print page
//! makes up a heading where one has no id).

use crate::directives::language;
use crate::html::{block, escape};
use crate::library::Library;
use crate::source::Source;
use mdbook_preprocessor::book::{BookItem, Chapter};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The list of files, with a page for each below it.
///
/// # Errors
///
/// When a file linked to cannot be read.
pub fn chapter(library: &Library) -> Result<Chapter, String> {
    let title = &library.strings.source_files;
    let mut list =
        format!("<div class=\"source-page\">\n<h1 id=\"source\">{}</h1>\n<p>", escape(title));
    list.push_str(&escape(&library.strings.source_files_intro));
    list.push_str("</p>\n<ul>\n");
    let mut pages = Vec::new();
    for (name, ranges) in library.linked() {
        let source = library.source(&name)?;
        let _ = writeln!(
            list,
            "<li><a href=\"{name}.html\"><code>{name}</code></a></li>",
            name = escape(&name)
        );
        let path = format!("code/{name}.md");
        pages.push(BookItem::Chapter(Chapter::new(
            &name,
            file_page(&source, &ranges),
            path,
            vec![title.clone()],
        )));
    }
    list.push_str("</ul>\n</div>");
    let mut chapter = Chapter::new(title, block(&list, ""), "code/index.md", Vec::new());
    chapter.sub_items = pages;
    Ok(chapter)
}

/// A whole file, each line with its id, and an id for each range that is linked to.
fn file_page(source: &Source, ranges: &BTreeSet<(usize, usize)>) -> String {
    let name = escape(&source.name);
    let mut code = String::new();
    for (number, line) in source.lines.iter().enumerate() {
        let line_number = number + 1;
        for (first, last) in ranges.iter().filter(|(first, _)| *first == line_number) {
            let _ = write!(code, "<span id=\"L{first}-L{last}\"></span>");
        }
        let faded = if source.marks.contains(&number) { " faded" } else { "" };
        let _ = writeln!(
            code,
            "<span class=\"line{faded}\" id=\"L{line_number}\">{}</span>",
            escape(line)
        );
    }
    let html = format!(
        "<div class=\"source-page\">\n<h1 id=\"source\"><code>{name}</code></h1>\n\
         <pre class=\"source\" tabindex=\"0\" role=\"region\" aria-label=\"{name}\"><code class=\"language-{}\">{code}</code></pre>\n</div>",
        language(&source.name)
    );
    block(&html, "")
}

//! HTML for pages: escaping, and blocks that Markdown leaves alone.
//!
//! CommonMark ends an HTML block at a blank line. Code holds blank lines, so [`block`] writes the
//! second of two line ends as a character reference: the browser reads a line end, Markdown sees a
//! line that is not blank.

use pulldown_cmark::{Event, Options, Parser, Tag};

/// `text` with the characters replaced that HTML gives a meaning to, in text and in quoted
/// attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `html` as one HTML block of a page, every line behind `indent` (the directive may stand in a
/// list).
#[must_use]
pub fn block(html: &str, indent: &str) -> String {
    let mut out = String::from("\n");
    for (number, line) in html.trim_matches('\n').split('\n').enumerate() {
        if number > 0 {
            out.push_str(if line.trim().is_empty() { "&#10;" } else { "\n" });
        }
        if !line.trim().is_empty() {
            out.push_str(indent);
            out.push_str(line.trim_end());
        }
    }
    out.push_str("\n\n");
    out
}

/// What mdBook reads as Markdown: the same extensions, so that a check sees what the reader will
/// see.
#[must_use]
pub fn markdown_options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM
}

/// A text beside a page (a question, a reason) as HTML.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, Parser::new_ext(text, markdown_options()));
    out.trim_end().to_owned()
}

/// A text of one paragraph as HTML without the paragraph, for a button or a table cell.
///
/// # Errors
///
/// When the text is more than one paragraph or holds a link: neither may stand in a button.
pub fn inline_markdown(text: &str) -> Result<String, String> {
    for event in Parser::new_ext(text, markdown_options()) {
        match event {
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) => {
                return Err(format!("a link cannot stand in `{text}`"));
            }
            Event::Start(Tag::Paragraph | Tag::Emphasis | Tag::Strong | Tag::Strikethrough) => {}
            Event::Start(_) => return Err(format!("`{text}` must be one paragraph")),
            _ => {}
        }
    }
    let html = markdown(text);
    let inner = html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
    match inner {
        Some(inner) if !inner.contains("<p>") => Ok(inner.replace('\n', " ")),
        _ => Err(format!("`{text}` must be one paragraph")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_no_blank_line_and_loses_none() {
        let html = block("<pre>a\n\n\nb\n</pre>", "  ");
        assert_eq!(html, "\n  <pre>a&#10;&#10;\n  b\n  </pre>\n\n");
    }

    #[test]
    fn inline_text_is_one_paragraph_without_links() {
        assert_eq!(inline_markdown("a `b<c>`"), Ok("a <code>b&lt;c&gt;</code>".to_owned()));
        assert!(inline_markdown("a\n\nb").is_err());
        assert!(inline_markdown("- a").is_err());
        assert!(inline_markdown("[a](b.md)").is_err());
    }
}

//! `{{#listing path:anchor context=1 elide=inner1,inner2}}`: code as it is in the file, with the
//! place it comes from.

use super::Directive;
use super::coverage::is_closing;
use crate::html::escape;
use crate::outline;
use crate::page::Page;
use crate::source::{Source, common_indent, split_anchor};
use crate::strings::fill;
use std::ops::Range;

/// Lines of faded context before and after, unless the directive says otherwise.
const CONTEXT: usize = 1;

/// A line of a listing.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// Its number in the file, from 0; none for an elision.
    number: Option<usize>,
    text: String,
    faded: bool,
}

/// The figure with the code.
pub(super) fn render(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=1, &["context", "elide"])?;
    let (name, anchor) = split_anchor(&directive.values[0]);
    let context = directive.number("context")?.unwrap_or(CONTEXT);
    let source = page.source(name)?;
    let range = source.range(anchor)?;
    let lines =
        lines(&source, &range, context, &directive.list("elide"), &page.library.strings.elided)?;
    page.cover(name, lines.iter().filter_map(|line| line.number));
    let place =
        if name.ends_with(".rs") { outline::place(&source.lines, range.start) } else { None };
    let place = place.map(|place| {
        let written = fill(
            &escape(&page.library.strings.listing_in),
            &[("place", &format!("<code>{}</code>", escape(&place)))],
        );
        format!("<span class=\"place\">{written}</span> ")
    });
    let link = page.link_to_lines(name, range.start + 1, range.end);
    let label = escape(&fill(&page.library.strings.code_from, &[("file", name)]));
    Ok(format!(
        "<figure class=\"listing\">\n<figcaption>{place}{link}</figcaption>\n\
         <pre tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><code class=\"language-{language}\"><span>{body}</span></code></pre>\n\
         </figure>",
        place = place.unwrap_or_default(),
        language = language(name),
        body = body(&lines),
    ))
}

/// The name that the highlighter knows a file's language by.
pub(crate) fn language(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("rs") => "rust",
        Some("toml") => "ini",
        Some("py") => "python",
        Some("js" | "mjs") => "javascript",
        Some("md") => "markdown",
        _ => "plaintext",
    }
}

/// The lines to show: those of `range` with elisions, between faded context, all indented as little
/// as can be.
fn lines(
    source: &Source,
    range: &Range<usize>,
    context: usize,
    elided: &[&str],
    elision: &str,
) -> Result<Vec<Line>, String> {
    let elided = elisions(source, range, elided)?;
    let mut lines = context_lines(source, range.start, context, Side::Before);
    for (number, text) in source.shown(range.clone()) {
        match elided.iter().find(|(_, inner)| inner.contains(&number)) {
            None => lines.push(Line { number: Some(number), text: text.to_owned(), faded: false }),
            Some((name, inner)) if inner.start == number => {
                let indent = &text[..text.len() - text.trim_start().len()];
                let text = format!("{indent}// {}", fill(elision, &[("name", name)]));
                lines.push(Line { number: None, text, faded: true });
            }
            Some(_) => {}
        }
    }
    lines.extend(context_lines(source, range.end, context, Side::After));
    let indent = common_indent(lines.iter().map(|line| line.text.as_str()));
    for line in &mut lines {
        line.text = line.text.get(indent..).unwrap_or_default().to_owned();
    }
    Ok(lines)
}

/// The ranges of the anchors to elide, each within `range`.
fn elisions<'a>(
    source: &Source,
    range: &Range<usize>,
    names: &[&'a str],
) -> Result<Vec<(&'a str, Range<usize>)>, String> {
    let nested = |name: &&'a str| {
        let inner = source.range(Some(name))?;
        if inner.start >= range.start && inner.end <= range.end && inner != *range {
            Ok((*name, inner))
        } else {
            Err(format!("anchor `{name}` is not within what is shown, so it cannot be elided"))
        }
    };
    names.iter().map(nested).collect()
}

/// On which side of the listing context lies.
enum Side {
    Before,
    After,
}

/// Up to `count` lines of code beside the line `edge`, with the blank lines between them.
fn context_lines(source: &Source, edge: usize, count: usize, side: Side) -> Vec<Line> {
    let numbers: Vec<usize> = match side {
        Side::Before => (0..edge).rev().collect(),
        Side::After => (edge..source.lines.len()).collect(),
    };
    let code: Vec<usize> =
        numbers.into_iter().filter(|&number| source.is_code(number)).take(count).collect();
    // The end of the item before, or the words above the item after, say nothing about this one.
    let says_nothing = |&number: &usize| {
        let line = source.lines[number].trim();
        match side {
            Side::Before => is_closing(line),
            Side::After => line.starts_with("//") || line.starts_with("#["),
        }
    };
    if code.iter().all(says_nothing) {
        return Vec::new();
    }
    let (Some(first), Some(last)) = (code.iter().min(), code.iter().max()) else {
        return Vec::new();
    };
    // Up to the edge, so that a blank line between context and listing is kept.
    let range = match side {
        Side::Before => *first..edge,
        Side::After => edge..*last + 1,
    };
    let faded = |number: usize| Line {
        number: Some(number),
        text: source.lines[number].clone(),
        faded: true,
    };
    let mut lines: Vec<Line> =
        range.filter(|number| !source.marks.contains(number)).map(faded).collect();
    lines.dedup_by(|one, other| one.text.is_empty() && other.text.is_empty());
    lines
}

/// The code in HTML, one element around each run of faded lines.
fn body(lines: &[Line]) -> String {
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        let (before, after) =
            (at > 0 && lines[at - 1].faded, lines.get(at + 1).is_some_and(|next| next.faded));
        if line.faded && !before {
            out.push_str("<span class=\"faded\">");
        }
        out.push_str(&escape(&line.text));
        if line.faded && !after {
            out.push_str("</span>");
        }
        if at + 1 < lines.len() {
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
struct S;

impl S {
    // ANCHOR: all
    fn a(&self) -> Vec<u8> {
        // ANCHOR: inner
        one();
        two();
        // ANCHOR_END: inner
        three()
    }
    // ANCHOR_END: all

    fn b() {}
}
";

    fn shown(context: usize, elide: &[&str]) -> Result<Vec<String>, String> {
        let source = Source::parse("f.rs", FILE).expect("the anchors pair up");
        let range = source.range(Some("all")).expect("it is there");
        let lines = lines(&source, &range, context, elide, "… ({name})")?;
        Ok(lines
            .into_iter()
            .map(|line| format!("{}{}", if line.faded { "~" } else { " " }, line.text))
            .collect())
    }

    #[test]
    fn a_listing_is_dedented_and_has_no_anchor_lines() {
        let lines = shown(0, &[]).expect("it can be shown");
        assert_eq!(
            lines,
            [" fn a(&self) -> Vec<u8> {", "     one();", "     two();", "     three()", " }"]
        );
    }

    #[test]
    fn context_is_faded_and_counts_lines_of_code() {
        let lines = shown(1, &["inner"]).expect("it can be shown");
        assert_eq!(
            lines,
            [
                "~impl S {",
                "     fn a(&self) -> Vec<u8> {",
                "~        // … (inner)",
                "         three()",
                "     }",
                "~",
                "~    fn b() {}"
            ]
        );
    }

    #[test]
    fn what_belongs_to_the_neighbours_is_no_context() {
        let text =
            "fn a() {\n}\n// ANCHOR: b\nfn b() {}\n// ANCHOR_END: b\n/// Words.\nfn c() {}\n";
        let source = Source::parse("f.rs", text).expect("the anchors pair up");
        let range = source.range(Some("b")).expect("it is there");
        let shown = |context| {
            let lines = lines(&source, &range, context, &[], "").expect("it can be shown");
            lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        assert_eq!(shown(1), ["fn b() {}"]);
        assert_eq!(shown(2), ["fn a() {", "}", "fn b() {}", "/// Words.", "fn c() {}"]);
    }

    #[test]
    fn only_what_is_inside_can_be_elided() {
        assert!(shown(0, &["all"]).is_err());
        assert!(shown(0, &["nothing"]).is_err());
    }

    #[test]
    fn code_is_escaped() {
        let line = |text: &str, faded| Line { number: None, text: text.to_owned(), faded };
        let html = body(&[line("a<b>", true), line("c", true), line("&d", false)]);
        assert_eq!(html, "<span class=\"faded\">a&lt;b&gt;\nc</span>\n&amp;d");
    }
}

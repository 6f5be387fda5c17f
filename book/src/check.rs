//! What a page must not hold: links that lead nowhere, and code written by hand.
//!
//! Links to a heading can be judged only when the pages are rendered, so [`page`] collects them as
//! [`Fragment`]s and [`fragments`] looks for their ids in the HTML: what mdBook made is what a
//! reader's browser will look for.

use crate::html::markdown_options;
use crate::problem::Problem;
use pulldown_cmark::{BrokenLink, CodeBlockKind, CowStr, Event, LinkType, Parser, Tag};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

/// Languages that no page may write by hand, since nothing would test what it says.
const FORBIDDEN: [&str; 8] =
    ["rust", "rs", "console", "sh", "bash", "shell", "shell-session", "zsh"];

/// A link to an id, to be looked for after rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The page that holds the link.
    pub page: String,
    /// Its line.
    pub line: usize,
    /// The page it leads to, relative to the text folder.
    pub target: String,
    /// The id.
    pub id: String,
}

/// What links are judged against.
#[derive(Debug)]
pub struct Linked<'a> {
    /// The folder of the pages.
    pub text: &'a Path,
    /// The pages of the book, relative to it.
    pub pages: &'a BTreeSet<String>,
}

/// A page's findings.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is to be looked for in the rendered pages.
    pub fragments: Vec<Fragment>,
}

/// Checks the Markdown `content` of page `name`. `line_of` gives the line of a byte.
#[must_use]
pub fn page(
    name: &str,
    content: &str,
    line_of: &dyn Fn(usize) -> usize,
    linked: &Linked<'_>,
) -> Findings {
    let mut findings = Findings::default();
    let mut undefined: Vec<(Range<usize>, String)> = Vec::new();
    let mut on_broken = |link: BrokenLink<'_>| {
        // `[x]` alone is a bracketed word; `[x][y]` and `[x][]` are meant as links.
        if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
            undefined.push((link.span, link.reference.to_string()));
        }
        None::<(CowStr<'_>, CowStr<'_>)>
    };
    let parser =
        Parser::new_with_broken_link_callback(content, markdown_options(), Some(&mut on_broken));
    for (event, range) in parser.into_offset_iter() {
        let line = line_of(range.start);
        let targets: Vec<String> = match event {
            Event::Start(Tag::Link { dest_url, link_type, .. }) if link_type != LinkType::Email => {
                vec![dest_url.to_string()]
            }
            Event::Start(Tag::Image { dest_url, .. }) => vec![dest_url.to_string()],
            Event::Html(html) | Event::InlineHtml(html) => html_targets(&html),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                findings.problems.extend(fence(name, line, &info));
                Vec::new()
            }
            _ => Vec::new(),
        };
        for target in targets {
            match judge(name, &target, linked) {
                Err(message) => findings.problems.push(Problem::new(name, line, message)),
                Ok(Some((target, id))) => {
                    findings.fragments.push(Fragment { page: name.to_owned(), line, target, id })
                }
                Ok(None) => {}
            }
        }
    }
    for (span, reference) in undefined {
        let message = format!("link reference `{reference}` is not defined");
        findings.problems.push(Problem::new(name, line_of(span.start), message));
    }
    findings
}

/// Whether a fenced block is code by hand.
fn fence(page: &str, line: usize, info: &str) -> Option<Problem> {
    let language = info.split([',', ' ', '{']).next().unwrap_or_default().to_ascii_lowercase();
    FORBIDDEN.contains(&language.as_str()).then(|| {
        let message = format!(
            "a `{language}` block by hand: use `listing`, `run` or `transcript`, which are checked"
        );
        Problem::new(page, line, message)
    })
}

/// The `href` and `src` of a piece of HTML.
fn html_targets(html: &str) -> Vec<String> {
    let of = |key: &str| {
        let values = html.split(key).skip(1).filter_map(|rest| rest.split('"').next());
        values.map(|value| value.replace("&amp;", "&")).collect::<Vec<_>>()
    };
    [of(" href=\""), of(" src=\"")].concat()
}

/// Judges a link of `page`; gives the page and id to look for later.
fn judge(
    page: &str,
    target: &str,
    linked: &Linked<'_>,
) -> Result<Option<(String, String)>, String> {
    if let Some((scheme, rest)) = target.split_once(':')
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return external(target, scheme, rest).map(|()| None);
    }
    let (path, id) = target.split_once('#').map_or((target, None), |(path, id)| (path, Some(id)));
    if path.is_empty() {
        return match id {
            None | Some("") => Err(format!("link `{target}` leads nowhere")),
            Some(id) => Ok(Some((page.to_owned(), id.to_owned()))),
        };
    }
    let found = resolve(page, path, target)?;
    if Path::new(path).extension().is_some_and(|extension| extension == "md") {
        if !linked.pages.contains(&found) {
            let why = if linked.text.join(&found).is_file() {
                "is not in SUMMARY.md"
            } else {
                "does not exist"
            };
            return Err(format!("link `{target}`: page `{found}` {why}"));
        }
        return Ok(id.map(|id| (found, id.to_owned())));
    }
    if path.ends_with(".html") {
        return Err(format!("link `{target}`: link to the page's `.md`"));
    }
    if linked.text.join(&found).is_file() {
        Ok(None)
    } else {
        Err(format!("link `{target}`: file `{found}` does not exist"))
    }
}

/// Judges an address with a scheme by its form.
fn external(target: &str, scheme: &str, rest: &str) -> Result<(), String> {
    let wrong = Err(format!("link `{target}` is not a well-formed address"));
    match scheme {
        "http" | "https" => {
            let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
            match host {
                Some(host) if !host.is_empty() && !target.contains(char::is_whitespace) => Ok(()),
                _ => wrong,
            }
        }
        "mailto" if rest.contains('@') => Ok(()),
        _ => wrong,
    }
}

/// `path`, seen from `page`, relative to the text folder.
fn resolve(page: &str, path: &str, target: &str) -> Result<String, String> {
    let outside = || format!("link `{target}` leads out of the book");
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str().ok_or_else(outside)?),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop().ok_or_else(outside)?;
            }
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    Ok(parts.join("/"))
}

/// Checks that the pages SUMMARY.md names exist, which mdBook would otherwise report without a
/// line, or create.
#[must_use]
pub fn summary(text: &Path) -> Vec<Problem> {
    let name = "SUMMARY.md";
    let content = match fs::read_to_string(text.join(name)) {
        Ok(content) => content,
        Err(error) => return vec![Problem::new(name, 1, format!("cannot be read: {error}"))],
    };
    let line_of = lines(&content);
    let links = Parser::new_ext(&content, markdown_options()).into_offset_iter().filter_map(
        |(event, range)| match event {
            Event::Start(Tag::Link { dest_url, .. }) if !dest_url.is_empty() => {
                Some((dest_url.to_string(), range.start))
            }
            _ => None,
        },
    );
    let judged = links.filter_map(|(target, at)| {
        let message = match resolve(name, &target, &target) {
            Ok(page) if text.join(&page).is_file() => return None,
            Ok(page) => format!("page `{page}` does not exist"),
            Err(message) => message,
        };
        Some(Problem::new(name, line_of(at), message))
    });
    judged.collect()
}

/// A function from a byte of `content` to its line, from 1.
pub fn lines(content: &str) -> impl Fn(usize) -> usize + use<> {
    let ends: Vec<usize> = content.match_indices('\n').map(|(at, _)| at).collect();
    move |byte| ends.partition_point(|&end| end < byte) + 1
}

/// Looks for the ids of `fragments` in the pages rendered into `html`.
#[must_use]
pub fn fragments(fragments: &[Fragment], html: &Path) -> Vec<Problem> {
    let mut ids: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut missing = Vec::new();
    for Fragment { page, line, target, id } in fragments {
        let path = html.join(target).with_extension("html");
        let ids = ids
            .entry(path)
            .or_insert_with_key(|path| ids_of(&fs::read_to_string(path).unwrap_or_default()));
        if !ids.contains(&percent_decoded(id)) {
            missing.push(Problem::new(
                page,
                *line,
                format!("page `{target}` has no heading or place `#{id}`"),
            ));
        }
    }
    missing
}

/// Every `id` in a rendered page.
fn ids_of(html: &str) -> BTreeSet<String> {
    html.split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// `text` with `%41` read as `A`.
#[must_use]
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .filter(|hex| !hex.starts_with('+'));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        let line_of = lines("a\nb\n\nc");
        assert_eq!([0, 1, 2, 4, 5].map(line_of), [1, 1, 2, 3, 4]);
    }

    #[test]
    fn a_percent_sign_is_decoded_once() {
        assert_eq!(percent_decoded("a%20%2541%zz%"), "a %41%zz%");
    }
}

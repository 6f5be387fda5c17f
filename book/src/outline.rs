//! Where in a Rust file a line stands: `EventLoop::run_once`, `impl Future for Sleep`.
//!
//! No parser: a scanner that skips strings and comments, matches braces, and looks at the words
//! before each opening brace.

/// An item that holds others.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// `fn name`.
    Function(String),
    /// `impl Type` or `impl Trait for Type`, with the type's bare name.
    Implementation { written: String, of: String },
    /// `mod`, `struct`, `enum`, `union` or `trait`, and its name.
    Named { keyword: String, name: String },
}

/// The place of the line `number` (from 0) in the Rust text `lines`, or `None` at the top of the
/// file.
#[must_use]
pub fn place(lines: &[String], number: usize) -> Option<String> {
    let before = lines[..number].join("\n");
    let enclosing: Vec<Item> = open_braces(&before).into_iter().flatten().collect();
    let names: Vec<&str> = enclosing.iter().map(Item::name).collect();
    match enclosing.last()? {
        Item::Function(_) => Some(names.join("::")),
        Item::Implementation { written, .. } => Some(format!("impl {written}")),
        Item::Named { keyword, name } => Some(format!("{keyword} {name}")),
    }
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Item::Function(name) | Item::Named { name, .. } => name,
            Item::Implementation { of, .. } => of,
        }
    }

    /// The item whose text before `{` is `header`.
    fn of_header(header: &str) -> Option<Item> {
        let mut rest = without_attributes(header);
        loop {
            let (word, after) = split_word(rest);
            match word {
                "pub" => rest = skip_brackets(after, '(', ')'),
                "default" | "async" | "const" | "unsafe" | "extern" => rest = after,
                "fn" => return Some(Item::Function(split_word(after).0.to_owned())),
                "impl" => return Some(Item::implementation(after)),
                "mod" | "struct" | "enum" | "union" | "trait" => {
                    return Some(Item::Named {
                        keyword: word.to_owned(),
                        name: split_word(after).0.to_owned(),
                    });
                }
                _ => return None,
            }
        }
    }

    /// What stands after the word `impl`.
    fn implementation(after: &str) -> Item {
        let words = skip_brackets(after, '<', '>').split_whitespace().collect::<Vec<_>>().join(" ");
        let written = words.split(" where").next().unwrap_or_default().to_owned();
        let of = written.rsplit(" for ").next().unwrap_or_default();
        let of = of.split('<').next().unwrap_or_default().rsplit("::").next().unwrap_or_default();
        let of = of.trim_start_matches(['&', '(', ' ']).to_owned();
        Item::Implementation { written, of }
    }
}

/// The first word of `text`, and what follows it.
fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// `text` behind a leading `<…>` or `(…)`.
fn skip_brackets(text: &str, open: char, close: char) -> &str {
    let text = text.trim_start();
    let mut depth = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close && before != '-' {
            depth -= 1;
        }
        if depth == 0 {
            return if at == 0 { text } else { &text[at + c.len_utf8()..] };
        }
        before = c;
    }
    text
}

/// `header` behind its leading `#[…]`.
fn without_attributes(header: &str) -> &str {
    let mut rest = header.trim_start();
    while let Some(after) = rest.strip_prefix("#!").or_else(|| rest.strip_prefix('#')) {
        rest = skip_brackets(after, '[', ']').trim_start();
    }
    rest
}

/// For each brace that `text` leaves open, the item it belongs to.
fn open_braces(text: &str) -> Vec<Option<Item>> {
    let mut open = Vec::new();
    let mut header = String::new();
    for c in code_characters(text).chars() {
        match c {
            '{' => {
                open.push(Item::of_header(&header));
                header.clear();
            }
            '}' => {
                open.pop();
                header.clear();
            }
            ';' => header.clear(),
            c => header.push(c),
        }
    }
    open
}

/// The characters of Rust `text` that are neither in a comment nor in a literal.
#[must_use]
pub(crate) fn code_characters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = literal_or_comment(rest, out.chars().last());
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            // Line ends stay, so that lines can still be counted.
            out.extend(rest[..skipped].chars().filter(|&c| c == '\n'));
            rest = &rest[skipped..];
        }
    }
    out
}

/// The length of the comment or literal that `text` begins with, or 0.
fn literal_or_comment(text: &str, before: Option<char>) -> usize {
    let until = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return nested_comment(text);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && let Some(raw) = text.strip_prefix("br").or_else(|| text.strip_prefix('r')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let begin = text.len() - raw.len() + hashes + 1;
            return until(&format!("\"{}", "#".repeat(hashes)), begin);
        }
    }
    match text.as_bytes()[0] {
        b'"' => 1 + quoted(&text[1..], '"'),
        b'\'' if is_character(text) => 1 + quoted(&text[1..], '\''),
        _ => 0,
    }
}

/// The length of a block comment, which may hold others.
fn nested_comment(text: &str) -> usize {
    let mut depth = 0;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Whether the quote that `text` begins with opens a character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut inside = text[1..].chars();
    matches!((inside.next(), inside.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

/// The length of a literal's rest, with its closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::place;

    const FILE: &str = r##"
//! A file { with braces in a comment.
use std::fmt;
pub(crate) struct EventLoop<'a, T: Fn() -> u32> {
    ready: &'a str, // {
}
impl<'a, T: Fn() -> u32> EventLoop<'a, T>
where
    T: Send,
{
    #[must_use]
    pub async fn run_once(&mut self) -> impl Iterator<Item = u32> {
        let brace = '{';
        let text = "{ \" {";
        let raw = r#"{"{"#;
        match self { Some(x) => { deep() } }
    }
}
impl fmt::Display for timers::Timers<u8> {
    fn fmt(&self) { here() }
}
fn free() {
    inside()
}
mod nested { fn leaf() {
    leaf_line
} }
end
"##;

    fn place_of(needle: &str) -> Option<String> {
        let lines: Vec<String> = FILE.lines().map(str::to_owned).collect();
        let number =
            lines.iter().position(|line| line.contains(needle)).expect("the file holds it");
        place(&lines, number)
    }

    #[test]
    fn the_innermost_item_names_the_place() {
        assert_eq!(place_of("use std::fmt"), None);
        assert_eq!(place_of("ready:").as_deref(), Some("struct EventLoop"));
        assert_eq!(place_of("pub async fn").as_deref(), Some("impl EventLoop<'a, T>"));
        assert_eq!(place_of("deep()").as_deref(), Some("EventLoop::run_once"));
        assert_eq!(place_of("fn fmt").as_deref(), Some("impl fmt::Display for timers::Timers<u8>"));
        assert_eq!(place_of("fn free"), None);
        assert_eq!(place_of("inside()").as_deref(), Some("free"));
        assert_eq!(place_of("leaf_line").as_deref(), Some("nested::leaf"));
        assert_eq!(place_of("end"), None);
    }
}

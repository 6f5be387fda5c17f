//! The directives: `{{#name arguments}}`, alone on a line. One file for each; this one reads the
//! arguments.

mod coverage;
mod diff;
mod exercise;
mod listing;
mod matrix;
mod predict;
mod proof;
mod recorded;
mod run;
mod table;
mod transcript;

pub use coverage::uncovered;
pub(crate) use listing::language;

use crate::page::Page;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A directive as written.
#[derive(Debug, PartialEq, Eq)]
pub struct Directive {
    /// What follows `{{#`.
    pub name: String,
    /// Arguments without a key, in order.
    pub values: Vec<String>,
    /// Arguments with a key: `key=value`.
    pub options: BTreeMap<String, String>,
}

/// Expands `directive` on `page` into HTML.
///
/// # Errors
///
/// When it is unknown, or what it names is missing.
pub fn render(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    match directive.name.as_str() {
        "diff" => diff::render(directive, page),
        "exercise" => exercise::render(directive, page),
        "left-out" => coverage::left_out(directive, page),
        "listing" => listing::render(directive, page),
        "matrix" => matrix::whole(directive, page),
        "matrix-row" => matrix::rows(directive, page),
        "mechanism" => coverage::mechanism(directive, page),
        "predict" => predict::render(directive, page),
        "recorded" => recorded::text(directive, page),
        "recorded-table" => recorded::table(directive, page),
        "run" => run::render(directive, page),
        "transcript" => transcript::render(directive, page),
        unknown => Err(format!("there is no directive `{unknown}`")),
    }
}

impl Directive {
    /// Reads a line that holds a directive and nothing else; `None` for any other line.
    ///
    /// # Errors
    ///
    /// When a quotation does not end, or a key comes twice.
    #[must_use]
    pub fn parse(line: &str) -> Option<Result<Directive, String>> {
        let inside = line.trim().strip_prefix("{{#")?.strip_suffix("}}")?;
        Some(Directive::parse_inside(inside))
    }

    fn parse_inside(inside: &str) -> Result<Directive, String> {
        let mut words = words(inside)?.into_iter();
        let name = words.next().map(|word| word.text).unwrap_or_default();
        let mut directive = Directive { name, values: Vec::new(), options: BTreeMap::new() };
        for word in words {
            let Some(key) = word.key else {
                directive.values.push(word.text);
                continue;
            };
            if directive.options.insert(key.clone(), word.text).is_some() {
                return Err(format!("`{key}=` is given twice"));
            }
        }
        Ok(directive)
    }

    /// Refuses a number of values or an option that this directive does not take.
    pub(crate) fn allow(
        &self,
        values: RangeInclusive<usize>,
        options: &[&str],
    ) -> Result<(), String> {
        if !values.contains(&self.values.len()) {
            let (least, most) = (values.start(), values.end());
            let wanted = if *most == usize::MAX {
                format!("at least {least}")
            } else if least == most {
                least.to_string()
            } else {
                format!("{least} to {most}")
            };
            return Err(format!(
                "`{}` takes {wanted} argument(s), not {}",
                self.name,
                self.values.len()
            ));
        }
        match self.options.keys().find(|key| !options.contains(&key.as_str())) {
            Some(key) => Err(format!("`{}` takes no option `{key}=`", self.name)),
            None => Ok(()),
        }
    }

    /// An option's value as a number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<usize>, String> {
        let number =
            |text: &String| text.parse().map_err(|_| format!("`{key}={text}` is not a number"));
        self.options.get(key).map(number).transpose()
    }

    /// An option's value as a list, separated by commas.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        let list = self.options.get(key).map(|text| text.split(',').map(str::trim).collect());
        list.unwrap_or_default()
    }
}

/// An argument, with its key if it has one.
struct Word {
    key: Option<String>,
    text: String,
}

/// Splits at blanks outside of quotations. In a quotation `\"` is a quotation mark and `\\` a
/// backslash; any other backslash stands for itself.
fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut key = None;
        let name_end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        if name_end > 0 && rest[name_end..].starts_with('=') {
            key = Some(rest[..name_end].to_owned());
            rest = &rest[name_end + 1..];
        }
        let (text, after) = if let Some(quotation) = rest.strip_prefix('"') {
            unquote(quotation)?
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(format!("a blank is missing before `{after}`"));
        }
        words.push(Word { key, text });
        rest = after.trim_start();
    }
    Ok(words)
}

/// The text up to the closing quotation mark, and what follows it.
fn unquote(quotation: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut characters = quotation.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((text, &quotation[at + 1..])),
            '\\' => match characters.next_if(|&(_, next)| next == '"' || next == '\\') {
                Some((_, escaped)) => text.push(escaped),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    Err("a quotation does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Directive {
        Directive::parse(line).expect("it is a directive").expect("it is well formed")
    }

    #[test]
    fn values_and_options_are_told_apart() {
        let directive = parsed(r#"  {{#left-out a/b.rs:c reason="it \"is\" a\n b=c" }}"#);
        assert_eq!(directive.name, "left-out");
        assert_eq!(directive.values, ["a/b.rs:c"]);
        assert_eq!(directive.options["reason"], r#"it "is" a\n b=c"#);
        assert_eq!(parsed(r#"{{#run "printf '10\\n' | x"}}"#).values, [r"printf '10\n' | x"]);
    }

    #[test]
    fn what_is_no_directive_or_malformed() {
        assert!(Directive::parse("text {{#run x}}").is_none());
        for bad in [r#"{{#run "x}}"#, "{{#diff a=1 a=2}}", r#"{{#run "a"b}}"#] {
            assert!(Directive::parse(bad).expect("it is a directive").is_err(), "{bad}");
        }
        let directive = parsed("{{#listing a b x=1 context=z}}");
        assert!(directive.allow(1..=1, &["x", "context"]).is_err());
        assert!(directive.allow(2..=2, &["context"]).is_err());
        assert!(directive.number("context").is_err());
    }
}

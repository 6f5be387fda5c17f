//! `{{#diff old new hunks=1,3 context=2 from=anchor to=anchor}}`: what changed between two files,
//! without their anchor lines.

use super::Directive;
use crate::html::escape;
use crate::page::Page;
use crate::source::Source;
use crate::strings::fill;
use similar::{ChangeTag, TextDiff};

/// Unchanged lines around a change, unless the directive says otherwise.
const CONTEXT: usize = 3;

/// The figure with the chosen hunks.
pub(super) fn render(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(2..=2, &["hunks", "context", "from", "to"])?;
    let (old_name, new_name) = (&directive.values[0], &directive.values[1]);
    let (old, new) = (page.source(old_name)?, page.source(new_name)?);
    let old_lines = compared(&old, directive.options.get("from"))?;
    let new_lines = compared(&new, directive.options.get("to"))?;
    let hunks = hunks(&old_lines, &new_lines, directive.number("context")?.unwrap_or(CONTEXT));
    if hunks.is_empty() {
        return Err(format!("`{old_name}` and `{new_name}` do not differ"));
    }
    let chosen = chosen(&hunks, &directive.list("hunks"))?;
    let links = [("old", page.link_to_file(old_name)), ("new", page.link_to_file(new_name))];
    let caption = fill(
        &escape(&page.library.strings.diff),
        &[(links[0].0, &links[0].1), (links[1].0, &links[1].1)],
    );
    let label = escape(&fill(&page.library.strings.diff, &[("old", old_name), ("new", new_name)]));
    Ok(format!(
        "<figure class=\"diff\">\n<figcaption>{caption}</figcaption>\n\
         <pre tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><code class=\"nohighlight\">{}</code></pre>\n</figure>",
        chosen.join("\n")
    ))
}

/// A line and its number in the file, from 0.
type Numbered<'a> = (usize, &'a str);

/// What is compared of a file.
fn compared<'a>(source: &'a Source, anchor: Option<&String>) -> Result<Vec<Numbered<'a>>, String> {
    Ok(source.shown(source.range(anchor.map(String::as_str))?))
}

/// Every hunk in HTML.
fn hunks(old: &[Numbered<'_>], new: &[Numbered<'_>], context: usize) -> Vec<String> {
    let text = |lines: &[Numbered<'_>]| {
        lines.iter().map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let (old_text, new_text) = (text(old), text(new));
    let diff = TextDiff::from_lines(&old_text, &new_text);
    let groups = diff.grouped_ops(context);
    let hunk = |group: &Vec<similar::DiffOp>| {
        let first =
            |lines: &[Numbered<'_>], at: usize| lines.get(at).map_or(0, |(number, _)| number + 1);
        let (old_at, new_at) =
            group.first().map_or((0, 0), |op| (op.old_range().start, op.new_range().start));
        let head = format!("@@ -{} +{} @@", first(old, old_at), first(new, new_at));
        let mut out = format!("<span class=\"hunk\">{head}</span>");
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = escape(change.value().trim_end());
            out.push('\n');
            out.push_str(&match change.tag() {
                ChangeTag::Equal => format!(" {line}"),
                ChangeTag::Delete => format!("<del>-{line}</del>"),
                ChangeTag::Insert => format!("<ins>+{line}</ins>"),
            });
        }
        out
    };
    groups.iter().filter(|group| !group.is_empty()).map(hunk).collect()
}

/// The hunks that `numbers` (from 1) name, or all.
fn chosen<'a>(hunks: &'a [String], numbers: &[&str]) -> Result<Vec<&'a str>, String> {
    if numbers.is_empty() {
        return Ok(hunks.iter().map(String::as_str).collect());
    }
    let pick = |number: &&str| {
        let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let hunk = at.and_then(|at| hunks.get(at)).map(String::as_str);
        hunk.ok_or_else(|| format!("there is no hunk {number}: the diff has {}", hunks.len()))
    };
    numbers.iter().map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_are_chosen_by_number_and_keep_the_files_line_numbers() {
        let old = [(2, "a<"), (4, "b"), (5, "c"), (6, "d")];
        let new = [(0, "A"), (1, "b"), (2, "c"), (3, "D")];
        let all = hunks(&old, &new, 0);
        assert_eq!(all.len(), 2);
        assert!(
            all[0].starts_with(
                "<span class=\"hunk\">@@ -3 +1 @@</span>\n<del>-a&lt;</del>\n<ins>+A</ins>"
            ),
            "{}",
            all[0]
        );
        assert_eq!(chosen(&all, &["2"]), Ok(vec![all[1].as_str()]));
        assert_eq!(chosen(&all, &[]).map(|all| all.len()), Ok(2));
        for bad in ["0", "3", "x"] {
            assert!(chosen(&all, &[bad]).is_err());
        }
    }
}

//! `{{#run package}}` or `{{#run "a command line"}}`: a command to copy, of which package and
//! example are known to exist.

use super::{Directive, proof};
use crate::html::escape;
use crate::page::Page;

/// The command as a block.
pub(super) fn render(directive: &Directive, page: &mut Page<'_>) -> Result<String, String> {
    directive.allow(1..=1, &[])?;
    let given = directive.values[0].trim();
    let line = if given.contains(' ') { given.to_owned() } else { format!("cargo run -p {given}") };
    command(&line, page)
}

/// A checked command line in HTML.
pub(super) fn command(line: &str, page: &Page<'_>) -> Result<String, String> {
    if line.contains('\n') {
        return Err(format!("`{line}` must be one line"));
    }
    proof::command(page.library, line)?;
    Ok(format!(
        "<pre class=\"run\" tabindex=\"0\"><code class=\"nohighlight\">{}</code></pre>",
        escape(line)
    ))
}

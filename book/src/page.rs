//! One page while its directives are expanded: what it shows of which file, and what is still to be
//! checked.

use crate::html::escape;
use crate::library::Library;
use crate::source::Source;
use crate::strings::fill;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The page a directive stands on.
#[derive(Debug)]
pub struct Page<'a> {
    /// What it draws on.
    pub library: &'a Library,
    /// Leads from the page to the book's root: `../` for each folder.
    pub to_root: String,
    /// The lines of each file that the page shows or names as left out.
    pub covered: BTreeMap<String, BTreeSet<usize>>,
    /// Files of which every line must be covered, and the line of the page that says so.
    pub mechanisms: Vec<(String, usize)>,
    /// Markdown taken from files beside the page, to be checked for links as if it stood at that
    /// line.
    pub texts: Vec<(String, usize)>,
    /// The line of the directive being expanded.
    pub line: usize,
}

impl<'a> Page<'a> {
    /// The page at `path` (relative to the book's text).
    #[must_use]
    pub fn new(library: &'a Library, path: &str) -> Page<'a> {
        let to_root = "../".repeat(path.matches('/').count());
        Page {
            library,
            to_root,
            covered: BTreeMap::new(),
            mechanisms: Vec::new(),
            texts: Vec::new(),
            line: 1,
        }
    }

    /// The file that pages call `name`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn source(&self, name: &str) -> Result<Rc<Source>, String> {
        self.library.source(name)
    }

    /// Notes that the page accounts for these lines (from 0) of a file.
    pub fn cover(&mut self, name: &str, lines: impl IntoIterator<Item = usize>) {
        self.covered.entry(name.to_owned()).or_default().extend(lines);
    }

    /// The address of a file's page, without a range.
    fn file_address(&self, name: &str) -> String {
        format!("{}code/{}.html", self.to_root, escape(name))
    }

    /// A link to a whole file.
    #[must_use]
    pub fn link_to_file(&self, name: &str) -> String {
        self.library.link(name, 0, 0);
        format!("<a href=\"{}\"><code>{}</code></a>", self.file_address(name), escape(name))
    }

    /// A link to lines `first..=last` (from 1) of a file.
    #[must_use]
    pub fn link_to_lines(&self, name: &str, first: usize, last: usize) -> String {
        self.library.link(name, first, last);
        let (one, many) = (&self.library.strings.line, &self.library.strings.lines);
        let (first, last) = (first.to_string(), last.to_string());
        let lines = if first == last {
            fill(one, &[("line", &first)])
        } else {
            fill(many, &[("first", &first), ("last", &last)])
        };
        let address = self.file_address(name);
        let name = escape(name);
        format!(
            "<a href=\"{address}#L{first}-L{last}\"><code>{name}</code>, {}</a>",
            escape(&lines)
        )
    }
}

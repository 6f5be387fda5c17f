//! What the pages draw on: files, words and packages, each read once a build, and which ranges of
//! files were linked to.

use crate::places::Places;
use crate::source::Source;
use crate::strings::Strings;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

/// Everything a directive may look up.
#[derive(Debug)]
pub struct Library {
    /// Where files are.
    pub places: Places,
    /// The language's words.
    pub strings: Strings,
    /// The workspace's packages and their folders.
    pub packages: BTreeMap<String, PathBuf>,
    sources: RefCell<BTreeMap<String, Result<Rc<Source>, String>>>,
    linked: RefCell<BTreeMap<String, BTreeSet<(usize, usize)>>>,
}

impl Library {
    /// The library of one language's pages.
    ///
    /// # Errors
    ///
    /// When `strings.toml` is missing or incomplete.
    pub fn open(places: Places) -> Result<Library, String> {
        let strings = Strings::load(&places.text)?;
        let packages = places.packages();
        Ok(Library {
            places,
            strings,
            packages,
            sources: RefCell::default(),
            linked: RefCell::default(),
        })
    }

    /// The file that pages call `name`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn source(&self, name: &str) -> Result<Rc<Source>, String> {
        let read =
            || self.places.source(name).and_then(|path| Source::read(name, &path)).map(Rc::new);
        self.sources.borrow_mut().entry(name.to_owned()).or_insert_with(read).clone()
    }

    /// Remembers that lines `first..=last` (from 1) of a file are linked to, so that the file gets
    /// a page.
    pub fn link(&self, name: &str, first: usize, last: usize) {
        self.linked.borrow_mut().entry(name.to_owned()).or_default().insert((first, last));
    }

    /// The files linked to, with the ranges.
    #[must_use]
    pub fn linked(&self) -> BTreeMap<String, BTreeSet<(usize, usize)>> {
        self.linked.borrow().clone()
    }
}

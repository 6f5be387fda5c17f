//! Which files the book is made from, and whether one of them changed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Folders of the book that it is not made from, or that only a new start would read.
const IGNORED: [&str; 4] = ["build", "src", "tests", "node_modules"];

/// The folders to look at.
#[derive(Debug)]
pub(super) struct Watched {
    folders: Vec<PathBuf>,
    ignored: Vec<PathBuf>,
}

impl Watched {
    /// What the book at `book` is made from.
    pub(super) fn of_book(book: &Path) -> Watched {
        let workspace = book.parent().unwrap_or(book);
        Watched {
            folders: vec![book.to_owned(), workspace.join("chapters"), workspace.join("shared")],
            ignored: IGNORED.iter().map(|name| book.join(name)).collect(),
        }
    }

    /// A number that differs when a file was added, removed or written.
    pub(super) fn state(&self) -> u64 {
        let mut files = Vec::new();
        for folder in &self.folders {
            self.collect(folder, &mut files);
        }
        files.sort();
        let mut hasher = DefaultHasher::new();
        files.hash(&mut hasher);
        hasher.finish()
    }

    /// Adds the files below `folder`, with when they were written and how long they are.
    fn collect(
        &self,
        folder: &Path,
        files: &mut Vec<(PathBuf, Option<std::time::SystemTime>, u64)>,
    ) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let Ok(kind) = entry.file_type() else { continue };
            if hidden || self.ignored.contains(&path) || entry.file_name() == "target" {
                continue;
            }
            if kind.is_dir() {
                self.collect(&path, files);
            } else if let Ok(metadata) = entry.metadata() {
                files.push((path, metadata.modified().ok(), metadata.len()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Watched;
    use std::fs;

    #[test]
    fn a_page_and_a_source_count_and_the_built_book_does_not() {
        let workspace = tempfile::tempdir().expect("a temporary folder");
        let book = workspace.path().join("book");
        for folder in ["book/text/en", "book/build", "chapters/a/src", "shared"] {
            fs::create_dir_all(workspace.path().join(folder)).expect("a folder");
        }
        let watched = Watched::of_book(&book);
        let mut states = vec![watched.state()];
        for file in ["book/text/en/a.md", "chapters/a/src/lib.rs"] {
            fs::write(workspace.path().join(file), "text").expect("a file");
            states.push(watched.state());
        }
        assert!(states[0] != states[1] && states[1] != states[2]);
        fs::write(book.join("build/index.html"), "text").expect("a file");
        assert_eq!(watched.state(), states[2]);
    }
}

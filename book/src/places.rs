//! Where things are: the one map from the names that pages use to files.
//!
//! Everything hangs off the workspace root and the book's root, so a test can point at a fixture in
//! a temporary folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders whose names a page writes out; any other path is one of a chapter.
const SPELLED_OUT: [&str; 3] = ["shared/", "benches/", "book/"];

/// The folders a book is made from.
#[derive(Debug, Clone)]
pub struct Places {
    /// The workspace: `chapters/`, `shared/`, `benches/`.
    pub workspace: PathBuf,
    /// The folder of `book.toml`.
    pub book: PathBuf,
    /// The pages of one language.
    pub text: PathBuf,
}

impl Places {
    /// The book this package was compiled in.
    #[must_use]
    pub fn of_this_workspace() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    /// The places of the book at `book`, its pages in `src` below it. The workspace is the folder
    /// above.
    #[must_use]
    pub fn of_book(book: &Path, src: &Path) -> Places {
        let workspace = book.parent().unwrap_or(book).to_owned();
        Places { workspace, book: book.to_owned(), text: book.join(src) }
    }

    /// The file that a page calls `name`.
    ///
    /// # Errors
    ///
    /// When `name` leads out of the workspace.
    pub fn source(&self, name: &str) -> Result<PathBuf, String> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || name.is_empty() {
            return Err(format!("`{name}` must be a path relative to chapters/, without `..`"));
        }
        if SPELLED_OUT.iter().any(|folder| name.starts_with(folder)) {
            Ok(self.workspace.join(name))
        } else {
            Ok(self.workspace.join("chapters").join(name))
        }
    }

    /// A recorded dialogue.
    #[must_use]
    pub fn transcript(&self, name: &str) -> PathBuf {
        self.book.join("transcripts").join(format!("{name}.txt"))
    }

    /// What was measured or recorded, by the name of its file.
    #[must_use]
    pub fn recording(&self, file: &str) -> PathBuf {
        self.book.join("recordings").join(file)
    }

    /// The measured behaviour matrix.
    #[must_use]
    pub fn matrix(&self) -> PathBuf {
        self.recording("matrix.md")
    }

    /// The workspace's packages by name, with their folders.
    #[must_use]
    pub fn packages(&self) -> BTreeMap<String, PathBuf> {
        let mut folders = vec![self.workspace.join("benches"), self.workspace.join("book")];
        for group in ["chapters", "shared"] {
            let entries = fs::read_dir(self.workspace.join(group)).into_iter().flatten();
            folders.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
        folders.into_iter().filter_map(|folder| Some((package_name(&folder)?, folder))).collect()
    }
}

/// The name that `folder/Cargo.toml` gives its package.
fn package_name(folder: &Path) -> Option<String> {
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()?;
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_chapters_or_spelled_out_and_never_outside() {
        let places = Places::of_book(Path::new("/w/book"), Path::new("text/en"));
        assert_eq!(
            places.source("ch01/src/lib.rs"),
            Ok(PathBuf::from("/w/chapters/ch01/src/lib.rs"))
        );
        assert_eq!(
            places.source("shared/lab/src/lib.rs"),
            Ok(PathBuf::from("/w/shared/lab/src/lib.rs"))
        );
        for bad in ["../secret", "/etc/passwd", "ch01/../../x", ""] {
            assert!(places.source(bad).is_err(), "{bad}");
        }
    }
}

//! Builds the book: renders beside the place it belongs, checks, and only then moves it there. A
//! broken book never replaces a good one.

use crate::check;
use crate::expand::Expand;
use crate::places::Places;
use crate::problem::Problem;
use mdbook_driver::MDBook;
use mdbook_driver::config::Config;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no book.
#[derive(Debug)]
pub enum Failure {
    /// The text is wrong.
    Problems(Vec<Problem>),
    /// mdBook could not load or render it.
    MdBook(String),
    /// The result could not be put in its place.
    Move(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Problems(problems) => {
                for problem in problems {
                    writeln!(f, "{problem}")?;
                }
                write!(f, "{} problem(s)", problems.len())
            }
            Failure::MdBook(error) => write!(f, "mdBook: {error}"),
            Failure::Move(error) => write!(f, "the built book cannot be put in its place: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// A rendered and checked book that is not yet in its place. Dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    folder: PathBuf,
}

impl Staged {
    /// Moves the book to `place`, in exchange for what is there.
    ///
    /// # Errors
    ///
    /// When a folder cannot be removed or renamed.
    pub fn publish(self, place: &Path) -> Result<(), Failure> {
        let exchange = || {
            match fs::remove_dir_all(place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::rename(&self.folder, place)
        };
        exchange().map_err(Failure::Move)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After `publish` there is nothing left to remove.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Renders and checks the book at `book` into a folder beside `place`.
///
/// # Errors
///
/// With every problem that was found.
pub fn stage(book: &Path, place: &Path) -> Result<Staged, Failure> {
    let config = Config::from_disk(book.join("book.toml"))
        .map_err(|error| Failure::MdBook(format!("{error:#}")))?;
    let text = Places::of_book(book, &config.book.src).text;
    let missing = check::summary(&text);
    if !missing.is_empty() {
        return Err(Failure::Problems(missing));
    }
    let staged = Staged { folder: staging_folder(place) };
    let problems = render(book, config, &staged.folder).map_err(Failure::MdBook)?;
    if problems.is_empty() { Ok(staged) } else { Err(Failure::Problems(problems)) }
}

/// A hidden neighbour of `place`, so that it can be renamed; one for each process, since two may
/// build at once.
fn staging_folder(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.{}", std::process::id()))
}

/// Renders into `folder`.
fn render(book: &Path, mut config: Config, folder: &Path) -> Result<Vec<Problem>, String> {
    config.build.build_dir = folder.to_owned();
    let expand = Expand::default();
    let render = || {
        let mut md_book = MDBook::load_with_config(book, config)?;
        md_book.with_preprocessor(expand.clone());
        md_book.build()
    };
    render().map_err(|error| format!("{error:#}"))?;
    let mut outcome = expand.take_outcome();
    outcome.problems.extend(check::fragments(&outcome.fragments, folder));
    outcome.problems.sort();
    remove_raw_texts(folder);
    Ok(outcome.problems)
}

/// Removes what mdBook copies from beside the pages and no reader needs.
fn remove_raw_texts(folder: &Path) {
    let _ = fs::remove_file(folder.join("strings.toml"));
    for texts in ["predict", "exercises"] {
        let _ = fs::remove_dir_all(folder.join(texts));
    }
}

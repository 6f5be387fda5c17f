//! A workspace with a small book in a temporary folder.

#![allow(dead_code)] // each test file uses a part

use book::build::{Failure, stage};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The words of the real book.
const STRINGS: &str = include_str!("../../text/en/strings.toml");

/// Without what takes mdBook long: a search, hashes of files.
const CONFIGURATION: &str = "\
[book]
title = \"T\"
src = \"text/en\"
[build]
create-missing = false
use-default-preprocessors = false
[output.html]
hash-files = false
[output.html.search]
enable = false
[output.html.print]
enable = false
[output.html.playground]
runnable = false
";

const EVENT_LOOP: &str = "\
//! The loop.
use std::io;

// ANCHOR: struct
/// A loop.
pub struct EventLoop {
    ready: Vec<u8>,
}
// ANCHOR_END: struct

impl EventLoop {
    // ANCHOR: run_once
    pub fn run_once(&mut self) -> Result<(), io::Error> {
        // ANCHOR: wait
        self.wait();
        // ANCHOR_END: wait
        self.run::<u8>()
    }
    // ANCHOR_END: run_once

    // ANCHOR: stop
    fn stop(&self) {}
    // ANCHOR_END: stop
}
";

/// The fixture: one page, `page.md`, and chapter `ch09-loop` to show.
pub(crate) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// A book whose page is `# Page` and `content` from line 3 on.
    pub(crate) fn new(content: &str) -> Fixture {
        let fixture = Fixture { folder: tempfile::tempdir().expect("a temporary folder") };
        fixture.file("book/book.toml", CONFIGURATION);
        fixture.file("book/text/en/strings.toml", STRINGS);
        fixture.file(
            "book/text/en/SUMMARY.md",
            "# Summary\n\n- [Page](page.md)\n- [Other](part/other.md)\n",
        );
        fixture.file("book/text/en/part/other.md", "# Other\n\n## A heading\n");
        fixture.file("chapters/ch09-loop/Cargo.toml", "[package]\nname = \"ch09-loop\"\n");
        fixture.file("chapters/ch09-loop/src/event_loop.rs", EVENT_LOOP);
        fixture.file(
            "chapters/ch09-loop/src/other.rs",
            &EVENT_LOOP.replace("self.wait()", "self.poll()"),
        );
        fixture.file("chapters/ch09-loop/tests/behaviours.rs", "#[test]\nfn it_stalls() {}\n");
        fixture.file("chapters/ch09-loop/examples/stall.rs", "fn main() {}\n");
        fixture.page(content);
        fixture
    }

    /// Writes a file, by its path in the workspace.
    pub(crate) fn file(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it is in the workspace")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// Writes the page, `content` from line 3 on.
    pub(crate) fn page(&self, content: &str) {
        self.file("book/text/en/page.md", &format!("# Page\n\n{content}\n"));
    }

    /// The folder of `book.toml`.
    pub(crate) fn book(&self) -> PathBuf {
        self.folder.path().join("book")
    }

    /// Where it is built.
    pub(crate) fn built(&self) -> PathBuf {
        self.folder.path().join("book/build")
    }

    /// Builds the book; what is wrong, as printed.
    pub(crate) fn problems(&self) -> Vec<String> {
        match stage(&self.book(), &self.built()) {
            Ok(staged) => {
                staged.publish(&self.built()).expect("it can be moved");
                Vec::new()
            }
            Err(Failure::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Builds the book and reads the page `name` of it.
    pub(crate) fn html(&self, name: &str) -> String {
        assert_eq!(self.problems(), Vec::<String>::new());
        fs::read_to_string(self.built().join(name)).expect("the page was rendered")
    }

    /// What `page.md` looks like between `<main>` and `</main>`.
    pub(crate) fn main(&self) -> String {
        let html = self.html("page.html");
        let start = html.find("<main>").expect("it has a main part");
        html[start..html.find("</main>").expect("it ends")].to_owned()
    }
}

/// Asserts that a book with this page has one problem, at that line, which says that.
#[track_caller]
pub(crate) fn assert_problem(content: &str, line: usize, says: &str) {
    assert_one_problem(&Fixture::new(content), &format!("page.md:{line}: "), says);
}

/// Asserts that the book has one problem, at that place, which says that.
#[track_caller]
pub(crate) fn assert_one_problem(fixture: &Fixture, place: &str, says: &str) {
    let problems = fixture.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with(place) && problems[0].contains(says), "{}", problems[0]);
    assert!(!fixture.built().exists(), "a broken book was published");
}

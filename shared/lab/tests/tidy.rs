//! The promises that the repository makes about itself, each with its reason.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the folders in a folder, sorted.
fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(path)).expect("the folder is part of the workspace");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read"))
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().expect("our names are ASCII"))
        .collect();
    names.sort();
    names
}

/// Every Rust file below a folder.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["chapters", "shared", "benches", "book"] {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 30, "only {} files were found", found.len());
    found
}

/// A reader must be able to read one chapter without another, and to delete the rest.
#[test]
fn no_chapter_depends_on_another_and_nothing_shared_depends_on_a_chapter() {
    let chapters = folders("chapters");
    assert!(chapters.len() >= 5, "{chapters:?}");
    let manifests = chapters.iter().map(|chapter| ("chapters", chapter.clone()));
    let shared = folders("shared").into_iter().map(|name| ("shared", name));
    for (folder, name) in manifests.chain(shared) {
        let manifest = read(root().join(folder).join(&name).join("Cargo.toml"));
        for other in chapters.iter().filter(|other| **other != name) {
            assert!(!manifest.contains(other.as_str()), "{folder}/{name} names {other}");
        }
    }
}

/// What the lesson of a chapter is not about does not change under the reader's eyes.
#[test]
fn files_that_are_carried_from_chapter_to_chapter_are_the_same() {
    for (file, chapters) in [
        ("line_reader.rs", &["ch01-sync", "ch02-threads", "ch03-parallel"][..]),
        ("threads.rs", &["ch02-threads", "ch03-parallel"]),
        ("selector.rs", &["ch04-selectors", "ch05-callback-loop"]),
        ("line_source.rs", &["ch04-selectors", "ch05-callback-loop"]),
    ] {
        let path = |chapter: &str| root().join("chapters").join(chapter).join("src").join(file);
        let first = read(path(chapters[0]));
        for chapter in &chapters[1..] {
            assert_eq!(read(path(chapter)), first, "{file} of {chapter}");
        }
    }
}

/// Unsafe code has to be argued for, file by file. So far nothing needs it.
#[test]
fn every_crate_forbids_unsafe_code() {
    for folder in ["chapters", "shared"] {
        for name in folders(folder) {
            let library = read(root().join(folder).join(&name).join("src/lib.rs"));
            assert!(library.contains("#![forbid(unsafe_code)]"), "{folder}/{name}");
        }
    }
}

/// A test that sleeps passes because it waited long enough, and fails where that was too short.
#[test]
fn no_test_sleeps() {
    let pattern = concat!("thread::", "sleep(");
    for path in all_rust_files() {
        if path.components().any(|part| part.as_os_str() == "tests") {
            for (number, line) in read(&path).lines().enumerate() {
                let argued = line.contains("// sleeps because");
                assert!(!line.contains(pattern) || argued, "{}:{}", path.display(), number + 1);
            }
        }
    }
}

/// A listing in the book is as wide as its source: what is wider has to be scrolled.
#[test]
fn no_line_of_a_chapter_is_wider_than_a_page_and_no_line_ends_in_white_space() {
    for path in all_rust_files() {
        let in_chapter = path.components().any(|part| part.as_os_str() == "chapters");
        for (number, line) in read(&path).lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            assert!(!in_chapter || line.chars().count() <= 100, "{place}: too wide");
            assert!(line == line.trim_end(), "{place}: white space at its end");
        }
    }
}

/// A chapter that nobody can find does not exist.
#[test]
fn readme_and_book_name_every_chapter_and_the_two_commands() {
    let readme = read(root().join("README.md"));
    let summary = read(root().join("book/text/en/SUMMARY.md"));
    for chapter in folders("chapters") {
        assert!(readme.contains(&format!("cargo run -p {chapter}")), "README: {chapter}");
        assert!(summary.contains(&format!("({chapter}.md)")), "SUMMARY: {chapter}");
    }
    for command in ["cargo run -p ch05-callback-loop", "cargo test --workspace"] {
        assert!(readme.contains(command), "README: {command}");
    }
}

/// The first thing a stranger reads was recorded, and is held again like every other dialogue. What
/// was typed is marked with ⏎ there.
#[test]
fn the_readme_shows_a_recorded_dialogue() {
    let recorded = read(root().join("book/transcripts/ch05-readme.txt"));
    let shown: Vec<String> = recorded
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.starts_with("= "))
        .map(|line| match line.strip_prefix("< ") {
            Some(typed) => format!("{typed}⏎"),
            None => line.to_owned(),
        })
        .collect();
    let readme = read(root().join("README.md"));
    assert!(readme.contains(&shown.join("\n")), "README does not show:\n{}", shown.join("\n"));
}

//! The book in this folder has no problem, and its exercises can still be solved as they were.

use book::build::stage;
use book::places::Places;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_real_book_builds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Err(failure) = stage(&Places::of_this_workspace(), &folder.path().join("built")) {
        panic!("{failure}");
    }
}

/// Where an exercise keeps a solution, it applies to the chapter as it is now. (That it solves the
/// exercise was seen when it was written.)
#[test]
fn the_solutions_of_exercises_still_apply() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut applied = 0;
    for entry in book.join("text/en/exercises").read_dir().expect("the folder of exercises") {
        let path = entry.expect("the folder of exercises").path();
        let text = std::fs::read_to_string(&path).expect("an exercise can be read");
        let exercise: toml::Table = text.parse().expect("an exercise is TOML");
        if let Some(patch) = exercise.get("patch").and_then(toml::Value::as_str) {
            assert!(applies(patch, &book.join("..")), "{} does not apply", path.display());
            applied += 1;
        }
    }
    assert!(applied >= 6, "only {applied} solutions were found");
}

fn applies(patch: &str, workspace: &Path) -> bool {
    let mut git = Command::new("git")
        .args(["apply", "--check", "-"])
        .current_dir(workspace)
        .stdin(Stdio::piped())
        .spawn()
        .expect("git, with which the workspace was fetched");
    let mut input = git.stdin.take().expect("it was asked for as a pipe");
    input.write_all(patch.as_bytes()).expect("git reads");
    drop(input);
    git.wait().expect("it is our child").success()
}

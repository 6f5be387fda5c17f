//! The promises that the repository makes about itself, each with its reason.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(unix)]
use lab::dialogue::Transcript;
use serde_json::Value;

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
        ("selector.rs", &["ch04-selectors", "ch05-callback-loop", "ch06-generators-to-futures"]),
        ("timers.rs", &["ch05-callback-loop", "ch06-generators-to-futures"]),
        ("line_source.rs", &["ch04-selectors", "ch05-callback-loop"]),
    ] {
        let path = |chapter: &str| root().join("chapters").join(chapter).join("src").join(file);
        let first = read(path(chapters[0]));
        for chapter in &chapters[1..] {
            assert_eq!(read(path(chapter)), first, "{file} of {chapter}");
        }
    }
}

/// The one file that may hold unsafe code, in the one crate that cannot forbid it.
const UNSAFE_CRATE: &str = "chapters/ch06-generators-to-futures";
const UNSAFE_FILE: &str = "src/raw_waker.rs";

/// Unsafe code has to be argued for, file by file. One shows what a waker is made of.
#[test]
fn every_crate_forbids_unsafe_code_but_one_that_denies_it() {
    for folder in ["chapters", "shared"] {
        for name in folders(folder) {
            let crate_folder = format!("{folder}/{name}");
            let library = read(root().join(&crate_folder).join("src/lib.rs"));
            let level = if crate_folder == UNSAFE_CRATE { "deny" } else { "forbid" };
            assert!(library.contains(&format!("#![{level}(unsafe_code)]")), "{crate_folder}");
        }
    }
}

/// The rule above is about libraries only: an example, a test and a program are crates of their
/// own.
#[test]
fn only_one_file_holds_unsafe_code() {
    let exception = root().join(UNSAFE_CRATE).join(UNSAFE_FILE);
    let library = root().join(UNSAFE_CRATE).join("src/lib.rs");
    let allow = concat!("allow(", "unsafe_code)");
    for path in all_rust_files().into_iter().filter(|path| *path != exception) {
        if path.starts_with(root().join("chapters")) || path.starts_with(root().join("shared")) {
            let mut code = code_of(&read(&path));
            if path == library {
                code = code.replacen(&format!("#[{allow}]\npub mod raw_waker;"), "", 1);
            }
            assert!(!code.contains(allow), "{} allows unsafe code", path.display());
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(!words.any(|word| word == "unsafe"), "{} is unsafe", path.display());
        }
    }
}

/// The text of a Rust file without its comments, and without what stands in quotes.
fn code_of(text: &str) -> String {
    let code = |line: &str| {
        let line = line.split("//").next().unwrap_or_default();
        let outside_quotes: Vec<&str> = line.split('"').step_by(2).collect();
        outside_quotes.join("")
    };
    text.lines().map(|line| code(line) + "\n").collect()
}

/// What cargo says of the workspace's packages.
fn packages() -> Vec<Value> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs this test");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("a workspace has packages").clone()
}

fn is_chapter(package: &Value) -> bool {
    let manifest = Path::new(package["manifest_path"].as_str().expect("a package has a manifest"));
    manifest.parent().and_then(Path::parent).is_some_and(|folder| folder.ends_with("chapters"))
}

/// Does the part of a file that is only compiled for tests begin here?
fn begins_tests(line: &str) -> bool {
    line.contains("#[cfg(test)]") || line.contains("#[cfg(all(test, ")
}

/// What an example claims is asserted where it stands, and its name finds it.
#[test]
fn every_example_is_tested_and_has_a_name_of_its_own() {
    let mut names = HashSet::new();
    for package in packages() {
        for target in package["targets"].as_array().expect("a package has targets") {
            if target["kind"][0] != "example" {
                continue;
            }
            let name = target["name"].as_str().expect("a target has a name");
            assert!(names.insert(name.to_owned()), "two examples are called {name}");
            if is_chapter(&package) {
                let manifest = &package["manifest_path"];
                assert_eq!(target["test"], true, "{manifest}: `test = true` for {name}");
                let path = target["src_path"].as_str().expect("a target has a file");
                assert!(read(path).lines().any(begins_tests), "{path} has no tests");
            }
        }
    }
}

/// Cargo skips an example whose features are off, and says nothing. `cargo test --workspace` has
/// them on where another package of the workspace asks for them.
#[test]
fn the_benches_enable_every_feature_of_every_chapter() {
    let packages = packages();
    let benches = packages.iter().find(|package| package["name"] == "benches");
    let dependencies = benches.expect("it is in the workspace")["dependencies"].as_array();
    for chapter in packages.iter().filter(|package| is_chapter(package)) {
        let features = chapter["features"].as_object().expect("a package has features");
        for feature in features.keys().filter(|feature| *feature != "default") {
            let enables = |dependency: &&Value| {
                dependency["name"] == chapter["name"]
                    && dependency["features"].as_array().is_some_and(|list| {
                        list.iter().any(|enabled| enabled.as_str() == Some(feature))
                    })
            };
            let enabled = dependencies.into_iter().flatten().any(|one| enables(&one));
            assert!(enabled, "benches/Cargo.toml: {} needs {feature:?}", chapter["name"]);
        }
    }
}

/// A dialogue on a page is held by its chapter's tests, with the features that it needs.
#[cfg(unix)]
#[test]
fn every_transcript_is_held_by_the_tests_of_its_package() {
    let folder = root().join("book/transcripts");
    for entry in fs::read_dir(folder).expect("the folder is part of the workspace") {
        let file = entry.expect("the folder can be read").path();
        let command = Transcript::read(&file).expect("it is well formed").command;
        let tests = format!("chapters/{}/tests/transcripts.rs", command.package);
        let holder: String = read(root().join(tests)).split_whitespace().collect();
        let name = file.file_name().and_then(|name| name.to_str()).expect("our names are ASCII");
        let (prefix, _) = name.split_once('-').expect("it is named after its chapter");
        let call = match &command.features[..] {
            [] => format!("hold_all(\"{prefix}-\""),
            features => format!("hold_all_with(&{features:?}, \"{prefix}-\""),
        };
        let call = call.replace(' ', ""); // as the other, however that is formatted
        assert!(holder.contains(&call), "{name}: {} has no `{call}`", command.package);
    }
}

/// An advisory is ignored for a reason that a reader can judge.
#[test]
fn what_the_audit_ignores_has_a_reason() {
    let audit = read(root().join("deny.toml"));
    let ignored: Vec<&str> = audit.lines().filter(|line| line.contains("RUSTSEC-")).collect();
    assert!(ignored.iter().any(|line| line.contains("\"RUSTSEC-2025-0052\"")), "{ignored:?}");
    for line in ignored {
        let reason = line.split_once("reason = \"").map_or("", |(_, reason)| reason);
        assert!(reason.split_whitespace().count() >= 5, "{line}");
    }
}

/// A test that sleeps passes because it waited long enough, and fails where that was too short.
#[test]
fn no_test_sleeps() {
    let pattern = concat!("thread::", "sleep(");
    for path in all_rust_files() {
        let below = |folder| path.components().any(|part| part.as_os_str() == folder);
        // An experiment may sleep; the tests in its file may not.
        let is_test_part = |line: &str| below("tests") || begins_tests(line);
        if below("tests") || below("examples") {
            let text = read(&path);
            let lines = text.lines().enumerate().skip_while(|(_, line)| !is_test_part(line));
            for (number, line) in lines {
                let argued = line.contains("// sleeps because");
                assert!(!line.contains(pattern) || argued, "{}:{}", path.display(), number + 1);
            }
        }
    }
}

/// What patch and editors leave beside a file looks like a second version of it.
#[test]
fn no_tool_left_its_backup_files_behind() {
    fn look(folder: &Path) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                look(&path);
            }
            let ending = path.extension().unwrap_or_default();
            assert!(!["orig", "rej", "bak"].contains(&&*ending.to_string_lossy()), "{path:?}");
        }
    }
    for folder in ["chapters", "shared", "benches", "book"] {
        look(&root().join(folder));
    }
}

/// A listing in the book is as wide as its source: what is wider has to be scrolled.
#[test]
fn no_line_of_a_chapter_is_wider_than_a_page_and_no_line_ends_in_white_space() {
    let mut faults = Vec::new();
    for path in all_rust_files() {
        let in_chapter = path.components().any(|part| part.as_os_str() == "chapters");
        for (number, line) in read(&path).lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if in_chapter && line.chars().count() > 100 {
                faults.push(format!("{place}: too wide"));
            }
            if line != line.trim_end() {
                faults.push(format!("{place}: white space at its end"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
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

/// Each item of the sources has its place, and each place exists.
#[test]
fn each_item_of_the_sources_has_its_row_and_each_row_names_a_program_that_exists() {
    /// The sources, and how many items each has.
    const ITEMS: [(&str, u32); 6] =
        [("S0", 37), ("S1", 14), ("S2", 16), ("S2r", 6), ("S3", 24), ("S4", 22)];

    let page = read(root().join("book/text/en/sources.md"));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| S"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let mut seen: Vec<(String, u32)> = rows.iter().flat_map(|row| items(row[1])).collect();
    let expected = ITEMS.iter().flat_map(|(source, count)| {
        (1..=*count).map(|number| ((*source).to_owned(), number)).collect::<Vec<_>>()
    });
    let mut expected: Vec<(String, u32)> = expected.collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    for row in rows {
        let program = row[3].trim_matches('`');
        assert!(program.is_empty() || is_there(program), "{}: there is no {program}", row[1]);
        assert!(!row[4].is_empty(), "{}: no page", row[1]);
    }
}

#[test]
fn each_claim_that_a_program_settles_has_a_row_of_the_errata_that_names_the_program() {
    let page = read(root().join("book/text/en/errata.md"));
    let rows: Vec<(Vec<String>, &str)> = page
        .lines()
        .filter(|line| line.starts_with("| C"))
        .map(|line| (claims(line.split('|').nth(1).unwrap_or_default()), line))
        .collect();
    let mut settled = 0;
    for path in all_rust_files() {
        let Some(example) = example_of(&path) else { continue };
        let text = read(&path);
        for claim in text.split('"').flat_map(claims) {
            settled += 1;
            let named = format!("[`{example}`]");
            let has_row =
                rows.iter().any(|(claims, row)| claims.contains(&claim) && row.contains(&named));
            assert!(has_row, "{}: no row of {claim} names {named}", path.display());
        }
    }
    assert!(settled > 0, "the programs settle claims");
}

/// The example to which a file belongs: `examples/name.rs`, or `examples/name/…`.
fn example_of(path: &Path) -> Option<String> {
    let mut parts = path.components().skip_while(|part| part.as_os_str() != "examples").skip(1);
    let name = Path::new(parts.next()?.as_os_str()).file_stem()?;
    Some(name.to_string_lossy().into_owned())
}

/// The numbers of claims in a text that consists of nothing else: `C01`, or `C01, C02`.
fn claims(text: &str) -> Vec<String> {
    let is_claim = |word: &&str| {
        word.strip_prefix('C').is_some_and(|number| {
            (2..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let words: Vec<&str> = text.trim().split(", ").collect();
    if words.iter().all(is_claim) {
        words.into_iter().map(str::to_owned).collect()
    } else {
        Vec::new()
    }
}

/// The items of a row: `S0-28/29` and `S4-03..05` are several.
fn items(id: &str) -> Vec<(String, u32)> {
    let (source, numbers) = id.split_once('-').expect("an item has a source and a number");
    let number = |text: &str| text.parse::<u32>().expect("it is a number");
    let numbers: Vec<u32> = match numbers.split_once("..") {
        Some((first, last)) => (number(first)..=number(last)).collect(),
        None => numbers.split('/').map(number).collect(),
    };
    numbers.into_iter().map(|number| (source.to_owned(), number)).collect()
}

/// Is there a package of this name, and an example of it, if one is named?
fn is_there(program: &str) -> bool {
    let (package, example) = program.split_once(' ').unwrap_or((program, ""));
    let folder = ["chapters", "shared"].map(|place| root().join(place).join(package));
    let found = folder.into_iter().find(|folder| folder.join("Cargo.toml").is_file());
    found.is_some_and(|folder| {
        let examples = folder.join("examples");
        example.is_empty()
            || examples.join(example).join("main.rs").is_file()
            || examples.join(format!("{example}.rs")).is_file()
    })
}

//! What a prediction or an exercise leans on must exist: a test, a command, a transcript.

use crate::library::Library;
use std::fs;
use std::path::Path;

/// A test that was found.
#[derive(Debug)]
pub(super) struct FoundTest {
    /// The file, as pages name it.
    pub(super) file: String,
    /// The line of its `fn`, from 1.
    pub(super) line: usize,
    /// Its name.
    pub(super) name: String,
}

/// Finds `package::path/in/package.rs::name`, where a test in a module may be `module::name`.
pub(super) fn test(library: &Library, reference: &str) -> Result<FoundTest, String> {
    let malformed = || format!("`{reference}` must read `package::path/to/file.rs::test_name`");
    let (package, rest) = reference.split_once("::").ok_or_else(malformed)?;
    let (path, name) = rest.split_once("::").ok_or_else(malformed)?;
    let folder =
        library.packages.get(package).ok_or_else(|| format!("there is no package `{package}`"))?;
    let file = file_name(library, &folder.join(path)).ok_or_else(malformed)?;
    let source = library.source(&file)?;
    let name = name.rsplit("::").next().unwrap_or(name);
    let is_it = |at: &usize| defines(&source.lines[*at], name) && is_test(&source.lines[..*at]);
    let found = (0..source.lines.len()).find(is_it);
    let line = found.ok_or_else(|| format!("`{file}` has no test `{name}`"))? + 1;
    Ok(FoundTest { file, line, name: name.to_owned() })
}

/// Whether `line` begins the function `name`.
fn defines(line: &str, name: &str) -> bool {
    let after = line.split_once("fn ").and_then(|(_, after)| after.trim_start().strip_prefix(name));
    after.is_some_and(|rest| rest.starts_with(['(', '<']))
}

/// Whether `#[test]` stands among the attributes and comments at the end of `before`.
fn is_test(before: &[String]) -> bool {
    let above = before.iter().rev().map(|line| line.trim());
    above
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .any(|line| line == "#[test]")
}

/// The name that pages give to the file at `path`.
fn file_name(library: &Library, path: &Path) -> Option<String> {
    let name = path.strip_prefix(&library.places.workspace).ok()?.to_str()?.replace('\\', "/");
    Some(name.strip_prefix("chapters/").map(str::to_owned).unwrap_or(name))
}

/// The part of a command line that cargo reads, up to `--`.
fn cargo_words(line: &str) -> Vec<&str> {
    line.split_whitespace().take_while(|word| *word != "--").collect()
}

/// The values of the options called `flags`: `-p x`, `--package=x`.
fn values<'a>(words: &[&'a str], flags: &[&str]) -> Vec<&'a str> {
    let value = |(at, word): (usize, &&'a str)| match word.split_once('=') {
        Some((flag, value)) if flags.contains(&flag) => Some(value),
        _ if flags.contains(word) => words.get(at + 1).copied(),
        _ => None,
    };
    words.iter().enumerate().filter_map(value).collect()
}

const PACKAGE: [&str; 2] = ["-p", "--package"];

/// Can the command be repeated with nothing but the workspace: does it name a package, or a script?
pub(super) fn is_of_the_workspace(line: &str) -> bool {
    script(line).is_some() || !values(&cargo_words(line), &PACKAGE).is_empty()
}

/// The path in `bash path/of/a/script …`, from the workspace's folder.
fn script(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    (words.next() == Some("bash")).then(|| words.next()).flatten()
}

/// A kind of target: its option, its table in a manifest, and its folder.
const KINDS: [(&str, &str, &str); 4] = [
    ("--bin", "bin", "src/bin"),
    ("--example", "example", "examples"),
    ("--test", "test", "tests"),
    ("--bench", "bench", "benches"),
];

/// Refuses a command line that names a script, package, target or feature which does not exist, or
/// a target without a feature that it needs.
pub(super) fn command(library: &Library, line: &str) -> Result<(), String> {
    if let Some(script) = script(line) {
        let exists = library.places.workspace.join(script).is_file();
        return exists.then_some(()).ok_or_else(|| format!("there is no script `{script}`"));
    }
    let words = cargo_words(line);
    let Some(package) = values(&words, &PACKAGE).first().copied() else { return Ok(()) };
    let folder = library
        .packages
        .get(package)
        .ok_or_else(|| format!("there is no package `{package}` in the workspace"))?;
    let manifest = Manifest::read(folder)?;
    let given = values(&words, &["-F", "--features"]).into_iter().flat_map(|list| list.split(','));
    let own = format!("{package}/");
    let given: Vec<&str> = given.map(|name| name.strip_prefix(&own).unwrap_or(name)).collect();
    if let Some(unknown) = given.iter().find(|name| !manifest.has_feature(name)) {
        return Err(format!("package `{package}` has no feature `{unknown}`"));
    }
    for (flag, table, place) in KINDS {
        for name in values(&words, &[flag]) {
            let written = manifest.target(table, name);
            let main = flag == "--bin" && name == package && folder.join("src/main.rs").is_file();
            let exists = written.is_some()
                || main
                || folder.join(place).join(format!("{name}.rs")).is_file()
                || folder.join(place).join(name).is_dir();
            if !exists {
                return Err(format!("package `{package}` has no `{flag} {name}`"));
            }
            let needed = written.map(required_features).unwrap_or_default();
            let missing = needed.into_iter().find(|name| !given.contains(name));
            if let Some(missing) = missing.filter(|_| !words.contains(&"--all-features")) {
                return Err(format!("`{flag} {name}` needs `--features {missing}`"));
            }
        }
    }
    Ok(())
}

/// What a package says of itself.
struct Manifest(toml::Table);

impl Manifest {
    fn read(folder: &Path) -> Result<Manifest, String> {
        let text = fs::read_to_string(folder.join("Cargo.toml")).map_err(|error| error.to_string());
        text.and_then(|text| text.parse().map_err(|error: toml::de::Error| error.to_string()))
            .map(Manifest)
            .map_err(|error| format!("`{}/Cargo.toml`: {error}", folder.display()))
    }

    /// Is there such a feature, written out or made by an optional dependency?
    fn has_feature(&self, name: &str) -> bool {
        let table = |key| self.0.get(key).and_then(toml::Value::as_table);
        let written = table("features").is_some_and(|features| features.contains_key(name));
        let dependency = table("dependencies").and_then(|dependencies| dependencies.get(name));
        let optional = dependency.and_then(|dependency| dependency.get("optional"));
        written || name == "default" || optional.and_then(toml::Value::as_bool) == Some(true)
    }

    /// The target that the manifest names so.
    fn target(&self, table: &str, name: &str) -> Option<&toml::Table> {
        let targets = self.0.get(table)?.as_array()?.iter().filter_map(toml::Value::as_table);
        let called =
            |target: &&toml::Table| target.get("name").and_then(|name| name.as_str()) == Some(name);
        targets.into_iter().find(called)
    }
}

fn required_features(target: &toml::Table) -> Vec<&str> {
    let list = target.get("required-features").and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str).collect()
}

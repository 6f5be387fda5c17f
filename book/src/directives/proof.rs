//! What a prediction or an exercise leans on must exist: a test, a command, a transcript.

use crate::library::Library;
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

/// Finds `package::path/in/package.rs::name`.
pub(super) fn test(library: &Library, reference: &str) -> Result<FoundTest, String> {
    let malformed = || format!("`{reference}` must read `package::path/to/file.rs::test_name`");
    let (package, rest) = reference.split_once("::").ok_or_else(malformed)?;
    let (path, name) = rest.split_once("::").ok_or_else(malformed)?;
    let folder =
        library.packages.get(package).ok_or_else(|| format!("there is no package `{package}`"))?;
    let file = file_name(library, &folder.join(path)).ok_or_else(malformed)?;
    let source = library.source(&file)?;
    // A test in a module is written `module::name`.
    let name = name.rsplit("::").next().unwrap_or(name);
    let found = source.lines.iter().position(|line| defines(line, name));
    let line = found.ok_or_else(|| format!("`{file}` has no test `{name}`"))? + 1;
    Ok(FoundTest { file, line, name: name.to_owned() })
}

/// Whether `line` begins the function `name`.
fn defines(line: &str, name: &str) -> bool {
    let after = line.split_once("fn ").and_then(|(_, after)| after.trim_start().strip_prefix(name));
    after.is_some_and(|rest| rest.starts_with(['(', '<']))
}

/// The name that pages give to the file at `path`.
fn file_name(library: &Library, path: &Path) -> Option<String> {
    let name = path.strip_prefix(&library.places.workspace).ok()?.to_str()?.replace('\\', "/");
    Some(name.strip_prefix("chapters/").map(str::to_owned).unwrap_or(name))
}

/// Refuses a command line that names a package, example or test target which does not exist.
pub(super) fn command(library: &Library, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |flags: &[&str]| {
        words.iter().enumerate().find_map(|(at, word)| match word.split_once('=') {
            Some((flag, value)) if flags.contains(&flag) => Some(value),
            _ if flags.contains(word) => words.get(at + 1).copied(),
            _ => None,
        })
    };
    let Some(package) = value(&["-p", "--package"]) else { return Ok(()) };
    let folder = library
        .packages
        .get(package)
        .ok_or_else(|| format!("there is no package `{package}` in the workspace"))?;
    for (flag, kind) in [("--example", "examples"), ("--test", "tests"), ("--bench", "benches")] {
        let Some(name) = value(&[flag]) else { continue };
        let exists = folder.join(kind).join(format!("{name}.rs")).is_file()
            || folder.join(kind).join(name).is_dir();
        if !exists {
            return Err(format!("package `{package}` has no `{flag} {name}`"));
        }
    }
    Ok(())
}

//! Builds what is to be judged, and learns from cargo where it is: a program that lies there from
//! yesterday is never mistaken for today's.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The workspace that this package belongs to.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// What cargo is asked for: a package's main program, or one of its examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The package.
    pub(crate) package: String,
    /// The example, or none for the program that is named as the package.
    pub(crate) example: Option<String>,
}

impl Target {
    /// The name of the built program.
    pub(crate) fn name(&self) -> &str {
        self.example.as_deref().unwrap_or(&self.package)
    }
}

/// The packages of this workspace.
///
/// # Errors
///
/// When cargo cannot be run, fails, or does not say.
pub(crate) fn packages() -> io::Result<Vec<String>> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(io::Error::other)?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or_else(|| io::Error::other("cargo metadata names no packages"))?;
    Ok(packages.iter().filter_map(|package| package["name"].as_str().map(str::to_owned)).collect())
}

/// Builds main programs, all at once and in the dev profile, and says where each is.
///
/// # Errors
///
/// When cargo cannot be run or the build fails, which cargo has then explained on standard error.
pub(crate) fn mains(packages: &[&str]) -> io::Result<HashMap<String, PathBuf>> {
    let mut args = vec!["build"];
    for package in packages {
        args.extend(["-p", package, "--bin", package]);
    }
    built(&args)
}

/// Builds one target, and says where it is.
///
/// # Errors
///
/// As [`mains`]; and `NotFound` when cargo built something else.
pub(crate) fn one(target: &Target) -> io::Result<PathBuf> {
    let mut args = vec!["build", "-q", "-p", &target.package];
    args.extend([if target.example.is_some() { "--example" } else { "--bin" }, target.name()]);
    built(&args)?
        .remove(target.name())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, target.name().to_owned()))
}

fn built(args: &[&str]) -> io::Result<HashMap<String, PathBuf>> {
    // Diagnostics would come as JSON too: this way a reader can read them, on standard error.
    let output = cargo(&[args, &["--message-format=json-render-diagnostics"]].concat())?;
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

/// Cargo's messages come one to a line; those about something that can be run say what and where.
fn executables(messages: &str) -> HashMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = |message: Value| {
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    };
    messages.filter_map(executable).collect()
}

fn cargo(args: &[&str]) -> io::Result<Output> {
    // The cargo that runs us, where one does: there may be several.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(args)
        .args(["--manifest-path", WORKSPACE]) // wherever the command is given
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    match output.status.success() {
        true => Ok(output),
        false => Err(io::Error::other(format!("cargo {} failed", args.join(" ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_what_can_be_run_is_found_among_the_messages() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"ch01_sync","kind":["lib"]},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"ch01-sync","kind":["bin"]},"executable":"/t/debug/ch01-sync"}
            {"reason":"build-finished","success":true}"#;
        let found = executables(messages);
        assert_eq!(
            found,
            HashMap::from([("ch01-sync".to_owned(), PathBuf::from("/t/debug/ch01-sync"))])
        );
    }
}

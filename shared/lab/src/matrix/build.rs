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
    /// The features of the package to build it with.
    pub(crate) features: Vec<String>,
}

impl Target {
    /// The name of the built program.
    pub(crate) fn name(&self) -> &str {
        self.example.as_deref().unwrap_or(&self.package)
    }

    /// What cargo calls it. Features are named with their package, since several may be built in
    /// one call.
    fn arguments(&self) -> Vec<String> {
        let kind = if self.example.is_some() { "--example" } else { "--bin" };
        let mut args = ["-p", &self.package, kind, self.name()].map(str::to_owned).to_vec();
        for feature in &self.features {
            args.extend(["--features".to_owned(), format!("{}/{feature}", self.package)]);
        }
        args
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

/// Builds all of `targets` in the dev profile, and says by name where each is.
///
/// Main programs are built in one call of cargo and examples in another: one call gives all its
/// programs the features of each, and a main program is judged as a reader gets it, without any.
///
/// # Errors
///
/// When cargo cannot be run or the build fails, which cargo has then explained on standard error.
pub(crate) fn all(targets: &[Target]) -> io::Result<HashMap<String, PathBuf>> {
    let mut programs = HashMap::new();
    for arguments in calls(targets) {
        programs.extend(built(&arguments)?);
    }
    Ok(programs)
}

/// The arguments of each call of cargo.
fn calls(targets: &[Target]) -> Vec<Vec<String>> {
    let (examples, mains): (Vec<&Target>, Vec<&Target>) =
        targets.iter().partition(|target| target.example.is_some());
    let calls = [mains, examples].into_iter().filter(|targets| !targets.is_empty());
    let build = || ["build".to_owned()].into_iter();
    calls
        .map(|targets| build().chain(targets.into_iter().flat_map(Target::arguments)).collect())
        .collect()
}

/// Builds one target, and says where it is.
///
/// # Errors
///
/// As [`all`]; and `NotFound` when cargo built something else.
pub(crate) fn one(target: &Target) -> io::Result<PathBuf> {
    let args = [vec!["build".to_owned(), "-q".to_owned()], target.arguments()].concat();
    built(&args)?
        .remove(target.name())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, target.name().to_owned()))
}

fn built(args: &[String]) -> io::Result<HashMap<String, PathBuf>> {
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    // Diagnostics would come as JSON too: this way a reader can read them, on standard error.
    args.push("--message-format=json-render-diagnostics");
    let output = cargo(&args)?;
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
    fn an_example_is_asked_for_with_the_features_of_its_package() {
        let mut target = Target { package: "ch99".to_owned(), example: None, features: Vec::new() };
        assert_eq!(target.arguments().join(" "), "-p ch99 --bin ch99");
        target.example = Some("late".to_owned());
        target.features = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(
            target.arguments().join(" "),
            "-p ch99 --example late --features ch99/a --features ch99/b"
        );
    }

    #[test]
    fn main_programs_are_built_without_the_features_of_the_examples() {
        let main = Target { package: "ch99".to_owned(), example: None, features: Vec::new() };
        let (example, features) = (Some("late".to_owned()), vec!["a".to_owned()]);
        let example = Target { example, features, ..main.clone() };
        let built = calls(&[example.clone(), main, example]);
        let late = "-p ch99 --example late --features ch99/a";
        assert_eq!(
            built.iter().map(|arguments| arguments.join(" ")).collect::<Vec<_>>(),
            ["build -p ch99 --bin ch99".to_owned(), format!("build {late} {late}")]
        );
        assert_eq!(calls(&[]), [] as [Vec<String>; 0]);
    }

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

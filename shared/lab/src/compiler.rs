//! What the compiler says of a program that it should refuse. A test that asks this holds that a
//! listing of the book does not compile, and for the reason that the page names.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// The codes of the errors in a program (`E0499`), in the order in which the compiler finds them;
/// empty when it accepts the program. It is compiled as a library that has nothing but the
/// standard library, and nothing is written.
///
/// # Errors
///
/// When the compiler cannot be started, or fails without an error that has a code.
pub fn errors(program: &str) -> io::Result<Vec<String>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let mut rustc = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=lib", "--crate-name=program", "--emit=metadata"])
        .args(["-o", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = rustc.stdin.take().expect("it was asked for as a pipe");
    // It reads all of a program before it says anything of it.
    let given = input.write_all(program.as_bytes());
    drop(input);
    let output = rustc.wait_with_output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let codes = report.lines().filter_map(|line| line.strip_prefix("error[")?.split(']').next());
    let codes: Vec<String> = codes.map(str::to_owned).collect();
    if codes.is_empty() && !output.status.success() {
        return Err(io::Error::other(report.into_owned()));
    }
    given?;
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_has_its_codes_and_what_is_accepted_has_none() {
        let codes = |program| errors(program).expect("what builds this test is there");
        assert_eq!(codes("pub fn one() -> u32 { 1 }"), Vec::<String>::new());
        assert_eq!(codes("pub fn one() -> u32 { \"1\" }"), ["E0308"]);
        assert!(errors("pub fn").is_err(), "an error of the syntax has no code");
    }
}

//! The command line, as a process.

mod common;

use common::Fixture;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn book(arguments: &[&str], input: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_book"))
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was built");
    // A process that does not read its input may be gone already.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[test]
fn help_is_no_error_and_what_is_unknown_is_one() {
    let help = book(&["help"], "");
    assert!(
        help.status.success() && String::from_utf8_lossy(&help.stdout).contains("serve [--port N]")
    );
    for arguments in [&["publish"][..], &[], &["build", "--fast"], &["serve", "--port", "x"]] {
        let output = book(arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn the_preprocessor_speaks_mdbooks_protocol() {
    assert_eq!(book(&["preprocess", "supports", "html"], "").status.code(), Some(0));
    assert_eq!(book(&["preprocess", "supports", "epub"], "").status.code(), Some(1));
    let fixture = Fixture::new("{{#listing ch09-loop/src/event_loop.rs:stop}}");
    let output = book(&["preprocess"], &protocol(&fixture));
    let json = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        json.contains("fn stop(&amp;self) {}")
            && json.contains("code/ch09-loop/src/event_loop.rs.md"),
        "{json}"
    );
    fixture.page("{{#nothing}}");
    let output = book(&["preprocess"], &protocol(&fixture));
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("page.md:3: "));
}

/// What mdBook would write: the context and the book.
fn protocol(fixture: &Fixture) -> String {
    let config = serde_json::json!({ "book": { "title": "T", "src": "text/en" } });
    let context = serde_json::json!({
        "root": fixture.book(), "config": config, "renderer": "html", "mdbook_version": "0.5.4",
    });
    let content =
        fs::read_to_string(fixture.book().join("text/en/page.md")).expect("the page is there");
    let chapter = serde_json::json!({
        "name": "Page", "content": content, "number": null, "sub_items": [],
        "path": "page.md", "source_path": "page.md", "parent_names": [],
    });
    serde_json::json!([context, { "items": [{ "Chapter": chapter }] }]).to_string()
}

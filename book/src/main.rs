//! `book build`, `book serve`, and the preprocessor of a plain `mdbook build`.

use book::places::Places;
use book::{build, preprocess, serve};
use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
Builds the book.

    cargo run -p book -- build                    into book/build
    cargo run -p book -- serve [--port N]         and serve it on 127.0.0.1 (3000; 0 takes any free port),
                                                  built again when a page or a source changes
    cargo run -p book -- preprocess               as mdBook's preprocessor, from standard input to standard output
    cargo run -p book -- preprocess supports html
    cargo run -p book -- help
";

/// The port to serve on, unless one is given.
const PORT: u16 = 3000;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["build"] => build_book(),
        ["serve"] => serve_book(PORT),
        ["serve", "--port", port] => match port.parse() {
            Ok(port) => serve_book(port),
            Err(_) => return usage_error(&format!("`{port}` is not a port")),
        },
        ["preprocess"] => preprocess::run(),
        ["preprocess", "supports", renderer] => {
            return if preprocess::supports(renderer) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        [] => return usage_error("a command is missing"),
        other => return usage_error(&format!("unknown: {}", other.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn usage_error(message: &str) -> ExitCode {
    eprintln!("{message}\n\n{USAGE}");
    ExitCode::from(2)
}

fn build_book() -> Result<(), String> {
    let book = Places::of_this_workspace();
    let place = book.join("build");
    let staged = build::stage(&book, &place).map_err(|failure| failure.to_string())?;
    staged.publish(&place).map_err(|failure| failure.to_string())
}

fn serve_book(port: u16) -> Result<(), String> {
    serve::run(Places::of_this_workspace(), port).map_err(|error| format!("port {port}: {error}"))
}

//! `cargo run -p ch08-web-server`: where does each kind of work belong?

use std::process::ExitCode;

fn main() -> ExitCode {
    ch08_web_server::run()
}

//! The dialogues that the page shows, held against the program as it is now.

#![cfg(unix)]

use std::path::Path;

#[test]
fn the_page_shows_what_the_program_says() {
    lab::dialogue::hold_all("ch01-", Path::new(env!("CARGO_BIN_EXE_ch01-sync")))
        .expect("each transcript holds");
}

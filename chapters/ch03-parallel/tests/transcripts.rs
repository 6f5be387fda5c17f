//! The dialogues of the page, held again.
#![cfg(unix)]

use std::path::Path;

#[test]
fn the_dialogues_of_the_page() {
    lab::dialogue::hold_all("ch03-", Path::new(env!("CARGO_BIN_EXE_ch03-parallel")))
        .expect("the program still says what the page prints");
}

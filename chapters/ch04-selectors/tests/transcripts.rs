//! The dialogues that the page prints are what the program says.
#![cfg(unix)]

use std::path::Path;

#[test]
fn the_dialogues_of_the_page_hold() {
    let program = Path::new(env!("CARGO_BIN_EXE_ch04-selectors"));
    lab::dialogue::hold_all("ch04-", program).expect("the page is true");
}

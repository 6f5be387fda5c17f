//! The dialogues that the page of this chapter prints, held again.

#![cfg(unix)]

use std::path::Path;

#[test]
fn the_transcripts_of_this_chapter_hold() {
    lab::dialogue::hold_all("ch02-", Path::new(env!("CARGO_BIN_EXE_ch02-threads")))
        .expect("the program says what the page prints");
}

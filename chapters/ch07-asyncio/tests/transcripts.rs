//! The dialogues that the chapter's pages print, held again.

use std::path::Path;

#[test]
fn the_dialogues_on_the_page_still_hold() {
    let program = Path::new(env!("CARGO_BIN_EXE_ch07-asyncio"));
    lab::dialogue::hold_all("ch07-", program).expect("the program still says what the page prints");
}

#[cfg(feature = "tokio")]
#[test]
fn the_dialogues_of_the_program_on_tokio_still_hold() {
    let program = Path::new(env!("CARGO_BIN_EXE_ch07-asyncio"));
    lab::dialogue::hold_all_with(&["tokio"], "ch07-", program)
        .expect("the program still says what the page prints");
}

//! The dialogues that the page prints, held again.

use std::path::Path;

#[test]
fn the_dialogues_on_the_page_still_hold() {
    let program = Path::new(env!("CARGO_BIN_EXE_ch07-asyncio"));
    lab::dialogue::hold_all("ch07-", program).expect("the program still says what the page prints");
}

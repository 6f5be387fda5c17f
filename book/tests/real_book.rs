//! The book in this folder has no problem.

use book::build::stage;
use book::places::Places;

#[test]
fn the_real_book_builds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Err(failure) = stage(&Places::of_this_workspace(), &folder.path().join("built")) {
        panic!("{failure}");
    }
}

//! A future is a value, and its size is known when it is compiled.
//!
//! What lives across an await is stored in the future; what does not, is not. Predict which of
//! these are small: an async fn that awaits three times; one with a 1 KiB buffer that it uses after
//! an await; one that does not use it after the await, but has it still in scope; one whose buffer
//! is out of scope before the await; and three async fns of which each hands 1 KiB, by value, to
//! the next.
//!
//! The exact sizes are the compiler's decision, and change with its version. Which future is larger
//! than which other one follows from what it has to keep.
//!
//! `cargo run -p ch06-generators-to-futures --example sizes`

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::{self, Write};
use std::pin::Pin;
use std::process::ExitCode;

const KIB: usize = 1024;

// ANCHOR: small
async fn empty() {}

async fn one_await() {
    empty().await;
}

async fn three_awaits() {
    empty().await;
    empty().await;
    empty().await;
}
// ANCHOR_END: small

// ANCHOR: buffer
async fn live_across() {
    let buffer = black_box([1_u8; KIB]);
    empty().await;
    black_box(&buffer);
}

/// Nothing needs the buffer after the await. But it is dropped where its scope ends, and until then
/// the compiler keeps it.
async fn in_scope() {
    let buffer = black_box([1_u8; KIB]);
    black_box(&buffer);
    empty().await;
}

async fn gone_before() {
    {
        let buffer = black_box([1_u8; KIB]);
        black_box(&buffer);
    }
    empty().await;
}

/// As `live_across`, but what lives across the await is a pointer.
async fn boxed_buffer() {
    let buffer = Box::new(black_box([1_u8; KIB]));
    empty().await;
    black_box(&buffer);
}
// ANCHOR_END: buffer

// ANCHOR: passed
async fn passed_once(buffer: [u8; KIB]) {
    empty().await;
    black_box(&buffer);
}

async fn passed_twice(buffer: [u8; KIB]) {
    passed_once(buffer).await;
}

async fn passed_three_times(buffer: [u8; KIB]) {
    passed_twice(buffer).await;
}
// ANCHOR_END: passed

// ANCHOR: by_hand
/// What one writes by hand for `live_across`: a variant for each place where it can stand, in it
/// what has to be kept there.
#[expect(dead_code, reason = "only its layout is asked for")]
#[expect(
    clippy::large_enum_variant,
    reason = "clippy sees it here; of the async fn it says nothing"
)]
enum LiveAcross {
    Start,
    AtTheAwait { buffer: [u8; KIB], awaited: Empty },
    Ended,
}

/// And for `empty`, which stands only before its first line or after its last.
#[expect(dead_code, reason = "only its layout is asked for")]
enum Empty {
    Start,
    Ended,
}
// ANCHOR_END: by_hand

/// What was measured, in bytes.
#[derive(Debug)]
struct Sizes {
    empty: usize,
    one_await: usize,
    three_awaits: usize,
    live_across: usize,
    in_scope: usize,
    gone_before: usize,
    boxed_buffer: usize,
    by_hand: usize,
    by_hand_fields: usize,
    passed: [usize; 3],
    handle: usize,
}

// ANCHOR: measure
fn measure() -> Sizes {
    let handle: Pin<Box<dyn Future<Output = ()>>> = Box::pin(live_across());
    Sizes {
        empty: size_of_val(&empty()),
        one_await: size_of_val(&one_await()),
        three_awaits: size_of_val(&three_awaits()),
        live_across: size_of_val(&live_across()),
        in_scope: size_of_val(&in_scope()),
        gone_before: size_of_val(&gone_before()),
        boxed_buffer: size_of_val(&boxed_buffer()),
        by_hand: size_of::<LiveAcross>(),
        by_hand_fields: KIB + size_of::<Empty>(),
        passed: [
            size_of_val(&passed_once([0; KIB])),
            size_of_val(&passed_twice([0; KIB])),
            size_of_val(&passed_three_times([0; KIB])),
        ],
        handle: size_of_val(&handle),
    }
}
// ANCHOR_END: measure

fn print(out: &mut dyn Write) -> io::Result<()> {
    let sizes = measure();
    let [once, twice, three_times] = sizes.passed;
    writeln!(out, "{:>6}", "bytes")?;
    for (bytes, what) in [
        (sizes.empty, "empty"),
        (sizes.one_await, "one await"),
        (sizes.three_awaits, "three awaits, one after the other"),
        (sizes.live_across, "a buffer of 1 KiB that is used after the await"),
        (sizes.by_hand, "  the same by hand: an enum"),
        (sizes.by_hand_fields, "  the fields of its largest variant"),
        (sizes.handle, "  the same behind a Pin<Box<dyn Future>>: the pointer"),
        (sizes.in_scope, "a buffer of 1 KiB that is not used any more, but in scope"),
        (sizes.gone_before, "a buffer of 1 KiB whose scope ends before the await"),
        (sizes.boxed_buffer, "a boxed buffer that is used after the await"),
        (once, "1 KiB passed by value, one async fn"),
        (twice, "  two, each to the next"),
        (three_times, "  three, each to the next"),
    ] {
        writeln!(out, "{bytes:>6}  {what}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    command_line::experiment("sizes", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awaits_one_after_the_other_share_their_place() {
        let sizes = measure();
        let another_await = sizes.one_await - sizes.empty;
        assert!(sizes.empty < sizes.one_await, "{sizes:?}");
        assert!(sizes.three_awaits < sizes.one_await + 2 * another_await, "{sizes:?}");
    }

    #[test]
    fn what_lives_across_an_await_is_in_the_future_and_nothing_else_is() {
        let sizes = measure();
        assert!((KIB..KIB + 64).contains(&sizes.live_across), "{sizes:?}");
        assert!(sizes.in_scope >= KIB, "in scope, so it is kept: {sizes:?}");
        assert!(sizes.gone_before < 64, "{sizes:?}");
        assert!(sizes.boxed_buffer < 64, "{sizes:?}");
    }

    #[test]
    fn a_hand_written_enum_is_as_large_as_its_largest_variant_and_little_more() {
        let sizes = measure();
        assert!(sizes.by_hand >= sizes.by_hand_fields, "{sizes:?}");
        assert!(sizes.by_hand.abs_diff(sizes.live_across) < 64, "{sizes:?}");
    }

    #[test]
    fn each_async_fn_that_passes_a_value_on_adds_a_copy_of_it() {
        let [once, twice, three_times] = measure().passed;
        assert!(once >= 2 * KIB, "one already holds its argument twice: {once}");
        assert!(twice - once >= KIB, "{once} {twice}");
        assert!(three_times - twice >= KIB, "{twice} {three_times}");
    }

    #[test]
    fn a_boxed_future_is_two_pointers_wherever_it_is_kept() {
        assert_eq!(measure().handle, 2 * size_of::<usize>());
    }
}

//! Why a future must not move once it was polled.
//!
//! Between two polls a future keeps its locals, and one of them may be a reference to another: a
//! value that contains its own address. Here is such a value by hand. It stores the address as a
//! number, so that looking at it is safe; nothing here follows it. Two of them change places.
//! Predict: whose buffer does the address in each of them name afterwards? And after two
//! `Pin<Box<_>>` of them changed places?
//!
//! `Pin` does nothing while a program runs. Boxes without it would change places with the same
//! result, and so this output does not show it. What `Pin` does is to refuse, when it is compiled,
//! that what lies *in* two boxes changes places. No program that runs can show that: the
//! documentation of `src/future.rs` has it, once with `Box::new` and once with `Box::pin`.
//!
//! `cargo run -p ch06-generators-to-futures --example pin_move`

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::process::ExitCode;

// ANCHOR: parser
/// What this async block keeps at its await:
///
/// ```text
/// let buffer = [0; 16];
/// let word = &buffer[4..];     <- a reference into the same future
/// wait().await;
/// use(word);
/// ```
struct SelfReferential {
    buffer: [u8; 16],
    /// Where `word` begins. A compiled future has a pointer here.
    word: usize,
    /// Says to the compiler: once pinned, never moved again. An async block says the same.
    _pinned: PhantomPinned,
}

impl SelfReferential {
    fn new() -> SelfReferential {
        SelfReferential { buffer: [0; 16], word: 0, _pinned: PhantomPinned }
    }

    /// The first poll: runs up to the await.
    fn start(&mut self) {
        self.word = address(&self.buffer[4..]);
    }

    fn points_into(&self, other: &SelfReferential) -> bool {
        let buffer = address(&other.buffer);
        (buffer..buffer + other.buffer.len()).contains(&self.word)
    }
}

fn address(bytes: &[u8]) -> usize {
    bytes.as_ptr().addr()
}
// ANCHOR_END: parser

/// Two values after they changed places.
#[derive(Debug)]
struct Swapped {
    /// Where the buffer of the first one lies: before, and after.
    buffer: (usize, usize),
    /// What is stored in the first one: before, and after.
    word: (usize, usize),
    own: bool,
    of_the_other: bool,
}

// ANCHOR: moved
/// Unpinned: what was polled can be moved, and the compiler says nothing.
fn moved() -> Swapped {
    let mut first = SelfReferential::new();
    let mut second = SelfReferential::new();
    first.start();
    second.start();
    let before = (address(&first.buffer), first.word);

    mem::swap(&mut first, &mut second);

    // What was the first is now where the second was.
    Swapped {
        buffer: (before.0, address(&second.buffer)),
        word: (before.1, second.word),
        own: second.points_into(&second),
        of_the_other: second.points_into(&first),
    }
}
// ANCHOR_END: moved

// ANCHOR: pinned
/// Pinned: a `Pin` gives out `&mut` only to types for which a move does no harm (`Unpin`). What can
/// be swapped are the two boxes; what lies in them stays where it is.
fn pinned() -> Swapped {
    let mut first = started();
    let mut second = started();
    let before = (address(&first.buffer), first.word);

    mem::swap(&mut first, &mut second);

    Swapped {
        buffer: (before.0, address(&second.buffer)),
        word: (before.1, second.word),
        own: second.points_into(&second),
        of_the_other: second.points_into(&first),
    }
}

/// Starts it at the place where it stays.
fn started() -> Pin<Box<SelfReferential>> {
    let mut boxed = Box::new(SelfReferential::new());
    boxed.start();
    Box::into_pin(boxed)
}
// ANCHOR_END: pinned

fn report(out: &mut dyn Write, title: &str, swapped: &Swapped) -> io::Result<()> {
    let whose = match (swapped.own, swapped.of_the_other) {
        (true, false) => "its own buffer",
        (false, true) => "the buffer of the other one",
        _ => "neither buffer",
    };
    writeln!(out, "{title}")?;
    writeln!(
        out,
        "    its buffer lies at    {:#x}, then {:#x}",
        swapped.buffer.0, swapped.buffer.1
    )?;
    writeln!(out, "    the stored address is {:#x}, then {:#x}", swapped.word.0, swapped.word.1)?;
    writeln!(out, "    so it names a place in {whose}")
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    report(out, "two values change places:", &moved())?;
    report(out, "two Pin<Box<_>> change places:", &pinned())
}

fn main() -> ExitCode {
    command_line::experiment("pin_move", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_value_keeps_the_address_of_its_old_place() {
        let swapped = moved();
        assert_ne!(swapped.buffer.0, swapped.buffer.1);
        assert_eq!(swapped.word.0, swapped.word.1);
        assert_eq!((swapped.own, swapped.of_the_other), (false, true));
    }

    #[test]
    fn a_pinned_value_stays_where_it_is_while_its_box_moves() {
        let swapped = pinned();
        assert_eq!(swapped.buffer.0, swapped.buffer.1);
        assert_eq!(swapped.word.0, swapped.word.1);
        assert_eq!((swapped.own, swapped.of_the_other), (true, false));
    }

    /// What a `Pin` refuses. With `Box::into_pin` around both boxes this does not compile.
    #[test]
    fn without_a_pin_what_lies_in_two_boxes_can_change_places() {
        let mut first = Box::new(SelfReferential::new());
        let mut second = Box::new(SelfReferential::new());
        first.start();
        second.start();
        mem::swap(&mut *first, &mut *second);
        assert!(second.points_into(&first) && !second.points_into(&second));
    }

    #[test]
    fn before_its_first_poll_a_move_does_no_harm() {
        let mut values = vec![SelfReferential::new()];
        let mut moved = values.pop().expect("there is one");
        moved.start();
        assert!(moved.points_into(&moved));
    }
}

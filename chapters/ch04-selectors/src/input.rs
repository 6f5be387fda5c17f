//! The one wait of this chapter: for the next line, but no longer than until a deadline.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use crate::line_source::{LineSource, Next};
use crate::selector::Selector;

// ANCHOR: input
/// The input, and the selector that says when to read it.
///
/// The selector borrows the descriptor and the source reads it, so both hold a reference.
#[derive(Debug)]
pub(crate) struct Input<'fd, R> {
    source: LineSource<&'fd R>,
    selector: Selector<&'fd R>,
}

impl<'fd, R: AsFd> Input<'fd, R> {
    pub(crate) fn new(input: &'fd R) -> Input<'fd, R> {
        let mut selector = Selector::new();
        selector.register(0, input);
        Input { source: LineSource::new(input), selector }
    }
    // ANCHOR_END: input

    // ANCHOR: next_line
    /// The next line. [`Next::NotYet`] when the deadline comes first.
    pub(crate) fn next_line(&mut self, deadline: Instant) -> io::Result<Next> {
        loop {
            // Lines that were read already lie here, where the selector cannot see them: look here
            // first.
            let next = self.source.next_line();
            let patience = deadline.saturating_duration_since(Instant::now());
            if next != Next::NotYet || patience.is_zero() {
                return Ok(next);
            }
            if !self.selector.select(Some(patience))?.is_empty() {
                self.source.read_once()?;
            }
        }
    }
    // ANCHOR_END: next_line
}

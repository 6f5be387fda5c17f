//! The laboratory: what looks at the programs from outside, and the measure that they are compared
//! with.
//!
//! - [`black_box`] drives a built program and says whether it shows a behaviour;
//! - [`expected`] is the table of what each implementation shows and, as firmly, what it cannot;
//! - [`dialogue`] holds the recorded dialogues that the book prints;
//! - [`late_server`] is what experiments download from, [`proc`] what Linux says of a process,
//!   [`cpu_time`], [`spent`] and [`cores`] how long, how and where a thread has run, and `experiment`, behind the
//!   feature of that name, how an experiment tells what it has measured;
//! - [`compiler`] says what is refused at compile time;
//! - the command `lab`, behind the feature `matrix`, builds the programs and prints the table as
//!   measured.
//!
//! For tests and experiments only. Nothing here depends on a chapter, and no chapter's program
//! depends on this: chapters use it in their tests. It keeps no state between calls and leaves no
//! process, thread or file behind.

#![forbid(unsafe_code)]

pub mod behaviour;
#[cfg(unix)]
pub mod black_box;
#[cfg(unix)]
pub mod by_id;
pub mod compiler;
pub mod cores;
pub mod cpu_time;
#[cfg(unix)]
pub mod dialogue;
#[cfg(unix)]
pub mod driven;
pub mod expected;
#[cfg(feature = "experiment")]
pub mod experiment;
#[cfg(unix)]
pub mod family;
pub mod inside;
pub mod late_server;
pub mod proc;
pub mod program;
pub mod spent;
pub mod verdict;
pub mod wire;

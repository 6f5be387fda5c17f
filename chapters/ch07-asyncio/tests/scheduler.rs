//! What a scheduler promises: in which order tasks are polled, how often, and when they are
//! dropped.
//! Step 1 and step 2 pass the same tests.

mod instruments;

#[path = "scheduler/step1.rs"]
mod step1;
#[path = "scheduler/step2.rs"]
mod step2;

//! A descriptor is closed, and epoll goes on reporting it.
//!
//! epoll(7) watches what a descriptor names, and not the descriptor. Predict what it reports after
//! the only descriptor was closed; and after one of two was closed. Can the second report be
//! stopped?
//!
//! `cargo run -q -p ch04-selectors --example closed_dup`

#![forbid(unsafe_code)]

mod epoll;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use epoll::{Epoll, Trigger};
use lab::experiment::{Experiment, Judgement, Report};
use rustix::io::Errno;

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "closed_dup");

const KEY: u64 = 7;
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

// ANCHOR: closed
/// The keys that are reported after the registered descriptor was closed, and nothing else names
/// its pipe.
fn the_only_one() -> io::Result<Vec<u64>> {
    let (registered, mut writer) = io::pipe()?;
    let mut epoll = Epoll::new()?;
    epoll.add(&registered, KEY, Trigger::Level)?;
    writer.write_all(b"x")?;
    drop(registered);
    epoll.wait(AT_ONCE)
}

/// The same, but a second descriptor names the pipe.
#[derive(Debug, PartialEq, Eq)]
struct TwoNames {
    /// While the second one is open.
    reported: Vec<u64>,
    /// What epoll says when it is asked to remove the second one.
    removing_the_copy: Option<Errno>,
    /// After that.
    still_reported: Vec<u64>,
    /// After the second one was closed, too.
    at_last: Vec<u64>,
}

fn one_of_two() -> io::Result<TwoNames> {
    let (registered, mut writer) = io::pipe()?;
    let copy = registered.try_clone()?; // a child process would have one as well
    let mut epoll = Epoll::new()?;
    epoll.add(&registered, KEY, Trigger::Level)?;
    writer.write_all(b"x")?;
    drop(registered);

    let reported = epoll.wait(AT_ONCE)?;
    let refused = epoll.remove(&copy).err();
    let removing_the_copy = refused.and_then(|error| Errno::from_io_error(&error));
    let still_reported = epoll.wait(AT_ONCE)?;
    drop(copy);
    let at_last = epoll.wait(AT_ONCE)?;
    Ok(TwoNames { reported, removing_the_copy, still_reported, at_last })
}

/// Removed before it is closed.
fn removed_first() -> io::Result<Vec<u64>> {
    let (registered, mut writer) = io::pipe()?;
    let _copy = registered.try_clone()?;
    let mut epoll = Epoll::new()?;
    epoll.add(&registered, KEY, Trigger::Level)?;
    writer.write_all(b"x")?;
    epoll.remove(&registered)?;
    drop(registered);
    epoll.wait(AT_ONCE)
}
// ANCHOR_END: closed

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("nothing; then a report for what is closed, until its copy is closed too")?;
    report.say(format_args!("the only descriptor is closed: reported {:?}", the_only_one()?))?;
    let two = one_of_two()?;
    report.say(format_args!("one of two is closed:          reported {:?}", two.reported))?;
    let refused = two.removing_the_copy.map_or("done".into(), |errno| format!("{}", errno.kind()));
    report.say(format_args!("the other one removed:         {refused}"))?;
    report.say(format_args!("                               reported {:?}", two.still_reported))?;
    report.say(format_args!("the other one closed, too:     reported {:?}", two.at_last))?;
    report.say(format_args!("removed first, then closed:    reported {:?}\n", removed_first()?))?;
    let judged = Judgement::of(two.reported == [KEY], || format!("{two:?}"));
    report.claim("C61", two.reported.len() as f64, "report of a closed descriptor", judged)
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn closing_the_last_descriptor_ends_the_interest() {
        assert!(the_only_one().expect("a pipe is free").is_empty());
    }

    #[test]
    fn a_closed_descriptor_is_reported_as_long_as_a_copy_of_it_is_open() {
        let two = one_of_two().expect("a pipe is free");
        assert_eq!((two.reported, two.still_reported, two.at_last), (vec![KEY], vec![KEY], vec![]));
    }

    #[test]
    fn the_copy_cannot_remove_what_was_registered_by_another_number() {
        let two = one_of_two().expect("a pipe is free");
        assert_eq!(two.removing_the_copy, Some(Errno::NOENT));
    }

    #[test]
    fn who_removes_before_closing_has_no_such_report() {
        assert!(removed_first().expect("a pipe is free").is_empty());
    }
}

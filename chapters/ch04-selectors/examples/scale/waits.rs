//! What one wait costs, by select(2), poll(2) and epoll(7), for so many descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use lab::cpu_time;
use nix::sys::select::{FD_SETSIZE, FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::epoll::{Epoll, Trigger};
use crate::limit;

/// How many of them are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    One,
    All,
}

/// Nanoseconds that one wait takes. `None`: it cannot be asked for so many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    pub(crate) select: Option<f64>,
    pub(crate) poll: f64,
    pub(crate) epoll: f64,
}

#[cfg(target_os = "linux")]
fn counter(is_ready: bool) -> io::Result<OwnedFd> {
    use rustix::event::{EventfdFlags, eventfd};

    Ok(eventfd(is_ready.into(), EventfdFlags::CLOEXEC)?) // it can be read when it is above zero
}

#[cfg(not(target_os = "linux"))]
fn counter(_: bool) -> io::Result<OwnedFd> {
    Err(crate::epoll::unsupported())
}

// ANCHOR: costs
pub(crate) fn costs(count: usize, ready: Ready) -> io::Result<Costs> {
    let is_ready = |place| ready == Ready::All || place == count - 1;
    let watched: Vec<OwnedFd> =
        (0..count).map(|place| counter(is_ready(place))).collect::<io::Result<_>>()?;
    let expected = if ready == Ready::All { count } else { 1 };

    let mut polled: Vec<PollFd<'_>> =
        watched.iter().map(|one| PollFd::new(one, PollFlags::IN)).collect();
    let by_poll = cost(expected, || Ok(poll(&mut polled, Some(&Timespec::default()))?))?;

    let mut epoll = Epoll::new()?;
    for (key, one) in (0..).zip(&watched) {
        epoll.add(one, key, Trigger::Level)?;
    }
    let by_epoll = cost(expected, || epoll.count(Some(Duration::ZERO)))?;
    Ok(Costs { select: by_select(&watched, expected)?, poll: by_poll, epoll: by_epoll })
}
// ANCHOR_END: costs

fn by_select(watched: &[OwnedFd], expected: usize) -> io::Result<Option<f64>> {
    let highest = watched.iter().map(|one| one.as_raw_fd()).max().unwrap_or(0);
    if usize::try_from(highest).map_or(true, |number| number >= FD_SETSIZE) {
        return Ok(None);
    }
    let mut asked = FdSet::new();
    watched.iter().for_each(|one| asked.insert(one.as_fd()));
    let one_wait = || {
        let mut set = asked; // the answer overwrites the question
        Ok(usize::try_from(select(highest + 1, &mut set, None, None, &mut TimeVal::zero())?)
            .expect("it counts"))
    };
    cost(expected, one_wait).map(Some)
}

/// The least that one wait has taken of a CPU, in nanoseconds. What disturbs it makes it longer.
fn cost(expected: usize, mut wait: impl FnMut() -> io::Result<usize>) -> io::Result<f64> {
    const ROUNDS: usize = 7;
    const ROUND: Duration = Duration::from_millis(3);

    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (start, mut waits, mut took) = (cpu_time::of_thread()?, 0_u32, Duration::ZERO);
        while took < ROUND {
            for _ in 0..4 {
                let ready = wait()?;
                assert_eq!(ready, expected, "each wait reports all that are ready");
            }
            waits += 4;
            took = cpu_time::of_thread()?.saturating_sub(start);
        }
        least = least.min(took.as_nanos() as f64 / f64::from(waits));
    }
    Ok(least)
}

/// What poll(2) says of an array that is longer than the limit on descriptors. `None`: the limit is
/// too high for such an array.
pub(crate) fn too_many() -> io::Result<Option<(usize, Result<usize, Errno>)>> {
    const LONGEST: usize = 1 << 22;

    let limit = limit::raise();
    if limit >= LONGEST {
        return Ok(None);
    }
    let (reader, _writer) = io::pipe()?;
    let mut polled: Vec<PollFd<'_>> =
        (0..=limit).map(|_| PollFd::new(&reader, PollFlags::IN)).collect();
    Ok(Some((limit, poll(&mut polled, Some(&Timespec::default())))))
}

//! A shop with one cashier: an event loop in customers and minutes.
//!
//! A customer comes each minute, and half a minute at the till is enough. Every fifth one must wait
//! ten minutes for goods. The cashier may let that customer step aside and come back (async),
//! stand still until the goods are there (blocking), or send the customer to a side window with
//! some places, where that wait blocks nobody at the till. Predict how many are served after an
//! hour, and what a second cashier, or one place at the window, changes.
//!
//! `cargo run -p ch05-callback-loop --example store`

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::process::ExitCode;

use lab::experiment::{Experiment, Report};

const EXPERIMENT: Experiment = Experiment::new("ch05-callback-loop", "store");

/// In half minutes.
type Time = usize;

const COMES_EVERY: Time = 2;
const AT_THE_TILL: Time = 1;
const GOODS_TAKE: Time = 20;

#[derive(Clone, Copy)]
enum Policy {
    StepAside,
    Block,
    /// A side window with so many places.
    Window(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Wants {
    ToPay,
    Goods,
}

#[derive(Default)]
struct Shop {
    queue: VecDeque<Wants>,
    /// Until when each cashier is busy.
    cashiers: Vec<Time>,
    /// When the goods of those who stepped aside are there.
    aside: VecDeque<Time>,
    /// When each place at the window is free again, and who waits for one.
    window: Vec<Time>,
    before_the_window: usize,
    served: usize,
}

impl Shop {
    fn new(policy: Policy, cashiers: usize) -> Shop {
        let places = if let Policy::Window(places) = policy { places } else { 0 };
        Shop { cashiers: vec![0; cashiers], window: vec![0; places], ..Shop::default() }
    }

    fn waiting(&self) -> usize {
        self.queue.len() + self.before_the_window
    }

    // ANCHOR: serve
    /// Half a minute.
    fn go_on(&mut self, now: Time, policy: Policy) {
        if now.is_multiple_of(COMES_EVERY) {
            let wants =
                if (now / COMES_EVERY).is_multiple_of(5) { Wants::Goods } else { Wants::ToPay };
            self.queue.push_back(wants);
        }
        while self.aside.front().is_some_and(|ready| *ready <= now) {
            self.aside.pop_front();
            self.queue.push_back(Wants::ToPay); // and stands in line again
        }
        for cashier in 0..self.cashiers.len() {
            if self.cashiers[cashier] > now {
                continue;
            }
            let Some(wants) = self.queue.pop_front() else { break };
            self.cashiers[cashier] = now + AT_THE_TILL;
            match (wants, policy) {
                (Wants::ToPay, _) => self.served += 1,
                (Wants::Goods, Policy::StepAside) => self.aside.push_back(now + GOODS_TAKE),
                (Wants::Goods, Policy::Window(_)) => self.before_the_window += 1,
                (Wants::Goods, Policy::Block) => {
                    self.cashiers[cashier] += GOODS_TAKE;
                    self.served += 1;
                }
            }
        }
        for place in self.window.iter_mut().filter(|free| **free <= now) {
            if self.before_the_window > 0 {
                self.before_the_window -= 1;
                self.served += 1;
                *place = now + GOODS_TAKE;
            }
        }
    }
    // ANCHOR_END: serve
}

/// What is seen of the shop after half a minute.
#[derive(Clone, Copy)]
struct Seen {
    /// Those who are being served included.
    served: usize,
    line: usize,
    aside: usize,
}

/// In half minutes.
const TEN_MINUTES: Time = 20;
const HOUR: Time = 6 * TEN_MINUTES;

/// What is seen in each half minute of an hour.
fn hour(policy: Policy, cashiers: usize) -> Vec<Seen> {
    let mut shop = Shop::new(policy, cashiers);
    let mut seen = |now| {
        shop.go_on(now, policy);
        Seen { served: shop.served, line: shop.waiting(), aside: shop.aside.len() }
    };
    (0..HOUR).map(&mut seen).collect()
}

/// Of each ten minutes the longest line, and what was seen at their end.
fn by_ten_minutes(hour: &[Seen]) -> Vec<Seen> {
    let longest = |seen: &[Seen]| seen.iter().map(|seen| seen.line).max().unwrap_or(0);
    let tens = hour.chunks_exact(TEN_MINUTES);
    tens.map(|ten| Seen { line: longest(ten), ..ten[TEN_MINUTES - 1] }).collect()
}

const POLICIES: [(&str, Policy, usize); 5] = [
    ("steps aside", Policy::StepAside, 1),
    ("blocks the cashier", Policy::Block, 1),
    ("blocks one of two cashiers", Policy::Block, 2),
    ("window with 3 places", Policy::Window(3), 1),
    ("window with 1 place", Policy::Window(1), 1),
];

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects(
        "aside: a line of one at most; blocking: it grows; a full window: a second line",
    )?;
    report.say("served / longest line / aside, in 10, 20, … 60 minutes")?;
    for (name, policy, cashiers) in POLICIES {
        let cell =
            |Seen { served, line, aside }| format!("{:>9}", format!("{served}/{line}/{aside}"));
        let columns: String =
            by_ten_minutes(&hour(policy, cashiers)).into_iter().map(cell).collect();
        report.say(format_args!("{name:<26}{columns}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour_of(policy: usize) -> Vec<Seen> {
        let (_, policy, cashiers) = POLICIES[policy];
        hour(policy, cashiers)
    }

    /// The longest of each ten minutes.
    fn lines(policy: usize) -> Vec<usize> {
        by_ten_minutes(&hour_of(policy)).iter().map(|seen| seen.line).collect()
    }

    #[test]
    fn who_steps_aside_makes_one_wait_for_half_a_minute_at_most() {
        let lines: Vec<usize> = hour_of(0).iter().map(|seen| seen.line).collect();
        assert!(lines.windows(2).all(|two| two[0] + two[1] <= 1), "{lines:?}");
        assert_eq!(lines.iter().sum::<usize>(), 10, "who comes back meets who comes");
    }

    #[test]
    fn whoever_came_was_served_is_in_a_line_or_stands_aside() {
        for policy in 0..POLICIES.len() {
            for (now, Seen { served, line, aside }) in (0..).zip(hour_of(policy)) {
                assert_eq!(served + line + aside, 1 + now / COMES_EVERY);
            }
        }
    }

    #[test]
    fn who_blocks_the_cashier_makes_a_line_that_grows() {
        assert!(lines(1).is_sorted_by(|a, b| a < b), "{:?}", lines(1));
    }

    #[test]
    fn a_second_cashier_delays_the_collapse() {
        let (one, two) = (lines(1), lines(2));
        assert!(two[0] < one[0] && two[5] > two[0], "{one:?} {two:?}");
    }

    #[test]
    fn a_window_that_is_full_is_a_second_line() {
        assert!(lines(3).iter().all(|line| *line == 0), "{:?}", lines(3));
        assert!(lines(4).is_sorted(), "{:?}", lines(4));
        assert!(lines(4)[5] > 3, "{:?}", lines(4));
    }
}

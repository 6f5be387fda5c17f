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

// ANCHOR: shop
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
// ANCHOR_END: shop

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

/// After each ten minutes of an hour: who was served or is being served, and who waits in a line.
fn hour(policy: Policy, cashiers: usize) -> [(usize, usize); 6] {
    let mut shop = Shop::new(policy, cashiers);
    let mut now = 0;
    [(); 6].map(|()| {
        for _ in 0..20 {
            shop.go_on(now, policy);
            now += 1;
        }
        (shop.served, shop.waiting())
    })
}

// ANCHOR: policies
const POLICIES: [(&str, Policy, usize); 5] = [
    ("steps aside", Policy::StepAside, 1),
    ("blocks the cashier", Policy::Block, 1),
    ("blocks one of two cashiers", Policy::Block, 2),
    ("window with 3 places", Policy::Window(3), 1),
    ("window with 1 place", Policy::Window(1), 1),
];
// ANCHOR_END: policies

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report
        .expects("aside: nobody waits; blocking: a growing line; a full window: a second line")?;
    report.say("served / in a line, after 10, 20, … 60 minutes")?;
    for (name, policy, cashiers) in POLICIES {
        let columns = hour(policy, cashiers).map(|(served, line)| format!("{served:>5}/{line:<3}"));
        report.say(format_args!("{name:<27}{}", columns.concat().trim_end()))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(policy: usize) -> [usize; 6] {
        let (_, policy, cashiers) = POLICIES[policy];
        hour(policy, cashiers).map(|(_, line)| line)
    }

    #[test]
    fn who_steps_aside_keeps_nobody_waiting() {
        assert!(lines(0).iter().all(|line| *line <= 1), "{:?}", lines(0));
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
        assert!(lines(3).iter().all(|line| *line <= 1), "{:?}", lines(3));
        assert!(lines(4).is_sorted(), "{:?}", lines(4));
        assert!(lines(4)[5] > 3, "{:?}", lines(4));
    }
}

//! Two locks, two threads, two orders: how it stops, and how to find it before it does.
//!
//! Money goes from one account to another; a transfer locks both. Predict what happens when one
//! thread transfers from A to B, another one from B to A, and each holds its first lock. Then
//! predict whether one thread alone can show the fault.
//!
//! `cargo run -p ch02-threads --example deadlock`

#![forbid(unsafe_code)]

mod watch;

use std::io;
use std::process::ExitCode;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use lab::experiment::{Experiment, Report};
use watch::{OtherOrder, Watch};

const EXPERIMENT: Experiment = Experiment::new("ch02-threads", "deadlock");

struct Account {
    number: usize,
    money: Mutex<u64>,
}

impl Account {
    fn new(number: usize) -> Account {
        Account { number, money: Mutex::new(1_000) }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.money.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ANCHOR: meet
/// Each thread holds its first lock and wants that of the other one. `try_lock` says what `lock`
/// would do, and comes back: with `lock` this function would never return.
fn would_both_wait() -> [bool; 2] {
    let [a, b] = [1, 2].map(Account::new);
    let (holding, asked) = (Barrier::new(2), Barrier::new(2));
    let transfer = |from: &Account, to: &Account| {
        let _held = from.lock();
        holding.wait();
        let would_wait = matches!(to.money.try_lock(), Err(TryLockError::WouldBlock));
        asked.wait(); // nobody lets go before both have asked
        would_wait
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| transfer(&a, &b));
        let second = scope.spawn(|| transfer(&b, &a));
        [first, second].map(|thread| thread.join().expect("it does not panic"))
    })
}
// ANCHOR_END: meet

type Transfer = fn(&Watch, &Account, &Account, u64) -> Result<(), OtherOrder>;

// ANCHOR: transfers
/// Wrong: the order depends on who pays.
fn payer_first(watch: &Watch, from: &Account, to: &Account, sum: u64) -> Result<(), OtherOrder> {
    in_order(watch, [from, to], || (from.lock(), to.lock()), sum)
}

/// One order for all: by number.
fn by_number(watch: &Watch, from: &Account, to: &Account, sum: u64) -> Result<(), OtherOrder> {
    if from.number < to.number {
        return payer_first(watch, from, to, sum);
    }
    let lock = || {
        let to = to.lock();
        (from.lock(), to)
    };
    in_order(watch, [to, from], lock, sum)
}

// ANCHOR_END: transfers

fn in_order<'a>(
    watch: &Watch,
    order: [&Account; 2],
    lock: impl FnOnce() -> (MutexGuard<'a, u64>, MutexGuard<'a, u64>),
    sum: u64,
) -> Result<(), OtherOrder> {
    let asked = order.iter().try_for_each(|account| watch.wants(account.number));
    if asked.is_ok() {
        let (mut from, mut to) = lock();
        let sum = sum.min(*from);
        *from -= sum;
        *to += sum;
    }
    order.iter().for_each(|account| watch.lets_go(account.number));
    asked
}

/// One thread, one transfer after the other: nobody ever waits.
fn alone(transfer: Transfer, pairs: &[(usize, usize)]) -> Result<(), OtherOrder> {
    let (watch, accounts) = (Watch::default(), [0, 1, 2].map(Account::new));
    pairs.iter().try_for_each(|&(from, to)| transfer(&watch, &accounts[from], &accounts[to], 1))
}

/// Two threads, many transfers in both directions. The sum at the end, if no order was reported.
fn together(transfer: Transfer, times: u64) -> Result<u64, OtherOrder> {
    let (watch, [a, b]) = (Watch::default(), [1, 2].map(Account::new));
    let transfer = |from, to| (0..times).try_for_each(|_| transfer(&watch, from, to, 1));
    thread::scope(|scope| {
        let other = scope.spawn(|| transfer(&b, &a));
        transfer(&a, &b)?;
        other.join().expect("it does not panic")
    })?;
    Ok(*a.lock() + *b.lock())
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("both wait for ever; the watch finds it with one thread, which never waits")?;
    let [first, second] = would_both_wait().map(|waits| if waits { "waits" } else { "goes on" });
    report
        .say(format_args!("each holds one lock: the first thread {first}, the second {second}"))?;
    let order = |seen: Result<(), OtherOrder>| {
        seen.map_or_else(|other| other.to_string(), |()| "nothing to report".to_owned())
    };
    let there_and_back = [(1, 2), (2, 1)];
    let round = [(0, 1), (1, 2), (2, 0)];
    for (name, transfer) in [("payer first", payer_first as Transfer), ("by number", by_number)] {
        report.say(format_args!("\n{name}, one thread"))?;
        for (transfers, pairs) in
            [("1 to 2, 2 to 1:", &there_and_back[..]), ("0 to 1, 1 to 2, 2 to 0:", &round)]
        {
            report.say(format_args!("  {transfers:<24}{}", order(alone(transfer, pairs))))?;
        }
    }
    let sum = together(by_number, 10_000);
    let sum = sum.map_or_else(|other| other.to_string(), |sum| sum.to_string());
    report.say(format_args!("\nby number, two threads, the sum: {sum}"))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_for_what_the_other_one_holds() {
        assert_eq!(would_both_wait(), [true, true]);
    }

    #[test]
    fn one_thread_alone_shows_that_two_could_stop() {
        let seen = alone(payer_first, &[(1, 2), (2, 1)]);
        assert_eq!(seen, Err(OtherOrder { held: 2, wanted: 1 }));
        let seen = alone(payer_first, &[(0, 1), (1, 2), (2, 0)]);
        assert_eq!(seen, Err(OtherOrder { held: 2, wanted: 0 }));
        let seen = alone(payer_first, &[(1, 1)]);
        assert_eq!(seen, Err(OtherOrder { held: 1, wanted: 1 }));
        assert_eq!(alone(payer_first, &[(0, 1), (1, 2), (0, 2)]), Ok(()));
    }

    #[test]
    fn in_one_order_for_all_nobody_stops_and_no_money_is_lost() {
        assert_eq!(alone(by_number, &[(1, 2), (2, 1), (2, 0)]), Ok(()));
        assert_eq!(together(by_number, 1_000), Ok(2_000));
    }
}

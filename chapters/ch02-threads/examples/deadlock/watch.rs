//! Finds two orders of locks before two threads meet in them: it remembers which lock was asked
//! for while which other one was held.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Remembers in which orders accounts were locked, by all threads and for ever.
#[derive(Default)]
pub(crate) struct Watch {
    /// (a, b): b was locked while a was held.
    orders: Mutex<Vec<(usize, usize)>>,
}

thread_local! {
    /// What this thread holds.
    static HELD: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Somebody has already locked these two in the other order, or they are one.
#[derive(Debug, PartialEq)]
pub(crate) struct OtherOrder {
    pub(crate) held: usize,
    pub(crate) wanted: usize,
}

impl fmt::Display for OtherOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "while {} was held, {} was wanted", self.held, self.wanted)
    }
}

impl Watch {
    // ANCHOR: wants
    /// Says that this thread is about to lock an account.
    pub(crate) fn wants(&self, wanted: usize) -> Result<(), OtherOrder> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        HELD.with_borrow_mut(|all_held| {
            for &held in all_held.iter() {
                if held == wanted || leads(&orders, wanted, held) {
                    return Err(OtherOrder { held, wanted });
                }
                if !orders.contains(&(held, wanted)) {
                    orders.push((held, wanted));
                }
            }
            all_held.push(wanted);
            Ok(())
        })
    }
    // ANCHOR_END: wants

    pub(crate) fn lets_go(&self, account: usize) {
        HELD.with_borrow_mut(|held| held.retain(|one| *one != account));
    }
}

// ANCHOR: leads
/// Does a chain of orders lead from one account to another? No order is part of a circle, since
/// the one that would close it is refused: so this ends.
fn leads(orders: &[(usize, usize)], from: usize, to: usize) -> bool {
    orders.iter().any(|&(a, b)| a == from && (b == to || leads(orders, b, to)))
}
// ANCHOR_END: leads

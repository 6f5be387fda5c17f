//! Futures by hand: each a small struct, and a `poll`.
//!
//! The ones at the bottom wait for something outside: [`sleep`], [`readable`], [`yield_now`]. They
//! leave a waker where somebody will call it, and say "not yet". The others wait for futures:
//! [`join`], [`select`], [`timeout`]. They leave no waker, but hand down the one they are given. An
//! `async fn` is of the second kind.
//!
//! # A future does nothing until it is polled
//!
//! To call an `async fn` makes a future, and runs nothing of it. Whoever forgets to await it has
//! made a value and thrown it away, and the compiler warns:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! # use ch06_generators_to_futures::future::yield_now;
//! async fn say() {
//!     yield_now().await;
//!     println!("nobody ever sees this");
//! }
//!
//! say(); // unused implementer of `Future` that must be used
//! ```
//!
//! Whoever keeps the value may still await it, and is not warned:
//!
//! ```
//! #![deny(unused_must_use)]
//! # use ch06_generators_to_futures::future::yield_now;
//! async fn say() {
//!     yield_now().await;
//!     println!("nobody ever sees this");
//! }
//!
//! let _later = say(); // and nothing runs
//! ```
//!
//! `.await` polls it, but stands only inside of an `async fn` or an `async` block, and that is a
//! future again. The outermost one is polled by an ordinary function:
//! [`block_on`](crate::block_on()).
//!
//! ```compile_fail,E0728
//! # use ch06_generators_to_futures::future::yield_now;
//! fn say() {
//!     yield_now().await; // in a function that cannot stop in the middle
//! }
//! ```
//!
//! ```
//! # use ch06_generators_to_futures::future::yield_now;
//! async fn say() {
//!     yield_now().await; // in a function that can
//! }
//! ```
//!
//! # A future must not move once it was polled
//!
//! It may hold a reference to one of its own local variables, which are its fields. If it moved,
//! the reference would still lead to the old place. So `poll` takes a `Pin`, and a `Pin` of such a
//! future is given out only for a place that it cannot leave. A local variable is no such place:
//!
//! ```compile_fail,E0277
//! # use ch06_generators_to_futures::future::yield_now;
//! # use std::pin::Pin;
//! # use std::task::{Context, Waker};
//! async fn say() {
//!     let line = [0; 80];
//!     let borrowed = &line; // lives across the await: both are fields
//!     yield_now().await;
//!     println!("{borrowed:?}");
//! }
//!
//! let mut future = say();
//! let _ = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
//! ```
//!
//! A box is one, because what moves is only the pointer to it. So is a local variable that `pin!`
//! has hidden:
//!
//! ```
//! # use ch06_generators_to_futures::future::yield_now;
//! # use std::pin::{Pin, pin};
//! # use std::task::{Context, Waker};
//! # async fn say() {
//! #     let line = [0; 80];
//! #     let borrowed = &line;
//! #     yield_now().await;
//! #     println!("{borrowed:?}");
//! # }
//! let mut future = Box::pin(say());
//! let _ = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
//!
//! let mut future = pin!(say());
//! let _ = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
//! ```
//!
//! The box alone does not hold it. What lies in two boxes can change places:
//!
//! ```
//! # use ch06_generators_to_futures::future::yield_now;
//! # use std::mem;
//! # async fn say(_name: &str) {
//! #     yield_now().await;
//! # }
//! let mut first = Box::new(say("first"));
//! let mut second = Box::new(say("second"));
//! mem::swap(&mut *first, &mut *second);
//! ```
//!
//! A `Pin` gives out no `&mut` to such a future, and so nobody can:
//!
//! ```compile_fail,E0596
//! # use ch06_generators_to_futures::future::yield_now;
//! # use std::mem;
//! # async fn say(_name: &str) {
//! #     yield_now().await;
//! # }
//! let mut first = Box::pin(say("first"));
//! let mut second = Box::pin(say("second"));
//! mem::swap(&mut *first, &mut *second);
//! ```
//!
//! # What a future yields is "not yet"
//!
//! A future hands nothing to whoever polls it. To wait for another one it keeps that one and polls
//! it again. To "make a future, and then yield it", as in a language where a loop collects what is
//! yielded, has the wrong type here:
//!
//! ```compile_fail,E0308
//! # use ch06_generators_to_futures::future::{Sleep, sleep};
//! # use std::{pin::Pin, task::{Context, Poll}, time::Duration};
//! struct Nap(Sleep);
//!
//! impl Future for Nap {
//!     type Output = ();
//!
//!     fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
//!         sleep(Duration::from_secs(1)) // expected `Poll<()>`, found `Sleep`
//!     }
//! }
//! ```
//!
//! ```
//! # use ch06_generators_to_futures::future::{Sleep, sleep};
//! # use std::{pin::Pin, task::{Context, Poll}, time::Duration};
//! struct Nap(Sleep);
//!
//! impl Future for Nap {
//!     type Output = ();
//!
//!     fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
//!         Pin::new(&mut self.0).poll(context) // the one that it keeps
//!     }
//! }
//! # ch06_generators_to_futures::block_on(Nap(sleep(Duration::from_millis(1))))?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # A future that contains itself has no size
//!
//! Its size is known when it is compiled, so a recursive call needs a box:
//!
//! ```compile_fail,E0733
//! async fn nested(n: u32) -> u32 {
//!     if n == 0 { 0 } else { 1 + nested(n - 1).await }
//! }
//! ```
//!
//! ```
//! async fn nested(n: u32) -> u32 {
//!     if n == 0 { 0 } else { 1 + Box::pin(nested(n - 1)).await }
//! }
//! # assert_eq!(ch06_generators_to_futures::block_on(nested(3))?, 3);
//! # Ok::<(), std::io::Error>(())
//! ```

mod join;
mod readable;
mod select;
mod sleep;
mod yield_now;

pub use join::{Join, join};
pub use readable::{Readable, readable};
pub use select::{Either, Elapsed, Select, first_to_end, select, timeout};
pub use sleep::{Sleep, sleep, sleep_until};
pub use yield_now::{YieldNow, yield_now};

//! The heartbeat: the first promise of the earlier chapters, as the body of a response.
//!
//! The body never ends by itself. hyper asks it for its next piece, and it is ready at each point
//! of a fixed grid. A point at which the loop was stalled is late; the points behind it that fell
//! into the same stall are skipped. No burst, no drift.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

// ANCHOR: heartbeat
/// A body that is a beat at each point of a grid, until the server ends or the client leaves.
pub struct Heartbeat {
    grid: Interval,
    beats: u64,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Body for Heartbeat {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let due = std::task::ready!(self.grid.poll_tick(cx));
        self.beats += 1;
        let text = beat(self.beats, Instant::now() - due);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
    }
}
// ANCHOR_END: heartbeat

impl Heartbeat {
    /// The first beat is due at once, and then there is one each `period`. It ends with `end`.
    ///
    /// # Panics
    ///
    /// When `period` is zero.
    pub fn new(period: Duration, end: CancellationToken) -> Heartbeat {
        let mut grid = interval(period);
        grid.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Heartbeat { grid, beats: 0, end: Box::pin(end.cancelled_owned()) }
    }
}

/// One server-sent event.
fn beat(number: u64, late: Duration) -> String {
    let (worker, late) = (std::process::id(), late.as_secs_f64() * 1000.0);
    format!("data: {{\"beat\":{number},\"worker\":{worker},\"late_ms\":{late:.1}}}\n\n")
}

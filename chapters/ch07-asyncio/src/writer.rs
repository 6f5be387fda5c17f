//! An output that a thread of its own writes.
//!
//! A write to a pipe that nobody reads blocks. In chapters 4 to 6 it blocks the loop, and with it
//! everything else. Here it blocks this thread, and the task that has something to say.

use std::io::{self, Write};
use std::thread;

use crate::runtime::{Sender, channel};

// ANCHOR: writer
/// The right to have something written. It can be cloned.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    orders: Sender<Order>,
}

/// What is to be written, and whom to tell how that went.
#[derive(Debug)]
struct Order {
    text: String,
    done: Sender<io::Result<()>>,
}

impl Writer {
    pub(crate) fn new(mut output: impl Write + Send + 'static) -> io::Result<Writer> {
        let (orders, mut received) = channel::<Order>(1); // who finds it full waits
        thread::Builder::new().name(String::from("writer")).spawn(move || {
            while let Some(order) = received.blocking_recv() {
                let written = output.write_all(order.text.as_bytes());
                // A task that was cancelled meanwhile does not want to know.
                let _ = order.done.try_send(written.and_then(|()| output.flush()));
            }
        })?;
        Ok(Writer { orders })
    }

    /// Waits until `text` is written, in one write.
    pub(crate) async fn write(&self, text: String) -> io::Result<()> {
        let (done, mut written) = channel(1);
        self.orders.send(Order { text, done }).await.map_err(|_| ended())?;
        written.recv().await.unwrap_or_else(|| Err(ended()))
    }

    /// The same, for a thread of the pool, which may block.
    pub(crate) fn blocking_write(&self, text: String) -> io::Result<()> {
        let (done, mut written) = channel(1);
        self.orders.blocking_send(Order { text, done }).map_err(|_| ended())?;
        written.blocking_recv().unwrap_or_else(|| Err(ended()))
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that writes the output has ended")
}
// ANCHOR_END: writer

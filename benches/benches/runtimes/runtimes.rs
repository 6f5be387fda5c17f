//! The runtimes, and what each one has to do: the same text, once for each.
//!
//! It is a macro and no trait, because the bounds differ: our tasks need not be `Send`, and tokio's
//! must be.

use std::fmt::Debug;
use std::time::Duration;

/// What comes out of a task: tokio and we can say that it failed, the others cannot.
pub(crate) trait Joined {
    type Value;

    fn value(self) -> Self::Value;
}

impl Joined for u64 {
    type Value = u64;

    fn value(self) -> u64 {
        self
    }
}

impl Joined for Duration {
    type Value = Duration;

    fn value(self) -> Duration {
        self
    }
}

impl<T, E: Debug> Joined for Result<T, E> {
    type Value = T;

    fn value(self) -> T {
        self.expect("these tasks neither panic nor are cancelled")
    }
}

/// What only uses the CPU: `passes` times the same, and how long that took. Needs `Executor`,
/// `spawn`, `yield_now`, `channel` and `receive`.
macro_rules! scheduling {
    () => {
        pub(crate) mod scheduling {
            use std::time::{Duration, Instant};

            use super::super::Joined;
            use super::{Executor, channel, receive, spawn, yield_now};

            /// Spawns a task and awaits it.
            pub(crate) fn spawn_one(executor: &Executor, passes: u64) -> Duration {
                let pass = async || assert_eq!(spawn(async { 1 }).await.value(), 1_u64);
                repeat!(executor, passes, pass)
            }

            /// Spawns all tasks, and then awaits them.
            pub(crate) fn spawn_many(executor: &Executor, passes: u64, tasks: u64) -> Duration {
                let pass = async move || {
                    let spawn = |number| spawn(async move { number });
                    let handles: Vec<_> = (0..tasks).map(spawn).collect();
                    for (number, handle) in (0..).zip(handles) {
                        assert_eq!(handle.await.value(), number);
                    }
                };
                repeat!(executor, passes, pass)
            }

            /// Every task goes to the end of the queue again and again.
            pub(crate) fn yields(
                executor: &Executor,
                passes: u64,
                tasks: u64,
                times: u64,
            ) -> Duration {
                let pass = async move || {
                    let yielding = |number| {
                        spawn(async move {
                            for _ in 0..times {
                                yield_now().await;
                            }
                            number
                        })
                    };
                    let handles: Vec<_> = (0..tasks).map(yielding).collect();
                    for (number, handle) in (0..).zip(handles) {
                        assert_eq!(handle.await.value(), number);
                    }
                };
                repeat!(executor, passes, pass)
            }

            /// A value goes to another task and back, through two channels with room for one.
            pub(crate) fn ping_pong(executor: &Executor, passes: u64, times: u64) -> Duration {
                let pass = async move || {
                    let (ping, mut pinged) = channel::<u64>(1);
                    let (pong, mut ponged) = channel::<u64>(1);
                    let other = spawn(async move {
                        let mut count = 0;
                        while let Some(number) = receive(&mut pinged).await {
                            pong.send(number).await.expect("the other end waits for it");
                            count += 1;
                        }
                        count
                    });
                    let this = spawn(async move {
                        for number in 0..times {
                            ping.send(number).await.expect("the other task has that end");
                            assert_eq!(receive(&mut ponged).await, Some(number));
                        }
                        times
                    });
                    assert_eq!(this.await.value(), times);
                    assert_eq!(other.await.value(), times);
                };
                repeat!(executor, passes, pass)
            }
        }
    };
}

/// How long some passes took, in a task. (The future that `block_on` holds is no task with tokio
/// and async-std, and to wake it costs more. The work of a server is done in tasks.)
macro_rules! repeat {
    ($executor:expr, $passes:expr, $pass:expr) => {{
        let (passes, pass) = ($passes, $pass);
        let all = async move {
            let start = Instant::now();
            for _ in 0..passes {
                pass().await;
            }
            start.elapsed()
        };
        $executor.block_on(async move { spawn(all).await.value() })
    }};
}

/// What sleeps. Needs `Executor`, `spawn` and `sleep`.
macro_rules! sleeping {
    () => {
        pub(crate) mod sleeping {
            use std::sync::Arc;
            use std::sync::atomic::{AtomicU64, Ordering};
            use std::time::Duration;

            use super::super::Joined;
            use super::{Executor, sleep, spawn};

            /// All tasks sleep; when the last one has begun to, `asleep` is called. Returns when
            /// all have slept.
            pub(crate) fn sleep_all(
                executor: &Executor,
                tasks: u64,
                asleep: impl FnOnce() + Send + 'static,
            ) {
                /// Long enough for all of them to be asleep at once.
                const SLEEP: Duration = Duration::from_secs(1);

                let begun = Arc::new(AtomicU64::new(0));
                executor.block_on(async move {
                    let sleeper = |number| {
                        let begun = Arc::clone(&begun);
                        spawn(async move {
                            begun.fetch_add(1, Ordering::Relaxed);
                            sleep(SLEEP + Duration::from_micros(number)).await;
                            number
                        })
                    };
                    let handles: Vec<_> = (0..tasks).map(sleeper).collect();
                    while begun.load(Ordering::Relaxed) < tasks {
                        sleep(Duration::from_millis(1)).await;
                    }
                    asleep();
                    for (number, handle) in (0..).zip(handles) {
                        assert_eq!(handle.await.value(), number);
                    }
                });
            }
        }
    };
}

/// What serves. Needs `Executor`, `detach` and `bind`; and the traits or methods of its streams.
macro_rules! echoing {
    ($($traits:ident),*) => {
        pub(crate) mod echoing {
            use std::io;
            use std::net::SocketAddr;

            use super::{Executor, bind, detach, $($traits),*};
            use crate::servers::BUFFER;

            /// Tells its address, and sends back what it gets. It ends with its process.
            pub(crate) fn echo(
                executor: &Executor,
                tell: impl FnOnce(SocketAddr) -> io::Result<()> + Send + 'static,
            ) -> io::Result<()> {
                executor.block_on(async move {
                    let listener = bind().await?;
                    tell(listener.local_addr()?)?;
                    loop {
                        #[allow(unused_mut, reason = "ours reads and writes by `&self`")]
                        let (mut stream, _) = listener.accept().await?;
                        stream.set_nodelay(true)?;
                        detach(async move {
                            let mut buffer = [0; BUFFER];
                            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                                if stream.write_all(&buffer[..length]).await.is_err() {
                                    break;
                                }
                            }
                        });
                    }
                })
            }
        }
    };
}

/// Where the system chooses a port.
pub(crate) const ANY_PORT: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) mod ours {
    use std::io;

    use ch07_asyncio::runtime::{self, Receiver, Sender, TcpListener};
    pub(super) use ch07_asyncio::runtime::{sleep, spawn, yield_now};

    pub(crate) type Executor = runtime::Runtime;

    pub(crate) fn executor() -> Executor {
        Executor::new().expect("a descriptor is free")
    }

    fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        runtime::channel(capacity)
    }

    async fn receive<T>(receiver: &mut Receiver<T>) -> Option<T> {
        receiver.recv().await
    }

    fn detach(future: impl Future<Output = ()> + 'static) {
        drop(spawn(future));
    }

    async fn bind() -> io::Result<TcpListener> {
        TcpListener::bind(super::ANY_PORT)
    }

    scheduling!();
    sleeping!();
    echoing!();
}

/// It has neither timers nor descriptors. The channel is that of step 2.
pub(crate) mod step1 {
    use ch07_asyncio::runtime::{Receiver, channel, yield_now};
    use ch07_asyncio::step1;
    use ch07_asyncio::step1::spawn;

    pub(crate) type Executor = step1::Runtime;

    pub(crate) fn executor() -> Executor {
        Executor::new()
    }

    async fn receive<T>(receiver: &mut Receiver<T>) -> Option<T> {
        receiver.recv().await
    }

    scheduling!();
}

pub(crate) mod tokio {
    use std::io;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::runtime::Builder;
    pub(super) use tokio::spawn;
    use tokio::sync::mpsc::{Receiver, channel};
    use tokio::task::yield_now;
    use tokio::time::sleep;

    pub(crate) type Executor = tokio::runtime::Runtime;

    pub(crate) fn one_thread() -> Executor {
        Builder::new_current_thread().enable_all().build().expect("a descriptor is free")
    }

    pub(crate) fn many_threads() -> Executor {
        Builder::new_multi_thread().enable_all().build().expect("threads are free")
    }

    async fn receive<T>(receiver: &mut Receiver<T>) -> Option<T> {
        receiver.recv().await
    }

    fn detach(future: impl Future<Output = ()> + Send + 'static) {
        drop(spawn(future));
    }

    async fn bind() -> io::Result<TcpListener> {
        TcpListener::bind(super::ANY_PORT).await
    }

    scheduling!();
    sleeping!();
    echoing!(AsyncReadExt, AsyncWriteExt);
}

/// The executor for one thread, with the reactor that `smol::block_on` drives.
pub(crate) mod smol {
    use std::io;
    use std::time::Duration;

    use smol::channel::{Receiver, bounded as channel};
    use smol::future::yield_now;
    use smol::io::{AsyncReadExt, AsyncWriteExt};
    use smol::net::TcpListener;
    use smol::{LocalExecutor, Task, Timer};

    thread_local! {
        static TASKS: LocalExecutor<'static> = const { LocalExecutor::new() };
    }

    pub(crate) struct Executor;

    impl Executor {
        fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
            TASKS.with(|tasks| smol::block_on(tasks.run(future)))
        }
    }

    pub(super) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
        TASKS.with(|tasks| tasks.spawn(future))
    }

    async fn receive<T>(receiver: &mut Receiver<T>) -> Option<T> {
        receiver.recv().await.ok()
    }

    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    fn detach(future: impl Future<Output = ()> + 'static) {
        spawn(future).detach();
    }

    async fn bind() -> io::Result<TcpListener> {
        TcpListener::bind(super::ANY_PORT).await
    }

    scheduling!();
    sleeping!();
    echoing!(AsyncReadExt, AsyncWriteExt);
}

/// It has one executor for the whole process, of one thread per CPU.
pub(crate) mod async_std {
    use std::io;

    use async_std::channel::{Receiver, bounded as channel};
    use async_std::io::{ReadExt, WriteExt};
    use async_std::net::TcpListener;
    pub(super) use async_std::task::{sleep, spawn, yield_now};

    pub(crate) struct Executor;

    impl Executor {
        fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
            async_std::task::block_on(future)
        }
    }

    async fn receive<T>(receiver: &mut Receiver<T>) -> Option<T> {
        receiver.recv().await.ok()
    }

    fn detach(future: impl Future<Output = ()> + Send + 'static) {
        drop(spawn(future));
    }

    async fn bind() -> io::Result<TcpListener> {
        TcpListener::bind(super::ANY_PORT).await
    }

    scheduling!();
    sleeping!();
    echoing!(ReadExt, WriteExt);
}

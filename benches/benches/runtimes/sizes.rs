//! How much is measured: all of it, less for a quick look, or once, as a test that it works.

/// How many tasks, requests and rounds there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Tasks that are spawned and then joined.
    pub(crate) spawned: u64,
    /// Tasks that yield, and how often each one does.
    pub(crate) yielding: u64,
    pub(crate) yields: u64,
    /// How many values go there and back.
    pub(crate) round_trips: u64,
    pub(crate) sleepers: u64,
    /// Processes in which a runtime's sleepers are measured.
    pub(crate) sleeper_rounds: usize,
    pub(crate) connections: &'static [usize],
    /// Requests of one server in one round, over all its connections.
    pub(crate) requests: usize,
    pub(crate) server_rounds: usize,
}

const FULL: Sizes = Sizes {
    spawned: 1_000_000,
    yielding: 1000,
    yields: 1000,
    round_trips: 100_000,
    sleepers: 100_000,
    sleeper_rounds: 5,
    connections: &[100, 1000],
    requests: 40_000,
    server_rounds: 7,
};

const QUICK: Sizes = Sizes {
    spawned: 100_000,
    yields: 100,
    round_trips: 10_000,
    sleeper_rounds: 3,
    requests: 20_000,
    server_rounds: 3,
    ..FULL
};

const ONCE: Sizes = Sizes {
    spawned: 100,
    yielding: 10,
    yields: 10,
    round_trips: 10,
    sleepers: 100,
    sleeper_rounds: 1,
    connections: &[3, 10],
    requests: 30,
    server_rounds: 1,
};

/// What this process was asked for. `cargo bench` adds `--bench`, and `cargo test` does not.
pub(crate) fn sizes() -> Sizes {
    let asked = |option: &str| std::env::args().any(|arg| arg == option);
    match (asked("--bench"), asked("--quick")) {
        (true, false) => FULL,
        (true, true) => QUICK,
        (false, _) => ONCE,
    }
}

/// The options that make a child measure as much as this process.
pub(crate) fn options() -> Vec<String> {
    std::env::args().filter(|arg| arg == "--bench" || arg == "--quick").collect()
}

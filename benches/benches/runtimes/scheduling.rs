//! What only uses the CPU, in wall-clock time, by criterion.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};

use crate::runtimes::{async_std, ours, smol, step1, tokio};
use crate::sizes::{Sizes, sizes};

/// What the names of all groups begin with.
pub(crate) const NAME: &str = "scheduling";

/// The names of the benchmarks in each group.
pub(crate) const RUNTIMES: [&str; 6] =
    ["ours", "step 1", "tokio, 1 thread", "tokio", "smol", "async-std"];

/// A group of benchmarks.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    /// How many operations one pass of it has.
    pub(crate) operations: u64,
}

pub(crate) fn groups() -> [Group; 4] {
    let Sizes { spawned, yielding, yields, round_trips, .. } = sizes();
    let group = |name, operations, what| Group { name, operations, what };
    [
        group("spawn-one", 1, "spawn a task, await it".to_owned()),
        group("spawn-many", spawned, format!("spawn {spawned} tasks, await them: a task")),
        group("yield", yielding * yields, format!("{yielding} tasks yield: a yield")),
        group("ping-pong", round_trips, "to another task and back, over channels".to_owned()),
    ]
}

/// One function of each runtime's `scheduling`, with the arguments that follow the executor.
macro_rules! each {
    ($group:expr, |$passes:ident| $($call:tt)*) => {{
        let mut group = $group;
        each!(group, "ours", ours, ours::executor(), $passes, $($call)*);
        each!(group, "step 1", step1, step1::executor(), $passes, $($call)*);
        each!(group, "tokio, 1 thread", tokio, tokio::one_thread(), $passes, $($call)*);
        each!(group, "tokio", tokio, tokio::many_threads(), $passes, $($call)*);
        each!(group, "smol", smol, smol::Executor, $passes, $($call)*);
        each!(group, "async-std", async_std, async_std::Executor, $passes, $($call)*);
        group.finish();
    }};
    ($group:ident, $name:expr, $runtime:ident, $executor:expr, $passes:ident,
     $function:ident($($argument:expr),*)) => {
        $group.bench_function($name, |bencher| {
            let executor = $executor;
            bencher.iter_custom(|$passes| {
                $runtime::scheduling::$function(&executor, $($argument),*)
            });
        });
    };
}

pub(crate) fn measure() {
    let mut criterion = Criterion::default().configure_from_args();
    let sizes = sizes();
    let [one, many, yields, ping_pong] = groups();
    each!(group(&mut criterion, &one), |passes| spawn_one(passes));
    each!(group(&mut criterion, &many), |passes| spawn_many(passes, sizes.spawned));
    each!(group(&mut criterion, &yields), |passes| yields(passes, sizes.yielding, sizes.yields));
    each!(group(&mut criterion, &ping_pong), |passes| ping_pong(passes, sizes.round_trips));
}

/// A pass of most groups takes long enough to be timed by itself, so a few samples will do.
fn group<'a>(criterion: &'a mut Criterion, group: &Group) -> BenchmarkGroup<'a, WallTime> {
    const SAMPLES: usize = 10;
    const WARM_UP: Duration = Duration::from_millis(300);
    const MEASUREMENT: Duration = Duration::from_secs(2);

    let mut group = criterion.benchmark_group(format!("{NAME}/{}", group.name));
    group.sample_size(SAMPLES).warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    group
}

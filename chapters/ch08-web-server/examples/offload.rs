//! Eight questions at once, each of which keeps a core busy for about 100 ms: in four places.
//!
//! They are computed on the loop, or on a thread of the pool for each, or on as many threads as
//! there are cores, or in as many processes. A heart on the loop beats every 10 ms meanwhile.
//! Predict for each place how late a beat becomes. Then predict when the first answer comes: the
//! pool computes eight at once, and the threads of the cores only as many as there are cores.
//!
//! `cargo run -p ch08-web-server --example offload`
//!
//! Python's `run_in_executor(None, …)` is the second place, and no process: its threads share one
//! interpreter lock.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, Write};
use std::num::NonZero;
use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use ch08_web_server::limits::POOL_TOKENS;
use ch08_web_server::{BlockingPool, Cores, FIB_WORKER, Places, Processes, serve_fib};
use fib_timing::{fib, timed};
use tokio::runtime::Builder;
use tokio::time::{Interval, MissedTickBehavior, interval};

const QUESTIONS: usize = 8;

/// A question takes at least this, alone on a core, and less than twice as long.
const QUESTION: Duration = Duration::from_millis(80);

/// The time between two beats.
const PERIOD: Duration = Duration::from_millis(10);

// ANCHOR: places
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Inline,
    Pool,
    Rayon,
    Process,
}

const PLACES: [(Place, &str); 4] = [
    (Place::Inline, "inline"),
    (Place::Pool, "pool"),
    (Place::Rayon, "rayon"),
    (Place::Process, "process"),
];

/// Computes fib(n) in a place, and says who did it.
async fn ask(place: Place, places: Places, n: u32) -> io::Result<String> {
    let compute = move || {
        fib(n);
        who()
    };
    Ok(match place {
        Place::Inline => compute(),
        Place::Pool => places.pool.run(compute).await.expect("fib does not panic"),
        Place::Rayon => places.cores.compute(compute).await.expect("fib does not panic"),
        Place::Process => {
            places.processes.fib(n).await?;
            "one of those that are idle afterwards".into()
        }
    })
}
// ANCHOR_END: places

/// This process and this thread.
fn who() -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name");
    format!("process {}, thread {name} {:?}", process::id(), thread.id())
}

/// A heart, and how late the latest of its beats was.
struct Heart {
    grid: Interval,
    beats: usize,
    late: Duration,
}

impl Heart {
    fn new() -> Heart {
        let mut grid = interval(PERIOD);
        grid.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Heart { grid, beats: 0, late: Duration::ZERO }
    }

    async fn beat(&mut self) {
        let due = self.grid.tick().await;
        self.late = self.late.max(due.elapsed());
        self.beats += 1;
    }
}

// ANCHOR: measure
struct Run {
    /// When the questions were answered, in the order of these times.
    answered: Vec<Duration>,
    /// Who computed, each one once.
    by: BTreeSet<String>,
    /// The beats until the last answer, and how late the latest was.
    beats: usize,
    late: Duration,
    /// The part of all cores that this process had meanwhile.
    busy: Option<f64>,
}

/// Asks all questions at once. `program` is what the processes are started from.
fn measure(place: Place, n: u32, program: &OsStr) -> io::Result<Run> {
    let places = Places {
        pool: BlockingPool::new(POOL_TOKENS),
        cores: Cores::new(cores()).map_err(io::Error::other)?,
        processes: Processes::new(program, cores()),
    };
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut heart = Heart::new();
        heart.beat().await;
        let (start, before) = (Instant::now(), cpu_time());
        let question = |_| {
            let answer = ask(place, places.clone(), n);
            tokio::spawn(async move { Ok::<_, io::Error>((answer.await?, start.elapsed())) })
        };
        let questions: Vec<_> = (0..QUESTIONS).map(question).collect();
        let answers = async {
            let mut answers = Vec::new();
            for question in questions {
                answers.push(question.await.expect("nobody aborts it, and it does not panic")?);
            }
            Ok::<_, io::Error>(answers)
        };
        let beating = async {
            loop {
                heart.beat().await;
            }
        };
        let answers = tokio::select! {
            answers = answers => answers?,
            () = beating => unreachable!("a heart goes on"),
        };
        let share = |before, after: Duration| {
            (after - before).as_secs_f64() / (start.elapsed().as_secs_f64() * cores() as f64)
        };
        let busy = before.zip(cpu_time()).map(|(before, after)| share(before, after));
        let beats = heart.beats - 1;
        heart.beat().await; // it is late if the loop was stalled to the end
        let (by, mut answered): (BTreeSet<_>, Vec<_>) = answers.into_iter().unzip();
        let idle = || places.processes.idle().iter().map(|pid| format!("process {pid}")).collect();
        let by = if place == Place::Process { idle() } else { by };
        answered.sort();
        Ok(Run { answered, by, beats, late: heart.late, busy })
    })
}

impl Run {
    fn first(&self) -> Duration {
        self.answered[0]
    }

    fn mean(&self) -> Duration {
        self.answered.iter().sum::<Duration>() / QUESTIONS as u32
    }

    fn last(&self) -> Duration {
        self.answered[QUESTIONS - 1]
    }
}
// ANCHOR_END: measure

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What all threads of this process have used.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

/// An n whose Fibonacci number takes as long as a question, and how long that is, alone on a core.
fn question() -> (u32, Duration) {
    let once = |n| {
        let before = cpu_time();
        let (_, time) = timed(|| fib(n));
        // On a busy machine its time on a core is what it would take alone.
        before.zip(cpu_time()).map_or(time, |(before, after)| after - before)
    };
    let best = |n| (0..3).map(|_| once(n)).min().expect("there are three");
    let mut times = (20..).map(|n| (n, best(n)));
    times.find(|(_, time)| *time >= QUESTION).expect("the next n takes longer")
}

fn print(out: &mut dyn Write) -> io::Result<()> {
    let ((n, alone), cores, program) = (question(), cores(), env::current_exe()?);
    writeln!(
        out,
        "{QUESTIONS} questions at once; one of them, fib({n}), takes {:.0} ms alone: T. Cores: \
         {cores}.\nExpected: inline, the heart stands still. With as many threads as cores, the \
         first answer comes\nafter T. With a thread for each question, all of them come at the end.\
         \n\n{:8}{:>9}{:>9}{:>9}{:>7}{:>14}  computed by",
        ms(alone),
        "place",
        "first, T",
        "mean, T",
        "last, T",
        "beats",
        "latest beat"
    )?;
    let mut runs = Vec::new();
    for (place, name) in PLACES {
        let run = measure(place, n, program.as_os_str())?;
        let times = |time: Duration| time.as_secs_f64() / alone.as_secs_f64();
        writeln!(
            out,
            "{name:8}{:>9.1}{:>9.1}{:>9.1}{:>7}{:>11.1} ms  {}",
            times(run.first()),
            times(run.mean()),
            times(run.last()),
            run.beats,
            ms(run.late),
            in_words(&run.by),
        )?;
        runs.push(run);
    }
    match not_judged(&runs[1], &runs[2]) {
        Some(reason) => writeln!(out, "\nrayon against the pool: not judged: {reason}"),
        None => writeln!(
            out,
            "\nThe pool's first answer took {:.1} times as long as that of rayon, and on average \
             its answers\ntook {:.1} times as long. The work is the same.",
            runs[1].first().as_secs_f64() / runs[2].first().as_secs_f64(),
            runs[1].mean().as_secs_f64() / runs[2].mean().as_secs_f64(),
        ),
    }
}

/// The first of them, and how many others there are.
fn in_words(by: &BTreeSet<String>) -> String {
    let first = by.first().map_or("nobody", String::as_str);
    match by.len() {
        0 | 1 => first.to_owned(),
        number => format!("{first} and {} more", number - 1),
    }
}

/// Why two runs cannot be compared.
fn not_judged(pool: &Run, rayon: &Run) -> Option<String> {
    /// The least part of the cores.
    const ENOUGH: f64 = 0.8;

    if cores() > QUESTIONS / 2 {
        return Some(format!("{} cores are too many for {QUESTIONS} questions", cores()));
    }
    let busy = pool.busy.zip(rayon.busy).map(|(pool, rayon)| pool.min(rayon));
    let Some(busy) = busy else { return Some("this system does not say who has its cores".into()) };
    (busy < ENOUGH).then(|| format!("we had {:.0} % of the cores", busy * 100.0))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn main() -> ExitCode {
    // The program itself is what its processes are started from.
    if env::args_os().skip(1).eq([OsString::from(FIB_WORKER)]) {
        let served = serve_fib(BufReader::new(io::stdin()), io::stdout(), fib);
        return if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    command_line::experiment("offload", print)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::{Arc, Barrier, LazyLock};

    use super::*;

    /// Set for a process that is to compute. Its test is this one:
    const WORKER: &str = "OFFLOAD_WORKER";

    /// The processes are started from this test program. It writes about its tests to standard
    /// output, so their answers take the other way out.
    #[test]
    fn a_worker() {
        if env::var_os(WORKER).is_some() {
            let questions = BufReader::new(io::stdin());
            serve_fib(questions, io::stderr(), fib).expect("whoever asks reads the answers");
        }
    }

    #[cfg(unix)]
    fn measure_all() -> Vec<Run> {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("there is room for a folder");
        let program = folder.path().join("worker");
        let this = env::current_exe().expect("the system knows what it runs");
        let this = this.to_str().expect("cargo gives it a name in ASCII").replace('\'', "'\\''");
        let script = format!(
            "#!/bin/sh\nexec env {WORKER}=1 '{this}' --exact tests::a_worker --nocapture \
             2>&1 >/dev/null\n"
        );
        fs::write(&program, script).expect("it is a new file");
        let executable = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&program, executable).expect("it is ours");
        let (n, _) = question();
        PLACES.map(|(place, _)| measure(place, n, program.as_os_str()).expect("it works")).into()
    }

    /// Measured once, one after the other: what runs beside a measurement is measured with it.
    static RUNS: LazyLock<Vec<Run>> = LazyLock::new(measure_all);

    #[test]
    fn inline_the_heart_stands_still_until_the_last_answer() {
        let inline = &RUNS[0];
        let without_first = inline.last() - inline.first();
        assert!(inline.beats <= 1, "{}", inline.beats); // one may be due before the first question
        assert!(inline.late >= without_first, "{:?}, {without_first:?}", inline.late);
    }

    /// Some of the beats: a machine that is busy with other things may skip some.
    #[test]
    fn in_the_other_places_it_goes_on() {
        for ((_, name), run) in PLACES.iter().zip(RUNS.iter()).skip(1) {
            assert!(run.beats >= 3, "{name}: {} beats in {:?}", run.beats, run.last());
        }
    }

    #[test]
    fn the_loop_s_own_thread_threads_and_processes_compute() {
        let [inline, pool, rayon, process] = &RUNS[..] else { panic!("{} places", RUNS.len()) };
        let ours = format!("process {},", process::id());
        let the_loop = inline.by.first().expect("somebody has computed");
        assert_eq!(inline.by.len(), 1);
        assert!(the_loop.starts_with(&ours), "{the_loop}");
        for run in [pool, rayon] {
            assert!(run.by.iter().all(|who| who.starts_with(&ours)), "{:?}", run.by);
            assert!(!run.by.contains(the_loop), "{:?}", run.by);
        }
        assert!((1..=cores()).contains(&rayon.by.len()), "{:?}", rayon.by);
        assert!((1..=cores()).contains(&process.by.len()), "{:?}", process.by);
        assert!(!process.by.contains(&format!("process {}", process::id())), "{:?}", process.by);
    }

    /// All of them are in at once, or nobody comes out.
    #[test]
    fn the_pool_computes_all_questions_at_once() {
        let (pool, all) = (BlockingPool::new(POOL_TOKENS), Arc::new(Barrier::new(QUESTIONS)));
        let runtime = Builder::new_current_thread().build().expect("it needs no descriptor");
        runtime.block_on(async {
            let question = |_| {
                let (pool, all) = (pool.clone(), Arc::clone(&all));
                let wait = move || {
                    all.wait();
                };
                tokio::spawn(async move { pool.run(wait).await.is_ok() })
            };
            for question in (0..QUESTIONS).map(question).collect::<Vec<_>>() {
                assert!(question.await.expect("nobody panics"));
            }
        });
    }

    #[test]
    fn as_many_threads_as_cores_give_the_first_answer_earlier() {
        const TRIES: usize = 3;

        let (n, _) = question();
        let again = |place| measure(place, n, OsStr::new("")).expect("it starts no process");
        let mut reason = None;
        for _ in 0..TRIES {
            let (pool, rayon) = (again(Place::Pool), again(Place::Rayon));
            let [first, mean] = [Run::first, Run::mean]
                .map(|of| of(&pool).as_secs_f64() / of(&rayon).as_secs_f64());
            reason = not_judged(&pool, &rayon).or(reason);
            if first > 1.5 && mean > 1.15 {
                return;
            }
        }
        println!("not judged: {}", reason.expect("with the cores for us rayon is earlier"));
    }
}

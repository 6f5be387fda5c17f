//! Two cakes: what one baker can overlap, and for what it takes two.
//!
//! A cake has to be mixed (60 ms of a core), and then stays in the oven (100 ms of waiting). Mixed
//! one after the other, the two take 320 ms. A baker is a thread, and a kitchen table is a core.
//! Predict the time (a) of one baker who mixes the second cake while the first is in the oven,
//! (b) of two bakers at one table, (c) of two bakers at two tables.
//!
//! `cargo run -p ch03-parallel --example bakers`

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use fib_timing::fib;
use lab::experiment::{Experiment, Report};
use lab::spent::Spent;
use lab::{cores, cpu_time};

const EXPERIMENT: Experiment = Experiment::new("ch03-parallel", "bakers");

const MIX: Duration = Duration::from_millis(60);
const OVEN: Duration = Duration::from_millis(100);

/// When a cake was begun, in the oven, and ready.
#[derive(Debug, Clone, Copy)]
struct Cake {
    begun: Duration,
    mixed: Duration,
    ready: Duration,
    /// How its baker spent the time until it was mixed.
    spent: Spent,
}

/// Computes until this thread has had a core for that long.
fn mix() {
    let before = cpu_time::of_thread().unwrap_or_default();
    while cpu_time::of_thread().unwrap_or_default() < before + MIX {
        black_box(fib(18));
    }
}

/// Waits until the cake has been in the oven long enough, and takes it out.
fn take_out(cake: &mut Cake, day: Instant) {
    thread::sleep((cake.mixed + OVEN).saturating_sub(day.elapsed()));
    cake.ready = day.elapsed();
}

fn mixed(day: Instant) -> io::Result<Cake> {
    let begun = day.elapsed();
    let ((), spent) = Spent::on(mix)?;
    let mixed = day.elapsed();
    Ok(Cake { begun, mixed, ready: mixed, spent })
}

// ANCHOR: bakers
fn cake(day: Instant) -> io::Result<Cake> {
    let mut cake = mixed(day)?;
    take_out(&mut cake, day);
    Ok(cake)
}

fn one_after_the_other(day: Instant) -> io::Result<[Cake; 2]> {
    Ok([cake(day)?, cake(day)?])
}

fn one_baker(day: Instant) -> io::Result<[Cake; 2]> {
    let mut cakes = [mixed(day)?, mixed(day)?];
    cakes.iter_mut().for_each(|cake| take_out(cake, day));
    Ok(cakes)
}

/// Each at the table with that number.
fn two_bakers(day: Instant, tables: [usize; 2]) -> io::Result<[Cake; 2]> {
    let baker = |table| {
        move || {
            cores::stay_on(table)?;
            cake(day)
        }
    };
    thread::scope(|scope| {
        let [a, b] = tables.map(|table| scope.spawn(baker(table)));
        let [a, b] = [a, b].map(|baker| baker.join().expect("a baker does not panic"));
        Ok([a?, b?])
    })
}
// ANCHOR_END: bakers

fn last(cakes: [Cake; 2]) -> Duration {
    cakes[0].ready.max(cakes[1].ready)
}

/// Why nothing can be said: one of those who should have had a table did not.
fn disturbed(cakes: [Cake; 2]) -> Option<String> {
    cakes.iter().find_map(|cake| cake.spent.disturbed())
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("320 ms; 220 ms; at one table no less; at two tables 160 ms")?;
    let mut say = |name: &str, cakes: [Cake; 2]| {
        report.say(format_args!("{name}: {:.0} ms", last(cakes).as_secs_f64() * 1e3))?;
        cakes.iter().try_for_each(|cake| {
            let columns = |time: Duration| (time.as_secs_f64() * 1e2).round() as usize;
            let (begun, mixed) = (columns(cake.begun), columns(cake.mixed));
            let oven = columns(cake.ready).saturating_sub(mixed);
            let mixing = mixed.saturating_sub(begun);
            let (space, mixing, oven) = (" ".repeat(begun), "M".repeat(mixing), "o".repeat(oven));
            report.say(format_args!("    {space}{mixing}{oven}"))
        })
    };
    say("one baker, one after the other", one_after_the_other(Instant::now())?)?;
    say("one baker, the ovens overlap", one_baker(Instant::now())?)?;
    let tables = cores::first_and_last()?;
    say("two bakers, one table", two_bakers(Instant::now(), [tables[0]; 2])?)?;
    if tables[0] == tables[1] {
        return report.say("two bakers, two tables: not judged: there is one core");
    }
    let cakes = two_bakers(Instant::now(), tables)?;
    say("two bakers, two tables", cakes)?;
    disturbed(cakes)
        .map_or(Ok(()), |reason| report.say(format_args!("the last one is not judged: {reason}")))
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use lab::experiment::Judgement;

    use super::*;

    /// The cores are those of all tests: one at a time.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());

        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn one_after_the_other_nothing_overlaps() {
        let _alone = alone();
        let [first, second] = one_after_the_other(Instant::now()).expect("Linux says it");
        assert!(second.begun >= first.ready, "{first:?} {second:?}");
        assert!(second.ready >= 2 * (MIX + OVEN), "{second:?}");
    }

    #[test]
    fn one_baker_mixes_while_the_first_cake_is_in_the_oven() {
        let _alone = alone();
        let [first, second] = one_baker(Instant::now()).expect("Linux says it");
        assert!(second.begun < first.mixed + OVEN, "{first:?} {second:?}");
        assert!(last([first, second]) >= 2 * MIX + OVEN, "and never mixes both at once");
    }

    #[test]
    fn two_bakers_at_one_table_are_no_quicker_than_one() {
        let _alone = alone();
        let [table, _] = cores::first_and_last().expect("Linux says it");
        let cakes = two_bakers(Instant::now(), [table; 2]).expect("the table is ours");
        assert!(last(cakes) >= 2 * MIX + OVEN, "{cakes:?}");
    }

    #[test]
    fn two_bakers_at_two_tables_mix_both_at_once() {
        let _alone = alone();
        let tables = cores::first_and_last().expect("Linux says it");
        let one_core = (tables[0] == tables[1]).then(|| "there is one core".to_owned());
        // A baker may come late to work, which nothing shows: but not each day.
        let judge = || {
            let cakes = two_bakers(Instant::now(), tables).expect("the tables are ours");
            let judged = Judgement::of(last(cakes) < 2 * MIX + OVEN, || format!("{cakes:?}"));
            judged.unless(one_core.clone().or_else(|| disturbed(cakes)))
        };
        Judgement::of_tries(3, judge).assert();
    }
}

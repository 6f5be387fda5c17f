//! What one wait costs, by the number of descriptors that are watched.
//!
//! One of them is ready, or all are. Predict for select(2), poll(2) and epoll(7) by how much ten
//! times the descriptors make a wait dearer: one ready, and all ready.
//!
//! `cargo run -q -p ch04-selectors --example scale`
//!
//! `--svg FILE` writes a picture as well. What is measured is this thread's time on a CPU, the
//! least of several rounds. Nothing blocks.

#![forbid(unsafe_code)]

#[path = "../epoll/mod.rs"]
mod epoll;
#[path = "../limit/mod.rs"]
mod limit;
#[path = "../plot/mod.rs"]
mod plot;
mod waits;

use std::fs;
use std::io;
use std::process::ExitCode;

use lab::experiment::{Experiment, Judgement, Report};
use plot::Line;
use rustix::io::Errno;
use waits::{Costs, Ready, costs, too_many};

const EXPERIMENT: Experiment = Experiment::new("ch04-selectors", "scale").with_options(&["svg"]);

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Descriptors that are none of those that are watched.
const OTHERS: usize = 50;

/// A row of the table: how many, one ready, all ready.
type Row = (usize, Costs, Costs);

fn rows(sizes: &[usize]) -> io::Result<Vec<Row>> {
    let limit = limit::raise();
    let possible = sizes.iter().filter(|size| **size + OTHERS <= limit);
    possible.map(|&size| Ok((size, costs(size, Ready::One)?, costs(size, Ready::All)?))).collect()
}

fn table(report: &mut Report<'_>, rows: &[Row]) -> io::Result<()> {
    report.say(format_args!(
        "{:>11}{:>32}{:>32}",
        "", "one ready: ns a wait", "all ready: ns a wait"
    ))?;
    report.say(format_args!(
        "{:>11}{:>10}{:>11}{:>11}{:>10}{:>11}{:>11}",
        "descriptors", "select", "poll", "epoll", "select", "poll", "epoll"
    ))?;
    for (size, one, all) in rows {
        let cells = |costs: &Costs| {
            let select = costs.select.map_or("-".into(), |cost| format!("{cost:.0}"));
            format!("{select:>10}{:>11.0}{:>11.0}", costs.poll, costs.epoll)
        };
        report.say(format_args!("{size:>11}{}{}", cells(one), cells(all)))?;
    }
    report.say("")
}

fn measure(report: &mut Report<'_>) -> io::Result<()> {
    report.expects("select and poll ten times as dear, epoll only when all are ready")?;
    let rows = rows(&SIZES)?;
    table(report, &rows)?;
    if let Some(path) = report.option("svg") {
        fs::write(path, picture(&rows))?;
    }

    let poll = |costs: &Costs| Some(costs.poll);
    let epoll = |costs: &Costs| Some(costs.epoll);
    let grown = times(&rows, Ready::One, 100, 1_000, |costs| costs.select);
    judge(report, "C51", grown, "times as long for 10 times as many, select", |times| times > 3.0)?;
    let grown = times(&rows, Ready::One, 1_000, 10_000, poll);
    judge(report, "C52", grown, "times as long for 10 times as many, poll", |times| times > 3.0)?;
    let (limit, judged) = match too_many()? {
        Some((limit, said)) => {
            (limit, Judgement::of(said == Err(Errno::INVAL), || format!("{said:?}")))
        }
        None => (0, Judgement::NotJudged("the limit on descriptors is too high to try".into())),
    };
    report.claim("C52", limit as f64, "entries at most: one more is EINVAL", judged)?;
    let grown = times(&rows, Ready::One, 10, 10_000, epoll);
    judge(
        report,
        "C56",
        grown,
        "times as long for 1000 times as many, epoll, one ready",
        |times| times < 4.0,
    )?;
    let grown = times(&rows, Ready::All, 100, 10_000, epoll);
    judge(report, "C56", grown, "times as long for 100 times as many, epoll, all ready", |times| {
        times > 10.0
    })
}

/// How much dearer `many` descriptors are than `few`. `None`: one of the two was not measured.
fn times(
    rows: &[Row],
    ready: Ready,
    few: usize,
    many: usize,
    cost: impl Fn(&Costs) -> Option<f64>,
) -> Option<f64> {
    let cost_of = |size| {
        let (_, one, all) = rows.iter().find(|row| row.0 == size)?;
        cost(if ready == Ready::One { one } else { all })
    };
    Some(cost_of(many)? / cost_of(few)?)
}

fn judge(
    report: &mut Report<'_>,
    claim: &str,
    times: Option<f64>,
    unit: &str,
    is_so: fn(f64) -> bool,
) -> io::Result<()> {
    let judged = match times {
        Some(times) => Judgement::of(is_so(times), || format!("{times:.1} times")),
        None => Judgement::NotJudged("the limit on descriptors, or on their numbers".into()),
    };
    report.claim(claim, times.unwrap_or(0.0), unit, judged)
}

/// The table's left half as a picture.
fn picture(rows: &[Row]) -> String {
    let line = |name, dashes, cost: fn(&Costs) -> Option<f64>| Line {
        name,
        dashes,
        points: rows.iter().filter_map(|row| Some((row.0, cost(&row.1)?))).collect(),
    };
    plot::svg(&[
        line("select", "2 4", |costs| costs.select),
        line("poll", "9 5", |costs| Some(costs.poll)),
        line("epoll", "none", |costs| Some(costs.epoll)),
    ])
}

fn main() -> ExitCode {
    EXPERIMENT.main(measure)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const FEW: usize = 10;
    const MANY: usize = 300;

    /// Few and many, one test at a time: the numbers of the descriptors are to have a place in
    /// select's set.
    fn few_and_many(ready: Ready) -> Option<(Costs, Costs)> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if limit::raise() < MANY + OTHERS {
            Judgement::NotJudged("the limit on descriptors".into()).assert();
            return None;
        }
        let of = |count| costs(count, ready).expect("so many descriptors may be had");
        Some((of(FEW), of(MANY)))
    }

    #[test]
    fn select_and_poll_look_at_each_descriptor_and_epoll_at_the_ready_ones() {
        let Some((few, many)) = few_and_many(Ready::One) else { return };
        assert!(many.poll > 5.0 * few.poll, "{few:?} {many:?}");
        assert!(many.epoll < 4.0 * few.epoll, "{few:?} {many:?}");
        let select = few.select.zip(many.select);
        assert!(select.is_some_and(|(few, many)| many > 5.0 * few), "{select:?}");
    }

    #[test]
    fn all_ready_epoll_costs_as_much_for_each() {
        let Some((few, many)) = few_and_many(Ready::All) else { return };
        assert!(many.poll > 5.0 * few.poll, "{few:?} {many:?}");
        assert!(many.epoll > 5.0 * few.epoll, "{few:?} {many:?}");
    }

    #[test]
    fn poll_refuses_more_entries_than_there_may_be_descriptors() {
        match too_many().expect("a pipe is free") {
            Some((_, said)) => assert_eq!(said, Err(Errno::INVAL)),
            None => println!("not judged: the limit on descriptors is too high to try"),
        }
    }

    #[test]
    fn the_picture_has_a_line_for_each_way() {
        let costs = Costs { select: None, poll: 2_000.0, epoll: 200.0 };
        let some = Costs { select: Some(1_000.0), ..costs };
        let picture = picture(&[(10, some, some), (100, costs, costs)]);
        assert_eq!(picture.matches("<polyline").count(), 3);
        assert!(!picture.contains("NaN") && picture.ends_with("</svg>\n"), "{picture}");
    }
}

//! Several processes behind one listener: who answers, who replaces whom, and how they end.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{Client, End, PROGRAM, Program, signal_to, wait_until};
use lab::by_id::{is_gone, kill};
use rustix::process::Signal;

const WORKERS: usize = 3;
/// A worker that lived for less is replaced only after such a pause.
const LIFE_MIN: Duration = Duration::from_millis(500);
/// Within what time a worker is replaced.
const SOON: Duration = Duration::from_secs(1);
/// What ends at once ends long before the minute for which these tests ask a handler to sleep.
const LONG_BEFORE: Duration = Duration::from_secs(30);

fn start(arguments: &[&str]) -> Program {
    Program::start(&[&["--workers", &WORKERS.to_string()], arguments].concat())
}

/// A worker, and two connections to it.
struct Met {
    worker: u32,
    client: Client,
    observer: Option<Client>,
}

impl Met {
    /// Sends a request that takes a moment, and waits until it is begun.
    fn begin(&mut self) {
        self.client.ask("/perfect-ping?seconds=0.3");
        let observer = self.observer.as_mut().expect("all were met twice");
        wait_until("a request to be begun", || {
            let stats = observer.get("/stats").json();
            assert_eq!(stats["worker"], self.worker, "a connection stays where it is");
            stats["in_flight"] == 2 || self.client.has_news()
        });
    }
}

/// Opens connections until there are two to each worker. Those to whom there are enough are stalled
/// for a moment meanwhile, so that another one accepts.
fn meet_all(program: &Program) -> Vec<Met> {
    let mut met: Vec<Met> = Vec::new();
    wait_until("an answer of each worker", || {
        let strangers = met.len() < WORKERS;
        let is_stalled = |one: &&mut Met| strangers || one.observer.is_some();
        for one in met.iter_mut().filter(is_stalled) {
            one.client.ask("/terrible-ping?seconds=0.02");
        }
        let mut client = program.connect();
        let worker = client.get("/ping").worker();
        for one in met.iter_mut().filter(is_stalled) {
            assert_eq!(one.client.reply().worker(), one.worker);
        }
        match met.iter_mut().find(|one| one.worker == worker) {
            Some(one) => one.observer = Some(client),
            None => met.push(Met { worker, client, observer: None }),
        }
        met.len() == WORKERS && met.iter().all(|one| one.observer.is_some())
    });
    met
}

fn wait_until_gone(workers: &[u32]) {
    wait_until("the end of the workers", || workers.iter().all(|worker| is_gone(*worker)));
}

#[test]
fn each_worker_answers_and_is_a_process_of_its_own() {
    let program = start(&[]);
    let mut met = meet_all(&program);
    let mut answered: Vec<u32> = met.iter().map(|one| one.worker).collect();
    let mut workers = program.workers();
    answered.sort_unstable();
    workers.sort_unstable();
    assert_eq!(answered, workers, "and not the parent");
    for one in &mut met {
        assert_eq!(one.client.get("/stats").json()["worker"], one.worker);
    }
    assert_eq!(program.complaints(), "");
}

#[test]
fn a_worker_that_is_killed_takes_its_requests_along_and_is_replaced_within_a_second() {
    let program = start(&[]);
    let mut met = meet_all(&program);
    for one in &mut met {
        wait_until("a life that is long enough", || {
            let uptime = one.client.get("/stats").json()["uptime_seconds"].as_f64();
            uptime.is_some_and(|uptime| uptime > LIFE_MIN.as_secs_f64())
        });
        one.client.ask("/perfect-ping?seconds=0.3");
    }
    let mut killed = met.remove(0);
    let begin = Instant::now();
    kill(killed.worker).expect("it lives");
    assert!(!matches!(killed.client.try_reply(), Ok(Some(_))), "its request is lost");

    // The others are stalled again and again, so that the new one gets a connection.
    let mut stalled = Vec::new();
    wait_until("an answer of a new worker", || {
        let mut client = program.connect();
        let worker = client.get("/ping").worker();
        let is_new = met.iter().all(|one| one.worker != worker);
        client.ask("/terrible-ping?seconds=0.005");
        stalled.push(client);
        is_new
    });
    let took = begin.elapsed();
    for one in &mut met {
        let reply = one.client.reply();
        assert_eq!((reply.status, reply.worker()), (200, one.worker), "the others answer");
    }
    let expected = format!("worker {}: signal: 9 (SIGKILL); replaced\n", killed.worker);
    wait_until("the line about it", || program.complaints() == expected);
    assert_eq!(program.workers().len(), WORKERS);

    // A second is much, but not where the machine needs as long to start a program at all.
    let begin = Instant::now();
    assert_eq!(start(&[]).get("/ping").status, 200);
    let usual = begin.elapsed();
    if took >= SOON && usual >= SOON / 10 {
        println!("not judged: {took:?}, where a start takes {usual:?}");
    } else {
        assert!(took < SOON, "{took:?}, and a start takes {usual:?}");
    }
}

#[test]
fn a_worker_that_is_told_to_end_answers_first_and_is_replaced() {
    let program = start(&[]);
    let mut told = meet_all(&program).remove(0);
    told.begin();
    signal_to(told.worker, Signal::TERM);
    assert_eq!(told.client.reply().status, 200);
    assert_eq!(told.client.end(), End::Closed);
    drop(told.observer);
    wait_until_gone(&[told.worker]);
    wait_until("another one", || program.workers().len() == WORKERS);
    assert!(!program.workers().contains(&told.worker));
    wait_until("the line about it", || program.complaints().contains("exit status: 0; replaced"));
}

#[test]
fn workers_of_a_parent_that_is_killed_answer_what_they_have_begun_and_end() {
    let program = start(&[]);
    let mut met = meet_all(&program);
    let workers = program.workers();
    met.iter_mut().for_each(Met::begin);
    kill(program.id()).expect("it lives");
    for mut one in met {
        assert_eq!(one.client.reply().status, 200);
        assert_eq!(one.client.end(), End::Closed);
    }
    wait_until_gone(&workers);
    program.wait_for_refusal();
}

#[test]
fn a_signal_to_the_parent_ends_all_of_them_after_their_answers() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = start(&[]);
        let mut met = meet_all(&program);
        let workers = program.workers();
        met.iter_mut().for_each(Met::begin);
        program.signal(signal);
        program.wait_for_refusal();
        for one in &mut met {
            assert_eq!(one.client.reply().status, 200);
        }
        drop(met);
        program.assert_ends_well();
        assert!(workers.iter().all(|worker| is_gone(*worker)), "it has waited for them");
    }
}

#[test]
fn a_second_signal_to_the_parent_ends_all_of_them_at_once() {
    let mut program = start(&["--grace", "60"]);
    let mut met = meet_all(&program);
    let workers = program.workers();
    for one in &mut met {
        one.client.ask("/perfect-ping?seconds=60");
    }
    let start = Instant::now();
    program.signal(Signal::TERM);
    program.wait_for_refusal();
    program.signal(Signal::TERM);
    let (status, complaints) = program.wait();
    assert_eq!((status.code(), &*complaints), (Some(1), ""));
    wait_until_gone(&workers);
    assert!(start.elapsed() < LONG_BEFORE);
}

/// The kernel gives a connection to whoever accepts, and a stalled worker does not. Were they dealt
/// out in turn, as with a listener each, every third client would wait for the end of the stall.
#[test]
fn new_clients_do_not_meet_a_worker_that_is_stalled() {
    const CLIENTS: usize = 60;
    const ENOUGH: usize = 55;
    const A_MOMENT: Duration = Duration::from_millis(50);

    let program = start(&[]);
    let mut stalled = meet_all(&program).remove(0).client;
    let ask = || {
        let mut client = program.connect();
        client.ask("/ping");
        client
    };
    wait_until("a stall during which nearly all new clients are answered", || {
        stalled.ask("/terrible-ping?seconds=2");
        // The first one may be accepted by the same turn of the loop that begins the stall.
        let (first, begin) = (ask(), Instant::now());
        wait_until("the stall", || first.has_news() || begin.elapsed() > A_MOMENT);
        let clients: Vec<Client> = (0..CLIENTS).map(|_| ask()).collect();
        let answered = || clients.iter().filter(|client| client.has_news()).count();
        wait_until("answers", || answered() >= ENOUGH || stalled.has_news());
        let is_shown = !stalled.has_news();
        if !is_shown {
            stalled.reply();
        }
        is_shown
    });
}

/// What was built meanwhile is another file with the same name.
#[test]
fn a_worker_is_replaced_although_the_program_was_built_again_meanwhile() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let file = folder.path().join("program");
    let build = || {
        let _ = fs::remove_file(&file);
        fs::copy(PROGRAM, &file).expect("there is room for a copy");
    };
    build();
    let program = Program::start_file(&file, &["--workers", "3"]);
    let victim = meet_all(&program).remove(0).worker;
    build();
    kill(victim).expect("it lives");
    let replaced = || !program.workers().contains(&victim) && program.workers().len() == WORKERS;
    wait_until("another worker", replaced);
}

#[test]
fn two_dashes_at_the_end_of_the_options_are_no_trouble() {
    let program = start(&["--"]);
    assert_eq!(program.get("/ping").status, 200);
    assert_eq!(program.complaints(), "");
}

/// The folder of its files is gone, so a new worker ends as soon as it has started.
#[test]
fn a_worker_that_cannot_start_is_tried_again_and_again_and_not_without_a_pause() {
    const TRIES: usize = 3;

    let outside = tempfile::tempdir().expect("the temporary folder can be written");
    let folder = outside.path().join("files");
    fs::create_dir(&folder).expect("it is ours");
    let program = start(&["--static", folder.to_str().expect("it is UTF-8")]);
    let victim = meet_all(&program).remove(0).worker;
    fs::remove_dir(&folder).expect("it is ours");
    let start = Instant::now();
    kill(victim).expect("it lives");
    let tries = || program.complaints().matches("exit status: 2; replaced").count();
    wait_until("some tries", || tries() >= TRIES);
    let (tries, elapsed) = (tries(), start.elapsed());
    let pauses = u32::try_from(tries - 1).expect("they are few");
    assert!(elapsed >= LIFE_MIN * pauses, "{tries} tries in {elapsed:?}");
    assert_eq!(program.get("/ping").status, 200, "the others serve");

    fs::create_dir(&folder).expect("it is ours");
    let workers = meet_all(&program);
    assert!(workers.iter().all(|one| one.worker != victim));
}

//! The rule: the kind of a function says where it runs. And what becomes of a request that is given
//! up, in each of the places.
#![cfg(unix)]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;

use ch08_web_server::{Answer, App, Cores, Processes, Request, json};
use common::{PROGRAM, Server, limits, wait_until};
use lab::inside::Gate;

fn this_thread() -> String {
    format!("{:?}", thread::current().id())
}

async fn on_the_loop(_: Request) -> Answer {
    Ok(json(&this_thread()))
}

fn on_a_thread(_: Request) -> Answer {
    Ok(json(&this_thread()))
}

/// Adds `/gate/{n}`: a plain function, which waits at the gate where n is 40 or more.
fn gated() -> (Gate, impl FnOnce(App) -> App + Send + 'static) {
    let gate = Gate::default();
    let its_gate = gate.clone();
    let add = move |app: App| {
        app.get("/gate/{n}", move |request: Request| -> Answer {
            let n = request.param("n").parse().expect("these tests ask for numbers");
            Ok(json(&its_gate.compute(n)))
        })
    };
    (gate, add)
}

#[test]
fn an_async_fn_is_polled_on_the_loops_thread_and_a_plain_fn_runs_on_another() {
    let (sender, receiver) = mpsc::channel();
    let server = Server::start(limits(), 2, move |app| {
        sender.send(this_thread()).expect("the test listens");
        app.get("/async", on_the_loop)
            .get("/plain", on_a_thread)
            .get("/future", |_| async { Ok(json(&this_thread())) })
    });
    let the_loop = receiver.recv().expect("the app is made on the loop's thread");
    let thread_of = |path: &str| server.get(path).json().as_str().map(str::to_owned);
    assert_eq!(thread_of("/async").as_ref(), Some(&the_loop));
    assert_eq!(thread_of("/future").as_ref(), Some(&the_loop), "a closure, and it is the same");
    let other = thread_of("/plain").expect("it answers");
    assert_ne!(other, the_loop);
    assert_ne!(other, this_thread());
}

#[test]
fn as_many_plain_fns_run_at_once_as_there_are_tokens_and_the_rest_does_not_stop_the_loop() {
    let (gate, add) = gated();
    let server = Server::start(limits(), 2, add);
    let mut clients: Vec<_> = (40..45)
        .map(|n| {
            let mut client = server.connect();
            client.ask(&format!("/gate/{n}"));
            client
        })
        .collect();
    wait_until("two that run and three that wait", || {
        gate.started().len() == 2 && server.pool.waiting() == 3
    });
    assert_eq!(server.pool.taken(), 2);
    server.assert_lives();
    assert_eq!(gate.started().len(), 2, "the loop has turned, and the others still wait");
    gate.open(gate.started()[0]);
    wait_until("the next one", || gate.started().len() == 3);
    assert_eq!((server.pool.taken(), server.pool.waiting()), (2, 2));
    gate.open_all();
    for (client, n) in clients.iter_mut().zip(40..) {
        assert_eq!(client.reply().json(), n);
    }
    wait_until("both tokens", || server.pool.taken() == 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_plain_fn_that_waits_for_a_token_has_no_thread() {
    const TOKENS: u64 = 2;
    const REQUESTS: u64 = 12;

    let program = common::Program::start(&["--pool", &TOKENS.to_string()]);
    let stats = || program.get("/stats").json();
    let threads = || stats()["threads"].as_u64().expect("Linux tells it");
    let before = threads();
    let clients: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let mut client = program.connect();
            client.ask("/good-ping?seconds=60");
            client
        })
        .collect();
    wait_until("all to have come", || stats()["pool"]["waiting"] == REQUESTS - TOKENS);
    assert_eq!(stats()["pool"]["taken"], TOKENS);
    assert!(threads() <= before + TOKENS, "{} threads, before {before}", threads());
    drop(clients);
}

#[test]
fn a_request_that_is_given_up_while_it_waits_for_a_token_is_never_called() {
    let (gate, add) = gated();
    let server = Server::start(limits(), 1, add);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.ask("/gate/40");
    gate.wait_started(40);
    second.ask("/gate/41");
    wait_until("the second to wait", || server.pool.waiting() == 1);
    drop(second);
    wait_until("it to be given up", || server.pool.waiting() == 0);
    gate.open_all();
    assert_eq!(first.reply().json(), 40);
    assert_eq!(server.get("/gate/7").json(), 13);
    assert_eq!(gate.started(), [40, 7]);
}

#[test]
fn a_request_that_is_given_up_while_its_thread_runs_keeps_its_token_until_the_thread_is_done() {
    let (gate, add) = gated();
    let server = Server::start(limits(), 1, add);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.ask("/gate/40");
    gate.wait_started(40);
    drop(first);
    wait_until("it to be given up", || server.stats.in_progress() == 0);
    second.ask("/gate/41");
    wait_until("the second to wait", || server.pool.waiting() == 1);
    assert_eq!((server.pool.taken(), gate.started()), (1, vec![40]), "its thread has the token");
    gate.open(40);
    gate.wait_started(41);
    assert_eq!(gate.finished(), [40], "nobody was there for its answer, and it ran to its end");
    gate.open(41);
    assert_eq!(second.reply().json(), 41);
}

#[test]
fn a_question_that_is_given_up_before_a_core_is_free_is_not_computed() {
    let cores = Cores::new(1).expect("a thread can be had");
    let gate = Gate::default();
    let ask = |n| {
        let gate = gate.clone();
        Box::pin(cores.compute(move || gate.compute(n)))
    };
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = ask(40);
    assert!(first.as_mut().poll(&mut cx).is_pending());
    gate.wait_started(40);
    let mut second = ask(41);
    assert!(second.as_mut().poll(&mut cx).is_pending());
    drop(second);
    gate.open_all();
    let mut third = ask(7);
    wait_until("the third answer", || match third.as_mut().poll(&mut cx) {
        Poll::Ready(value) => value.is_ok_and(|value| value == 13),
        Poll::Pending => false,
    });
    assert_eq!(gate.started(), [40, 7]);
}

#[test]
fn a_question_that_is_given_up_while_a_core_computes_it_is_computed_to_its_end() {
    let cores = Cores::new(1).expect("a thread can be had");
    let gate = Gate::default();
    let its_gate = gate.clone();
    let mut question = Box::pin(cores.compute(move || its_gate.compute(40)));
    assert!(question.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    gate.wait_started(40);
    drop(question);
    gate.open_all();
    wait_until("its end", || gate.finished() == [40]);
}

#[test]
fn a_question_that_panics_on_a_core_is_an_error_and_the_core_goes_on() {
    let cores = Cores::new(1).expect("a thread can be had");
    let mut cx = Context::from_waker(Waker::noop());
    // Not `panic!`, which would write to the output of the tests.
    let mut panics = pin!(cores.compute(|| std::panic::resume_unwind(Box::new("on purpose"))));
    let panicked = |poll: Poll<thread::Result<()>>| matches!(poll, Poll::Ready(Err(_)));
    wait_until("the panic", || panicked(panics.as_mut().poll(&mut cx)));
    let mut next = pin!(cores.compute(|| 7));
    wait_until("an answer", || matches!(next.as_mut().poll(&mut cx), Poll::Ready(Ok(7))));
}

#[cfg(target_os = "linux")]
mod processes {
    use lab::by_id::{children_with, is_gone, kill};

    use super::*;
    use crate::common::{Program, signal_to};
    use rustix::process::Signal;

    /// A process of the program that computes, once there is one that is not `known`.
    fn another(program: &Program, known: &[u32]) -> u32 {
        let mut found = None;
        wait_until("a process that computes", || {
            let children = children_with(program.id(), "--fib-worker");
            found = children.into_iter().find(|pid| !known.contains(pid));
            found.is_some()
        });
        found.expect("that is what was waited for")
    }

    /// fib(93) takes centuries: whatever ends it, it is not its end.
    #[test]
    fn a_question_that_is_given_up_ends_with_its_process() {
        let program = Program::start(&[]);
        let mut client = program.connect();
        client.ask("/fib/93?where=process");
        let process = another(&program, &[]);
        drop(client);
        wait_until("the end of the process", || is_gone(process));
        let answer = program.get("/fib/10?where=process").json();
        assert_eq!(answer["value"], 55, "another one answers the next question");
    }

    /// Ctrl-C at a terminal is for the server, which then waits for the answer. It goes to each
    /// process, and not only to the one that is to hear it.
    #[test]
    fn a_process_that_computes_does_not_mind_a_ctrl_c_at_the_terminal() {
        let program = Program::start(&[]);
        assert_eq!(program.get("/fib/10?where=process").json()["value"], 55);
        let process = another(&program, &[]);
        signal_to(process, Signal::INT);
        assert_eq!(program.get("/fib/10?where=process").json()["value"], 55);
        assert_eq!(children_with(program.id(), "--fib-worker"), [process]);
    }

    #[test]
    fn what_is_asked_of_a_process_that_dies_is_asked_of_another() {
        let program = Program::start(&[]);
        let mut client = program.connect();
        client.ask("/fib/38?where=process");
        let first = another(&program, &[]);
        kill(first).expect("it computes, or is idle");
        assert_eq!(client.reply().json()["value"], 39_088_169);
        let ask_again = || assert_eq!(program.get("/fib/10?where=process").json()["value"], 55);
        ask_again();
        let second = another(&program, &[first]);
        ask_again();
        assert_eq!(children_with(program.id(), "--fib-worker"), [second], "it is used again");
    }

    #[test]
    fn a_question_over_which_three_processes_die_is_answered_with_500() {
        let program = Program::start(&[]);
        let mut client = program.connect();
        client.ask("/fib/93?where=process");
        let mut killed = Vec::new();
        for _ in 0..3 {
            let process = another(&program, &killed);
            kill(process).expect("it computes");
            killed.push(process);
        }
        let reply = client.reply();
        assert_eq!(reply.status, 500);
        assert_eq!(reply.error(), "no process answered: 3 worker processes died over it");
        assert_eq!(client.get("/fib/10?where=process").json()["value"], 55);
    }
}

#[test]
fn a_program_that_answers_nothing_is_asked_three_times_at_most() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("descriptors are free");
    let ask = |program: &str| {
        let processes = Processes::new(program, 1);
        runtime.block_on(processes.fib(10)).map_err(|error| error.to_string())
    };
    assert_eq!(ask("false"), Err("3 worker processes died over it".to_owned()));
    assert_eq!(ask("echo"), Err("3 worker processes died over it".to_owned()), "it is no number");
    assert!(ask("there-is-no-such-program").is_err());
    assert_eq!(ask(PROGRAM), Ok(55));
}

#[cfg(target_os = "linux")]
mod places {
    use std::fs;

    use super::*;
    use crate::common::Program;

    /// Whose processor time grows: clock ticks, of which there are a hundred a second.
    const BUSY_TICKS: u64 = 10;

    #[derive(Debug, PartialEq, Eq)]
    enum Place {
        Loop,
        Core,
        OtherThread,
        Process,
    }

    /// The name of a process or thread, and how much processor time it has used.
    fn name_and_ticks(stat: &str) -> (String, u64) {
        let text = fs::read_to_string(stat).unwrap_or_default(); // it may have ended
        let Some((before, after)) = text.rsplit_once(") ") else { return (String::new(), 0) };
        let name = before.split_once('(').map(|(_, name)| name.to_owned());
        let fields: Vec<&str> = after.split(' ').collect(); // from the third one on
        let ticks = [11, 12].map(|field: usize| fields[field].parse::<u64>().unwrap_or(0));
        (name.unwrap_or_default(), ticks.iter().sum())
    }

    /// Where the program computes now.
    fn busy(program: &Program) -> Option<Place> {
        let id = program.id();
        for child in lab::by_id::children_with(id, "--fib-worker") {
            if name_and_ticks(&format!("/proc/{child}/stat")).1 >= BUSY_TICKS {
                return Some(Place::Process);
            }
        }
        for task in fs::read_dir(format!("/proc/{id}/task")).expect("it runs").flatten() {
            let stat = task.path().join("stat");
            let (name, ticks) = name_and_ticks(stat.to_str().expect("it is ASCII"));
            if ticks >= BUSY_TICKS {
                let is_main = task.file_name().to_str() == Some(&*id.to_string());
                return Some(match &*name {
                    _ if is_main => Place::Loop,
                    core if core.starts_with("core-") => Place::Core,
                    _ => Place::OtherThread,
                });
            }
        }
        None
    }

    /// Which thread uses the processor, and of which process, is what the kernel says.
    #[test]
    fn fib_is_computed_where_the_request_says() {
        for (asked, expected) in [
            ("inline", Place::Loop),
            ("pool", Place::OtherThread),
            ("rayon", Place::Core),
            ("process", Place::Process),
        ] {
            let program = Program::start(&[]);
            let mut client = program.connect();
            client.ask(&format!("/fib/93?where={asked}"));
            let mut place = None;
            wait_until("a thread that computes", || {
                place = busy(&program);
                place.is_some()
            });
            assert_eq!(place, Some(expected), "{asked}");
        }
    }

    #[test]
    fn fib_is_right_in_each_place_and_says_where_it_was() {
        let server = Server::with_routes(limits(), None);
        for place in ["inline", "pool", "rayon", "process"] {
            let answer = server.get(&format!("/fib/20?where={place}")).json();
            assert_eq!((&answer["n"], &answer["value"]), (&20.into(), &6765.into()));
            assert_eq!(answer["where"], place);
            assert!(answer["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0));
        }
        assert_eq!(server.get("/fib/20").json()["where"], "rayon");
    }
}

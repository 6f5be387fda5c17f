//! The client against a server of the test's own, whose fib waits at a gate; and both processes.

use std::fs::File;
use std::io;
use std::time::Duration;

use ch08_web_server::{
    Answer, App, Background, BlockingPool, Cores, Limits, Refusal, Request, events, json,
};
use lab::inside::{Gate, Output, PERIOD, Running, SLOW};
use serde_json::json;

use crate::client::{self, PENDING_MAX, Target};

/// A server whose fib waits at `gate`, on the loop or on `workers` cores.
fn background(gate: Gate, workers: usize) -> Background {
    let server = Background::start(move |end| {
        let cores = Cores::new(workers).expect("threads can be started");
        let pool = BlockingPool::new(workers);
        let limits = Limits { grace: Duration::ZERO, ..Limits::default() };
        let app = App::new(limits, pool, std::sync::Arc::default());
        app.get("/events", move |request| events(request, end.clone()))
            .get("/fib/{n}", move |request| gated_fib(request, gate.clone(), cores.clone()))
    });
    server.expect("a port and a thread are free")
}

/// The number that is refused by the server of these tests.
const REFUSED: u32 = 33;

async fn gated_fib(request: Request, gate: Gate, cores: Cores) -> Answer {
    let n: u32 = request.param("n").parse().expect("the client asks for numbers");
    if n == REFUSED {
        return Err(Refusal::bad_request("not today"));
    }
    let place = request.query("where").expect("the client says where");
    let value = match &*place {
        "inline" => gate.compute(n),
        _ => cores.compute(move || gate.compute(n)).await.expect("the gate does not panic"),
    };
    Ok(json(&json!({ "n": n, "value": value, "seconds": 0.0, "where": place })))
}

fn run_at(
    place: &'static str,
    workers: usize,
    (input, output, period, gate): (File, Output, Duration, Gate),
) -> io::Result<()> {
    let server = background(gate, workers);
    let in_turn = place == "inline" || workers == 1;
    client::run(input, output, period, Target { address: server.address(), place, in_turn })
}

mod inline {
    use std::thread;
    use std::time::Instant;

    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        run_at("inline", 1, (input, output, period, gate))
    }

    lab::behaviours!(run:
        b1_hello_at_once,
        b2_right_answers,
        b3_hello_while_the_input_is_silent,
        b3b_hello_while_half_a_line_is_pending,
        b5_pasted_lines_in_order,
        b7_bad_input_is_reported,
        b8_the_end_of_the_input,
        b9_exit,
        b10_a_regular_file,
        closed_output_ends_the_program,
    );

    /// The ✗ of B4: nothing keeps the client from printing. It is the server that says nothing.
    #[test]
    fn b4_missed_the_heartbeat_stops_while_the_loop_computes() {
        const POINTS: u32 = 10;
        let mut running = Running::start(run);
        running.write("40\n");
        running.gate.wait_started(SLOW);
        let held = Instant::now();
        while held.elapsed() < PERIOD * POINTS {
            thread::yield_now(); // the passing of these points is what is waited for
        }
        let opened = Instant::now();
        running.gate.open_all();
        let mut hellos = 0;
        let mut line = running.line();
        while line.is_hello() {
            hellos += usize::from((held..opened).contains(&line.at));
            line = running.line();
        }
        assert!(hellos <= 2, "{hellos} hellos; one may have been on its way, and one in our hands");
        assert!(line.text.starts_with("fib(40) = 40 "), "{}", line.text);
        running.close();
        running.expect_end();
    }

    /// The ✗ of B15: the second question is on its connection, and nobody reads it.
    #[test]
    fn b15_missed_a_quick_question_waits() {
        let mut running = Running::start(run);
        running.write("40\n10\n");
        running.gate.wait_started(SLOW);
        assert_eq!(running.gate.started(), [SLOW]);
        running.gate.open_all();
        running.expect_answer(SLOW, u64::from(SLOW));
        running.expect_answer(10, 55);
        running.close();
        running.expect_end();
    }

    /// The ✗ of B16: the client has done with it, and the server does not hear that it is to end.
    #[test]
    fn b16_missed_the_server_ends_when_its_computation_does() {
        let (input, mut typed) = io::pipe().expect("two descriptors are free");
        let gate = Gate::default();
        let server = background(gate.clone(), 1);
        let target = Target { address: server.address(), place: "inline", in_turn: true };
        io::Write::write_all(&mut typed, b"40\nexit\n").expect("a pipe has room for it");
        let client = thread::spawn(move || client::run(input, io::sink(), PERIOD, target));
        gate.wait_started(SLOW);
        let said = client.join().expect("the client does not panic");
        said.expect("`exit` is no failure");
        assert!(gate.finished().is_empty(), "the answer is abandoned, and still computed");
        server.end();
        let ending = thread::spawn(move || server.join().map(|_| Instant::now()));
        let opened = Instant::now();
        gate.open_all();
        let ended = ending.join().expect("the server does not panic").expect("it ends in order");
        assert!(ended >= opened, "it ended while it computed");
    }
}

mod rayon {
    use super::*;

    fn run(input: File, output: Output, period: Duration, gate: Gate) -> io::Result<()> {
        run_at("rayon", 2, (input, output, period, gate))
    }

    lab::behaviours!(run:
        b1_hello_at_once,
        b2_right_answers,
        b3_hello_while_the_input_is_silent,
        b3b_hello_while_half_a_line_is_pending,
        b4_hello_during_a_long_fib,
        b5_pasted_lines_in_any_order,
        b7_bad_input_is_reported,
        b8_the_end_of_the_input,
        b9_exit,
        b10_a_regular_file,
        b15_with_two_workers,
        b16_exit_during_a_slow_fib,
        closed_output_ends_the_program,
        a_fast_writer_has_to_wait,
    );

    #[test]
    fn at_the_limit_no_further_question_is_asked_and_afterwards_all_are_answered() {
        let mut running = Running::start(run);
        let slow = format!("{SLOW}\n");
        running.write(&format!("{}x\n{slow}y\n", slow.repeat(PENDING_MAX)));
        while running.line().is_hello() {} // the error of x: the limit is reached, not passed
        for _ in 0..3 {
            assert!(running.line().is_hello(), "y was read beyond the limit");
        }
        running.gate.open_all();
        for _ in 0..PENDING_MAX + 2 {
            running.reply(); // each question, and the error of y
        }
        running.close();
        running.expect_end();
    }

    #[test]
    fn what_the_server_refuses_is_an_error_line_and_the_program_goes_on() {
        let mut running = Running::start(run);
        running.write(&format!("{REFUSED}\n"));
        assert_eq!(running.reply().text, "error: not today");
        running.write("10\n");
        running.expect_answer(10, 55);
        running.close();
        running.expect_end();
    }

    #[test]
    fn one_worker_answers_in_input_order() {
        const ROUNDS: usize = 30;
        let mut running = Running::start(|input, output, period, gate| {
            run_at("rayon", 1, (input, output, period, gate))
        });
        let numbers: String = (0..20).map(|n| format!("{n}\n")).collect();
        running.write(&numbers.repeat(ROUNDS));
        for _ in 0..ROUNDS {
            for n in 0..20 {
                running.expect_answer(n, fib_timing::fib(n));
            }
        }
        running.close();
        running.expect_end();
    }
}

/// Servers that are written here, byte by byte.
mod heartbeat {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Instant;

    use lab::inside::PATIENCE;

    use super::*;

    const BEAT: &str = "data: {}\n\n";

    /// The client's output, which the server of the test looks at.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<String>>);

    impl Seen {
        fn hellos(&self) -> usize {
            self.0.lock().expect("nobody panics with it").lines().count()
        }

        fn wait_for(&self, hellos: usize) {
            let deadline = Instant::now() + PATIENCE;
            while self.hellos() < hellos {
                assert!(Instant::now() < deadline, "{} hellos", self.hellos());
                thread::yield_now();
            }
        }
    }

    impl Write for Seen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = std::str::from_utf8(bytes).expect("the output is UTF-8");
            assert!(text.ends_with(" - Hello world!\n"), "{text:?}");
            self.0.lock().expect("nobody panics with it").push_str(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs the client against a server whose heartbeat is what `beats` writes. Then it ends.
    fn against(beats: impl FnOnce(TcpStream, Seen) + Send + 'static) -> (io::Result<()>, usize) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let (input, _silent) = io::pipe().expect("two descriptors are free");
        let seen = Seen::default();
        let its_seen = seen.clone();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("the client connects");
            let mut request = [0; 1024];
            let length = client.read(&mut request).expect("the client asks");
            assert!(request[..length].starts_with(b"GET /events?seconds=0.002 HTTP/1.0\r\n"));
            client.write_all(b"HTTP/1.0 200 OK\r\n\r\n").expect("the client is there");
            beats(client, its_seen);
        });
        let target = Target { address, place: "rayon", in_turn: false };
        let said = client::run(input, seen.clone(), PERIOD, target);
        server.join().expect("the server saw what it expected");
        (said, seen.hellos())
    }

    /// B13, where the client is what was stalled.
    #[test]
    fn each_beat_is_a_hello_and_those_that_come_at_once_are_one() {
        let (said, hellos) = against(|mut client, seen| {
            for (beats, expected) in [(1, 1), (1, 2), (5, 3), (1, 4)] {
                let text = BEAT.repeat(beats);
                client.write_all(text.as_bytes()).expect("the client is there");
                seen.wait_for(expected);
            }
        });
        assert_eq!(hellos, 4);
        let error = said.expect_err("the server has ended, and nobody told it to");
        assert_eq!(error.to_string(), "the server: its heartbeat has ended");
    }

    /// The kind of that error would be the one of a closed output, which is no failure.
    #[test]
    fn a_server_that_dies_is_a_failure_of_another_kind_than_a_closed_output() {
        let (said, hellos) = against(|_, _| {});
        assert_eq!(hellos, 0);
        assert_eq!(said.expect_err("there was no beat").kind(), io::ErrorKind::Other);
    }
}

/// Both processes: each of them is this test program once more.
#[cfg(unix)]
mod processes {
    use std::env;
    use std::path::Path;
    use std::process::{Command, exit};
    use std::time::Instant;

    use command_line::{Extra, Options};
    use lab::driven::{Driven, Input, Launch, Output, Stream};
    use lab::inside::PATIENCE;

    use super::*;
    use crate::server::serve_until_told;

    /// Says which of the two processes this is: the place where the client has things computed, or
    /// `SERVE`.
    const ROLE: &str = "HELLO_HTTP_ROLE";
    const SERVE: &str = "serve";

    /// The arguments that make a test program do nothing but this.
    const ARGUMENTS: [&str; 4] =
        ["--exact", "tests::processes::in_a_process_of_its_own", "--nocapture", "--test-threads=2"];

    /// Nothing, where no other test has started it.
    #[test]
    fn in_a_process_of_its_own() {
        let Ok(role) = env::var(ROLE) else { return };
        let ended = match &*role {
            SERVE => serve_until_told(2),
            place => {
                let arguments = ["--every", "0.01", "--where", place];
                let options = Options::parse(&[Extra::Where], arguments);
                let options = options.expect("they are right").expect("none is --help");
                let mut server = Command::new(env::current_exe().expect("it runs"));
                server.args(ARGUMENTS).env(ROLE, SERVE);
                crate::program(options, server)
            }
        };
        exit(ended.map_or(1, |()| 0))
    }

    /// A client with its server. It has said hello.
    fn start(place: &str) -> Driven {
        let test = env::current_exe().expect("it runs").to_string_lossy().into_owned();
        let mut args = vec![format!("{ROLE}={place}"), test];
        args.extend(ARGUMENTS.map(str::to_owned));
        let (exe, input, output) = (Path::new("env"), Input::Pipe, Output::Read);
        let launch = Launch { exe, args: &args, input, output };
        let mut driven = Driven::start(&launch).expect("a process can be started");
        expect_line(&mut driven, |line| line.ends_with(" - Hello world!"));
        driven
    }

    fn expect_line(driven: &mut Driven, is_it: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let found = driven.wait(deadline, |driven| {
            driven.lines_on(Stream::Out).any(|line| is_it(&line.text)).then_some(())
        });
        found.unwrap_or_else(|| panic!("{:?}", driven.lines()));
    }

    /// Status 0 means that the server has ended in order, as SIGTERM asks for. Both streams have
    /// ended as well, and the server holds one of them.
    fn expect_both_to_end(mut driven: Driven) {
        let status = driven.end_by(Instant::now() + PATIENCE).expect("both processes end");
        assert_eq!(status.code(), Some(0), "{:?}", driven.lines());
        assert_eq!(driven.finish(), [] as [&str; 0]);
    }

    #[test]
    fn exit_ends_the_server() {
        let mut driven = start("rayon");
        driven.send(b"10\n").expect("it reads");
        expect_line(&mut driven, |line| line.starts_with("fib(10) = 55 "));
        driven.send(b"exit\n").expect("it reads");
        expect_both_to_end(driven); // with its input still open
    }

    #[test]
    fn the_end_of_the_input_ends_the_server() {
        let mut driven = start("inline");
        driven.send(b"10\n20").expect("it reads");
        driven.close_input();
        expect_line(&mut driven, |line| line.starts_with("fib(20) = 6765 "));
        expect_both_to_end(driven);
    }

    #[test]
    fn a_client_that_is_killed_takes_its_server_with_it() {
        assert_eq!(start("rayon").finish(), [] as [&str; 0]);
    }

    /// The loop computes for hours. A thread that waits for nothing but the client sees its end.
    #[cfg(target_os = "linux")]
    #[test]
    fn also_while_the_servers_loop_computes() {
        /// So much CPU time no start-up takes.
        const COMPUTES: Duration = Duration::from_millis(300);

        let mut driven = start("inline");
        driven.send(b"70\n").expect("it reads");
        let deadline = Instant::now() + PATIENCE;
        while driven.family().cpu_time().expect("it runs") < COMPUTES {
            assert!(Instant::now() < deadline, "it does not compute");
            std::thread::yield_now();
        }
        assert_eq!(driven.finish(), [] as [&str; 0]);
    }
}

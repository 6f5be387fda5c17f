//! `cargo run -p ch03-parallel`: compute the answers beside the reader, on threads or in processes.

use std::io::{self, BufReader};
use std::process::{Command, ExitCode};

use ch03_parallel::{Processes, run, serve};
use command_line::{Extra, Options};
use fib_timing::fib;

// ANCHOR: main
fn main() -> ExitCode {
    let extras = [Extra::Pool, Extra::Workers, Extra::Worker];
    command_line::main("ch03-parallel", &extras, |options| {
        if options.worker {
            serve(BufReader::new(io::stdin()), io::stdout(), fib)
        } else if options.processes {
            with_processes(options)
        } else {
            let input = BufReader::new(io::stdin());
            run(input, io::stdout(), options.every, |n| Ok(fib(n)), options.workers)
        }
    })
}
// ANCHOR_END: main

// ANCHOR: with_processes
/// Each thread of the pool asks a worker process, which is this same program once more.
fn with_processes(options: Options) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let processes = Processes::new(move || {
        let mut command = Command::new(&program);
        command.arg("--worker");
        command
    });
    let input = BufReader::new(io::stdin());
    run(input, io::stdout(), options.every, move |n| processes.ask(n), options.workers)
}
// ANCHOR_END: with_processes

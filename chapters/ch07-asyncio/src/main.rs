//! `cargo run -p ch07-asyncio`: a runtime of your own.

use std::io;
use std::process::ExitCode;

use ch07_asyncio::{run, run_offloaded};
use command_line::Extra;
use fib_timing::fib;

fn main() -> ExitCode {
    command_line::main("ch07-asyncio", &[Extra::Offload, Extra::Workers], |options| {
        let (input, output, every) = (io::stdin(), io::stdout(), options.every);
        if options.offload {
            run_offloaded(input, output, every, fib, options.workers)
        } else {
            run(input, output, every, fib)
        }
    })
}

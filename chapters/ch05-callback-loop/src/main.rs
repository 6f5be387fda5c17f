//! `cargo run -p ch05-callback-loop`: give the loop a name.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    use std::io;

    use ch05_callback_loop::{run, run_offloaded};
    use command_line::Extra;
    use fib_timing::fib;

    command_line::main("ch05-callback-loop", &[Extra::Offload, Extra::Workers], |options| {
        let (input, output, every) = (io::stdin(), io::stdout(), options.every);
        if options.offload {
            run_offloaded(input, output, every, fib, options.workers)
        } else {
            run(input, output, every, fib)
        }
    })
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    command_line::needs_unix("ch05-callback-loop")
}

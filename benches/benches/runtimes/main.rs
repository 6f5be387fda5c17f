//! Our runtime of chapter 7 beside step 1, tokio, smol and async-std: what they cost.
//!
//! ```text
//! cargo bench -q -p benches --bench runtimes              everything, and a table (some minutes)
//! cargo bench -q -p benches --bench runtimes -- --quick   the same with fewer tasks and rounds
//! cargo bench -p benches --bench runtimes -- scheduling   criterion alone; also scheduling/yield
//! ```
//!
//! `cargo test -p benches` runs everything once, with a few tasks.
//!
//! Two kinds of cost are measured in two ways. Tasks that only use the CPU are measured by
//! criterion in wall-clock time. Servers and sleeping tasks each run in a process of their own, and
//! the CPU time or the memory of that process counts: so the client's work is not in it, nor the
//! memory that another runtime has left. Servers are measured in rounds, in which all have their
//! turn, and each is compared with the first one of its own round.

#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod http;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod runtimes;
#[cfg(target_os = "linux")]
mod scheduling;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod sizes;
#[cfg(target_os = "linux")]
mod sleepers;
#[cfg(target_os = "linux")]
mod table;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not judged: this needs epoll and /proc, and they are Linux's");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().position(|arg| arg == child::CHILD) {
        Some(place) => child::serve(&args[place + 1..]),
        None if args.iter().any(|arg| arg.starts_with(scheduling::NAME)) => {
            scheduling::measure();
            Ok(())
        }
        None => report::everything(),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            command_line::complain(&format!("runtimes: {error}\n"));
            std::process::ExitCode::FAILURE
        }
    }
}

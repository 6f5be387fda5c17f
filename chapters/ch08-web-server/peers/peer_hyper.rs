//! hyper, and nothing around it: what the servers of this chapter are compared with.
//!
//! Each request gets the same answer, whatever it asks for. There is no routing, no limit and no
//! timer: a client that is silent for ever keeps its connection for ever. Predict how much of a
//! server's CPU time is left when all this is gone.
//!
//! `cargo run -p ch08-web-server --example peer_hyper -- --port 8000`

#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::OsString;
use std::future::ready;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

/// How long to wait after an `accept` that failed: it may have failed for want of a descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

// ANCHOR: server
/// Serves until the process is ended.
async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream) {
    // Without it an answer may wait for the acknowledgement of the last one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|_| ready(Ok::<_, Infallible>(pong())));
    // How a connection ends is the client's affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn pong() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"pong\":true}")));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
// ANCHOR_END: server

fn port(arguments: impl IntoIterator<Item = OsString>) -> Result<u16, lexopt::Error> {
    use lexopt::prelude::{Long, ValueExt};

    let mut port = 8000;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => port = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(port)
}

fn run(port: u16) -> io::Result<()> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let mut out = io::stdout();
        writeln!(out, "http://{}/", listener.local_addr()?)?;
        out.flush()?;
        serve(listener).await;
        Ok(())
    })
}

fn main() -> ExitCode {
    let fail = |error: &dyn std::fmt::Display, status: u8| {
        command_line::complain(&format!("peer_hyper: {error}\n"));
        ExitCode::from(status)
    };
    match port(std::env::args_os().skip(1)) {
        Ok(port) => match run(port) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Err(error) => fail(&error, 2),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use lab::inside::PATIENCE;

    use super::*;

    /// Two requests in one write, and the second ends the connection.
    const TWO: &str = "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n\
                       GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    async fn ask() -> io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        tokio::spawn(serve(listener)); // until the runtime is dropped
        client.write_all(TWO.as_bytes()).await?;
        let mut answers = String::new();
        client.read_to_string(&mut answers).await?;
        Ok(answers)
    }

    #[test]
    fn each_request_of_a_connection_gets_the_pong() {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("descriptors are free");
        let answers = runtime.block_on(async { timeout(PATIENCE, ask()).await });
        let answers = answers.expect("it answers in time").expect("it answers, and closes");
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
        assert_eq!(answers.matches("content-type: application/json\r\n").count(), 2, "{answers}");
        assert_eq!(answers.matches("{\"pong\":true}").count(), 2, "{answers}");
    }

    #[test]
    fn a_port_is_a_number_of_16_bits() {
        let port = |arguments: &[&str]| port(arguments.iter().map(OsString::from)).ok();
        assert_eq!(port(&[]), Some(8000));
        assert_eq!(port(&["--port", "0"]), Some(0));
        for wrong in [&["--port", "65536"][..], &["--port"], &["0"]] {
            assert_eq!(port(wrong), None, "{wrong:?}");
        }
    }
}

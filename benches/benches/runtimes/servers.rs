//! The servers, by the name of their runtime. Each one tells its address first.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

use crate::runtimes::{async_std, ours, smol, tokio};
use crate::{bare, http};

/// The kinds of servers, as the children that run them are called.
pub(crate) const ECHO: &str = "echo";
pub(crate) const HTTP: &str = "http";

/// Who serves. The first is what the others are compared with.
pub(crate) const ECHO_SERVERS: [&str; 6] =
    [BARE, "ours", "tokio, 1 thread", "tokio", "smol", "async-std"];
pub(crate) const HTTP_SERVERS: [&str; 2] = ["tokio, 1 thread", "ours"];

/// No runtime: a loop around epoll.
pub(crate) const BARE: &str = "a bare epoll loop";

/// How much a server reads at once, in bytes: more than a request has.
pub(crate) const BUFFER: usize = 1024;

pub(crate) fn echo(name: &str, tell: fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
    match name {
        BARE => bare::echo(tell),
        "ours" => ours::echoing::echo(&ours::executor(), tell),
        "tokio, 1 thread" => tokio::echoing::echo(&tokio::one_thread(), tell),
        "tokio" => tokio::echoing::echo(&tokio::many_threads(), tell),
        "smol" => smol::echoing::echo(&smol::Executor, tell),
        "async-std" => async_std::echoing::echo(&async_std::Executor, tell),
        _ => Err(unknown(name)),
    }
}

pub(crate) fn http(name: &str, tell: fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
    match name {
        "ours" => ours::executor().block_on(http::on_ours(tell)),
        "tokio, 1 thread" => tokio::one_thread().block_on(http::on_tokio(tell)),
        _ => Err(unknown(name)),
    }
}

pub(crate) fn unknown(name: impl Display) -> io::Error {
    io::Error::other(format!("nothing is measured on {name:?}", name = name.to_string()))
}

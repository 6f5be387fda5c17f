//! As much of HTTP/1.1 as a folder of files needs: GET and HEAD, one request a connection.

use super::Site;
use crate::check::percent_decoded;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The longest request head read.
const HEAD_LIMIT: u64 = 16 * 1024;

/// How long a silent connection is kept.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a browser asks which book is served.
const VERSION: &str = "/.version";

/// An answer.
struct Response {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
    /// Another header line, or nothing.
    header: String,
}

impl Response {
    fn new(status: &'static str, kind: &'static str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, kind, body: body.into(), header: String::new() }
    }
}

/// Reads the request on `stream` and answers it.
pub(super) fn answer(mut stream: TcpStream, site: &Site) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?.take(HEAD_LIMIT));
    let mut request = String::new();
    if reader.read_line(&mut request)? == 0 {
        return Ok(());
    }
    read_headers(&mut reader)?;
    let mut words = request.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let response = match method {
        "GET" | "HEAD" => respond(target, site),
        _ => Response {
            header: "Allow: GET, HEAD\r\n".to_owned(),
            ..Response::new("405 Method Not Allowed", TEXT, "405\n")
        },
    };
    let Response { status, kind, body, header } = response;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\n{header}Connection: close\r\n\r\n"
    )?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// Reads up to the empty line, so that closing does not reset a connection whose request was not
/// read.
fn read_headers(reader: &mut impl BufRead) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(());
        }
    }
}

/// The answer to a request for `target`.
fn respond(target: &str, site: &Site) -> Response {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if path == VERSION {
        return Response::new("200 OK", TEXT, site.version.load(Ordering::Relaxed).to_string());
    }
    let built = site.built.read().unwrap_or_else(PoisonError::into_inner);
    let Some(file) = file_for(&built, path) else { return not_found(&built) };
    if file.is_dir() {
        let header = format!("Location: {path}/\r\n");
        return Response { header, ..Response::new("301 Moved Permanently", TEXT, "301\n") };
    }
    match fs::read(&file) {
        Ok(body) => Response::new("200 OK", kind_of(&file), with_reload(&file, body)),
        Err(_) => not_found(&built),
    }
}

fn not_found(built: &Path) -> Response {
    match fs::read(built.join("404.html")) {
        Ok(body) => Response::new("404 Not Found", HTML, body),
        Err(_) => Response::new(
            "404 Not Found",
            TEXT,
            "404: there is no such page, or no book was built yet\n",
        ),
    }
}

/// The file for a request's path, or `None` if the path is not one of a file in `built`.
fn file_for(built: &Path, path: &str) -> Option<PathBuf> {
    let path = percent_decoded(path.strip_prefix('/')?);
    let mut file = built.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        // Dots lead out of the folder or to hidden files, backslashes and colons elsewhere on some
        // systems.
        if part.starts_with('.') || part.contains(['\\', ':', '\0']) {
            return None;
        }
        file.push(part);
    }
    if path.is_empty() || path.ends_with('/') {
        file.push("index.html");
    }
    // A link in the folder could still lead out of it.
    let (real, root) = (fs::canonicalize(&file).ok()?, fs::canonicalize(built).ok()?);
    real.starts_with(root).then_some(file)
}

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The content type by the file's ending.
fn kind_of(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => HTML,
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" | "md" | "toml" => TEXT,
        _ => "application/octet-stream",
    }
}

/// Asks for the version once a second while the page can be seen, and loads the page again when it
/// changed.
const RELOAD: &str = "<script>(()=>{let shown;setInterval(async()=>{if(document.hidden)return;try{\
const now=await(await fetch('/.version')).text();if(shown!==undefined&&now!==shown)location.reload();shown=now}catch{}},1000)})()\
</script></body>";

/// A page with the script that loads it again.
fn with_reload(file: &Path, body: Vec<u8>) -> Vec<u8> {
    if file.extension().is_none_or(|extension| extension != "html") {
        return body;
    }
    match String::from_utf8(body) {
        Ok(page) => match page.rfind("</body>") {
            Some(at) => {
                format!("{}{RELOAD}{}", &page[..at], &page[at + "</body>".len()..]).into_bytes()
            }
            None => page.into_bytes(),
        },
        Err(error) => error.into_bytes(),
    }
}

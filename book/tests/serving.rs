//! The server, over real connections.

mod common;

use book::serve::{Server, Site};
use common::Fixture;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// A served fixture.
struct Served {
    fixture: Fixture,
    site: Arc<Site>,
    server: Server,
}

impl Served {
    fn new() -> Served {
        let fixture = Fixture::new("first text");
        let site = Arc::new(Site::new(fixture.book(), fixture.built()));
        site.rebuild().expect("the book is good");
        let server = Server::start(Arc::clone(&site), 0).expect("a free port");
        Served { fixture, site, server }
    }

    /// The whole answer to a request; the server closes the connection behind it.
    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address()).expect("it listens");
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn status(&self, path: &str) -> String {
        self.ask("GET", path).split(' ').nth(1).expect("a status").to_owned()
    }
}

#[test]
fn pages_have_their_types_and_the_root_is_the_first() {
    let served = Served::new();
    assert_ne!(served.server.address().port(), 0);
    assert!(served.server.address().ip().is_loopback());
    for path in ["/", "/page.html", "/index.html?x=1"] {
        let answer = served.ask("GET", path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("text/html; charset=utf-8") && answer.contains("first text"),
            "{answer}"
        );
    }
    assert!(served.ask("GET", "/favicon.png").contains("Content-Type: image/png\r\n"));
    assert!(served.ask("GET", "/part").contains("Location: /part/\r\n"));
}

#[test]
fn a_head_has_the_length_and_no_body() {
    let served = Served::new();
    let (get, head) = (served.ask("GET", "/page.html"), served.ask("HEAD", "/page.html"));
    let (head_of_get, body) = get.split_once("\r\n\r\n").expect("a body");
    assert_eq!(head, format!("{head_of_get}\r\n\r\n"));
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_get_is_405() {
    let served = Served::new();
    let answer = served.ask("GET", "/nothing.html");
    assert!(
        answer.starts_with("HTTP/1.1 404 Not Found\r\n") && answer.contains("Document not found"),
        "{answer}"
    );
    let answer = served.ask("POST", "/page.html");
    assert!(
        answer.starts_with("HTTP/1.1 405") && answer.contains("Allow: GET, HEAD\r\n"),
        "{answer}"
    );
}

#[test]
fn no_path_leads_out_of_the_book() {
    let served = Served::new();
    // They exist: only the way to them is closed.
    assert!(served.fixture.book().join("book.toml").is_file());
    for path in [
        "/../book.toml",
        "/%2e%2e/book.toml",
        "/..%2fbook.toml",
        "/%2e%2e%2fbook.toml",
        "/css/../../book.toml",
        "/..\\book.toml",
        "//etc/passwd",
        "/.nojekyll",
        "/%00",
        "book.toml",
        "",
    ] {
        assert_eq!(served.status(path), "404", "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_the_book_does_not_lead_out_of_it() {
    let served = Served::new();
    let link = served.fixture.built().join("link.toml");
    std::os::unix::fs::symlink(served.fixture.book().join("book.toml"), link).expect("a link");
    assert_eq!(served.status("/link.toml"), "404");
}

#[test]
fn a_broken_page_keeps_the_last_good_book() {
    let served = Served::new();
    let version = served.ask("GET", "/.version");
    served.fixture.page("second text\n\n{{#nothing}}");
    let failure = served.site.rebuild().expect_err("the page is broken");
    assert!(failure.to_string().starts_with("page.md:5: "), "{failure}");
    assert!(served.ask("GET", "/page.html").contains("first text"));
    assert_eq!(served.ask("GET", "/.version"), version);
    served.fixture.page("third text");
    served.site.rebuild().expect("the page is good again");
    assert!(served.ask("GET", "/page.html").contains("third text"));
    assert_ne!(served.ask("GET", "/.version"), version);
}

#[test]
fn before_the_first_good_book_every_page_is_404() {
    let fixture = Fixture::new("{{#nothing}}");
    let site = Arc::new(Site::new(fixture.book(), fixture.built()));
    site.rebuild().expect_err("the page is broken");
    let server = Server::start(Arc::clone(&site), 0).expect("a free port");
    let served = Served { fixture, site, server };
    assert_eq!(served.status("/"), "404");
}

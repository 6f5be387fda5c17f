//! What a client should not send, and what it gets for it. Whatever it is, the server lives.
#![cfg(unix)]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use ch08_web_server::limits::HEAD_MAX;
use ch08_web_server::{Limits, SECONDS_MAX};
use common::{Client, End, Server, limits, post, request, wait_until};

/// Long enough for a client that is in time, also on a machine that is busy.
const IN_TIME: Duration = Duration::from_secs(1);

fn server() -> Server {
    Server::with_routes(limits(), None)
}

#[test]
fn what_is_no_http_is_answered_with_400_and_closed() {
    let server = server();
    for bytes in [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /ping\r\n\r\n",
        "GET /ping HTTP/1.1 x\r\n\r\n",
        "GET /ping HTTP/4.2\r\n\r\n",
        "GET /p ing HTTP/1.1\r\n\r\n",
        "GET /ping\0 HTTP/1.1\r\n\r\n",
        "G\u{e4}T /ping HTTP/1.1\r\n\r\n",
        "GET /ping HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /ping HTTP/1.1\r\nSpace : before\r\n\r\n",
        "GET /ping HTTP/1.1\r\n: no name\r\n\r\n",
        "GET /ping HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET /ping HTTP/1.1\r\nA: nul\0\r\n\r\n",
        "\u{16}\u{3}\u{1} the first bytes of TLS\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(bytes);
        let reply = client.try_reply();
        let status = reply.as_ref().map(|reply| reply.as_ref().map(|reply| reply.status));
        assert!(matches!(status, Ok(Some(400))), "{bytes:?}: {reply:?}");
        assert_eq!(client.end(), End::Closed, "{bytes:?}");
    }
    server.assert_lives();
    server.wait_for_no_connections();
}

/// The whole of it is sent before anything is read, as many clients do. A socket that is closed
/// with unread bytes sends a reset, and these clients would never see the answer.
#[test]
fn an_oversized_head_is_answered_with_431_and_closed() {
    let server = server();
    let long = "x".repeat(HEAD_MAX);
    let many = "a: b\r\n".repeat(1000);
    for head in [
        format!("GET /ping HTTP/1.1\r\nlong: {long}\r\n\r\n"),
        format!("GET /ping HTTP/1.1\r\n{many}\r\n"),
        format!("GET /ping HTTP/1.1\r\nlong: {}", long.repeat(100)), // and it has no end
    ] {
        let mut client = server.connect();
        client.keep_little();
        client.send(head);
        assert_eq!(client.reply().status, 431);
        assert_eq!(client.end(), End::Closed);
    }
    let mut client = server.connect();
    client.send(request(&format!("/ping?{}", "x".repeat(HEAD_MAX / 2))));
    assert_eq!(client.reply().status, 200, "half of it is not too much");
    server.assert_lives();
}

#[test]
fn an_oversized_body_is_refused_before_it_is_sent() {
    let server = Server::with_routes(Limits { body_max: 1000, ..limits() }, None);
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = server.connect();
        client.send(format!("POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n{expect}\r\n"));
        let reply = client.reply();
        assert_eq!((reply.status, &*reply.error()), (413, "a body may have 1000 bytes"));
        assert_eq!(client.end(), End::Closed);
    }
    let mut client = server.connect();
    client.send(post("/echo", &"x".repeat(1000)));
    assert_eq!(client.reply().body.len(), 1000);
    server.assert_lives();
}

#[test]
fn a_client_that_sends_an_oversized_body_all_the_same_gets_its_answer() {
    let server = Server::with_routes(Limits { body_max: 1000, ..limits() }, None);
    let body = "x".repeat(3_000_000);
    let chunked = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2dc6c0\r\n";
    for whole in [post("/echo", &body), format!("{chunked}{body}\r\n0\r\n\r\n")] {
        let mut client = server.connect();
        client.keep_little();
        client.send(whole);
        assert_eq!(client.reply().status, 413);
        assert_eq!(client.end(), End::Closed);
    }
    server.assert_lives();
}

#[test]
fn a_chunked_body_is_refused_where_it_becomes_too_large() {
    let server = Server::with_routes(Limits { body_max: 10, ..limits() }, None);
    let head = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = server.connect();
    client.send(format!("{head}a\r\n0123456789\r\n0\r\n\r\n"));
    assert_eq!(client.reply().text(), "0123456789");
    client.send(format!("{head}a\r\n0123456789\r\n1\r\nx\r\n")); // and it would go on
    assert_eq!(client.reply().status, 413);
    assert_eq!(client.end(), End::Closed);
    server.assert_lives();
}

#[test]
fn a_body_that_is_expected_is_asked_for() {
    let server = server();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.reply().status, 100);
    client.send("body");
    assert_eq!(client.reply().text(), "body");
}

#[test]
fn a_slow_head_is_closed_in_time_and_holds_up_nobody() {
    let server = Server::with_routes(Limits { header_timeout: IN_TIME, ..limits() }, None);
    let start = Instant::now();
    let (silent, mut slow) = (server.connect(), server.connect());
    slow.send("GET /pi");
    server.assert_lives();
    assert_eq!(silent.end(), End::Closed);
    assert_eq!(slow.end(), End::Closed);
    assert!(start.elapsed() >= IN_TIME);
    server.wait_for_no_connections();
}

/// A byte now and then does not put the end off: the time is for the head as a whole.
#[test]
fn a_head_that_comes_byte_by_byte_is_closed_in_time_too() {
    let server = Server::with_routes(Limits { header_timeout: IN_TIME, ..limits() }, None);
    let mut client = server.connect();
    let mut bytes = "GET /ping HTTP/1.1\r\n".bytes().chain("a: b\r\n".bytes().cycle());
    wait_until("the end", || {
        if !client.has_news() {
            client.send([bytes.next().expect("it has no end")]);
        }
        client.has_news()
    });
    assert!(!matches!(client.try_reply(), Ok(Some(_))), "it is closed without an answer");
    server.assert_lives();
}

#[test]
fn a_slow_body_is_answered_with_408_and_closed() {
    let timeout = Duration::from_millis(50); // the whole of it never comes, so this can be short
    let server = Server::with_routes(Limits { body_timeout: timeout, ..limits() }, None);
    for body in ["Content-Length: 10\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n12"] {
        let start = Instant::now();
        let mut client = server.connect();
        client.send(format!("POST /echo HTTP/1.1\r\n{body}"));
        let reply = client.reply();
        assert_eq!((reply.status, &*reply.error()), (408, "the body took too long"));
        assert!(start.elapsed() >= timeout);
        assert_eq!(client.end(), End::Closed);
    }
    server.assert_lives();
    server.wait_for_no_connections();
}

#[test]
fn a_body_that_breaks_off_is_answered_with_400_to_whoever_still_reads() {
    let server = server();
    for body in ["Content-Length: 10\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n12"] {
        let mut client = server.connect();
        client.send(format!("POST /echo HTTP/1.1\r\n{body}"));
        client.finish_sending();
        let reply = client.reply();
        assert_eq!(reply.status, 400);
        assert!(reply.error().starts_with("the body broke off: "), "{reply:?}");
        assert_eq!(client.end(), End::Closed);
    }
    server.assert_lives();
    server.wait_for_no_connections();
}

#[test]
fn a_chunk_without_a_size_is_answered_with_400_and_closed() {
    let server = server();
    for chunk in ["zz\r\n", "-1\r\n", "fffffffffffffffff\r\n", "5\r\n12345678"] {
        let mut client = server.connect();
        client.send(format!("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"));
        assert_eq!(client.reply().status, 400, "{chunk:?}");
        assert_eq!(client.end(), End::Closed, "{chunk:?}");
    }
    server.assert_lives();
}

/// Where a proxy and a server disagree about the end of a body, the rest of it is a request that
/// nobody has checked. So nothing is answered behind a length that can be read in two ways.
#[test]
fn a_body_with_two_lengths_is_refused_or_is_the_last_of_its_connection() {
    let server = server();
    let smuggled = request("/ping");
    let length = smuggled.len();
    for (headers, status) in [
        ("Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(), 400),
        ("Content-Length: 0, 5\r\n".to_owned(), 400),
        ("Content-Length: +0\r\n".to_owned(), 400),
        ("Content-Length: -1\r\n".to_owned(), 400),
        ("Content-Length: zero\r\n".to_owned(), 400),
        ("Content-Length: 18446744073709551616\r\n".to_owned(), 400),
        ("Transfer-Encoding: chunked, identity\r\n".to_owned(), 400),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), 400),
        (format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", length + 5), 200),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", length + 5), 200),
    ] {
        let mut client = server.connect();
        client.send(format!("POST /echo HTTP/1.1\r\n{headers}\r\n0\r\n\r\n{smuggled}"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.text()), (status, ""), "{headers:?}");
        assert_eq!(client.end(), End::Closed, "{headers:?}: nothing behind it is answered");
    }
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.reply().status, 400, "HTTP/1.0 has no chunks");
    server.assert_lives();
}

/// HTTP/1.1 asks for the header, and for a 400 where it is missing. hyper does not look for it.
#[test]
fn a_request_without_a_host_is_answered_all_the_same() {
    let server = server();
    let mut client = server.connect();
    client.send("GET /ping HTTP/1.1\r\n\r\n");
    assert_eq!(client.reply().status, 200);
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let server = server();
    let mut client = server.connect();
    client.send("GET /ping HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client.stream, &mut answer).expect("it is closed");
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("{\"pong\":true}"));
}

#[test]
fn another_form_of_target_is_answered_by_its_path() {
    let server = server();
    for (line, status) in [
        ("GET http://localhost/ping HTTP/1.1", 200),
        ("GET /ping?seconds=%zz&&&=;# HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 404),
        ("CONNECT localhost:80 HTTP/1.1", 404),
        ("GET //ping HTTP/1.1", 404),
        ("GET /%70ing HTTP/1.1", 404),
    ] {
        let mut client = server.connect();
        client.send(format!("{line}\r\nHost: localhost\r\n\r\n"));
        assert_eq!(client.reply().status, status, "{line}");
    }
    server.assert_lives();
}

#[test]
fn a_wrong_method_is_405_and_the_answer_names_the_right_ones() {
    let server = server();
    let mut client = server.connect();
    for (method, path, allowed) in [
        ("POST", "/ping", "GET, HEAD"),
        ("DELETE", "/ping", "GET, HEAD"),
        ("BREW", "/fib/10", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("GET", "/echo", "POST"),
        ("PUT", "/echo", "POST"),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"));
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{method} {path}");
        assert_eq!(reply.error(), format!("this path does not take {method}"));
    }
}

#[test]
fn an_unknown_path_is_404() {
    let server = server();
    let mut client = server.connect();
    let paths =
        ["/nothing", "/ping/", "/fib", "/fib/", "/fib/1/2", "/users/", "/static/x", "/static"];
    for path in paths {
        let reply = client.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.error(), format!("nothing is at {path}"));
    }
}

#[test]
fn bad_seconds_are_400_and_the_answer_says_what_was_expected() {
    let server = server();
    let mut client = server.connect();
    for value in ["nan", "NaN", "inf", "-inf", "-1", "-1e-300", "60.001", "61", "1e400", "", "x"] {
        for path in ["/terrible-ping", "/good-ping", "/perfect-ping"] {
            let reply = client.get(&format!("{path}?seconds={value}"));
            assert_eq!(reply.status, 400, "{path} {value:?}");
            let error = reply.error();
            let expected = "seconds: expected a number from 0";
            assert!(error.starts_with(expected), "{path} {value:?}: {error}");
            assert!(error.contains(&format!("to {SECONDS_MAX}, got")), "{error}");
        }
    }
    for value in ["0", "-0", "1e-400", ".001", "1e-3", "%30"] {
        let reply = client.get(&format!("/perfect-ping?seconds={value}"));
        assert_eq!(reply.status, 200, "{value:?}");
    }
    for value in ["nan", "inf", "-1", "0", "0.0009", "86401", "1e400", "", "x"] {
        let reply = client.get(&format!("/events?seconds={value}"));
        assert_eq!(reply.status, 400, "{value:?}");
        let expected = "seconds: expected a number from 0.001 to 86400, got";
        assert!(reply.error().starts_with(expected), "{value:?}: {}", reply.error());
    }
}

#[test]
fn a_bad_number_or_place_is_400_and_the_answer_says_what_was_expected() {
    let server = server();
    let mut client = server.connect();
    for n in ["x", "-1", "94", "1.5", "1e1", "%31%2e", "exit", "18446744073709551616", "٣"] {
        let reply = client.get(&format!("/fib/{n}"));
        assert_eq!(reply.status, 400, "{n:?}");
        assert!(reply.error().starts_with("expected a "), "{n:?}: {reply:?}");
    }
    for place in ["gpu", "", "Rayon", "rayon "] {
        let reply = client.get(&format!("/fib/10?where={}", place.replace(' ', "+")));
        let expected = "where: expected inline, pool, rayon or process, got";
        assert_eq!((reply.status, reply.error()), (400, format!("{expected} {place:?}")));
    }
}

#[test]
#[cfg(feature = "users")]
fn a_bad_user_is_400_and_an_unknown_one_404() {
    let server = server();
    let mut client = server.connect();
    for (id, status) in [("ada", 400), ("1%20OR%201=1", 400), ("99", 404), ("-1", 404), ("1", 200)]
    {
        let reply = client.get(&format!("/users/{id}"));
        assert_eq!(reply.status, status, "{id}: {reply:?}");
    }
    assert_eq!(client.get("/users/1").json()["orders"], 3);
    assert_eq!(client.get("/users/%31").json()["name"], "Ada", "%31 is 1");
}

#[test]
fn head_is_answered_with_the_head_of_get() {
    let server = server();
    let mut client = server.connect();
    for path in ["/ping", "/", "/page.js"] {
        client.send(format!("HEAD {path} HTTP/1.1\r\n\r\n"));
        let head = client.reply_to_head();
        let get = client.get(path);
        assert_eq!(head.status, 200);
        for name in ["content-length", "content-type"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    client.send("HEAD /echo HTTP/1.1\r\n\r\n");
    assert_eq!(client.reply_to_head().status, 405);
    assert_eq!(client.get("/ping").status, 200);
}

#[test]
fn static_serves_the_files_of_its_folder_and_nothing_else() {
    const SECRET: &str = "nobody may read this";

    let outside = tempfile::tempdir().expect("the temporary folder can be written");
    let folder = outside.path().join("files");
    fs::create_dir_all(folder.join("sub/deep")).expect("it is ours");
    for (file, text) in [
        ("secret", SECRET),
        ("files/file.txt", "a file"),
        ("files/a b.html", "a page"),
        ("files/sub/index.html", "an index"),
    ] {
        fs::write(outside.path().join(file), text).expect("it is ours");
    }
    let server = Server::with_routes(limits(), Some(&folder));
    let mut client = server.connect();
    let file = client.get("/static/file.txt");
    assert_eq!((file.status, file.text()), (200, "a file"));
    assert_eq!(file.header("content-type"), Some("text/plain"));
    assert_eq!(client.get("/static/a%20b.html?query").text(), "a page");
    assert_eq!(client.get("/static/sub/").text(), "an index");

    let redirect = client.get("/static/sub");
    assert_eq!(redirect.status, 307);
    assert_eq!(redirect.header("location"), Some("/static/sub/"));

    let absolute = format!("/static/{}", outside.path().join("secret").display());
    for path in [
        "/static/../secret",
        "/static/%2e%2e/secret",
        "/static/..%2fsecret",
        "/static/%2e%2e%2fsecret",
        "/static/sub/../../secret",
        "/static/sub/deep/..%5c..%5c..%5csecret",
        "/static/....//secret",
        "/static/none",
        "/static/sub/deep/", // it has no index, and is not listed
        "/static/file.txt/",
        "/static/file.txt%00",
        "/static/%ff",
        "/static//../secret",
        &absolute,
        &absolute.replacen('/', "//", 2),
        "/staticfile.txt",
        "/static",
    ] {
        let reply = client.get(path);
        assert!((400..500).contains(&reply.status), "{path}: {reply:?}");
        assert!(!reply.text().contains(SECRET), "{path}: {reply:?}");
    }
    client.send(post("/static/file.txt", "body"));
    assert_eq!(client.reply().status, 405);
    client.send("HEAD /static/file.txt HTTP/1.1\r\n\r\n");
    assert_eq!(client.reply_to_head().header("content-length"), Some("6"));
    assert_eq!(client.get("/ping").status, 200);
}

#[test]
fn bytes_at_random_do_no_harm() {
    const CONNECTIONS: u64 = 200;

    let server = server();
    let mut state = 0x2545_F491_4F6C_DD1D_u64; // the same bytes in every run
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let pieces = [
        "GET ",
        "POST ",
        "/ping",
        "/echo",
        " HTTP/1.1",
        "\r\n",
        "\r\n\r\n",
        "\n",
        ":",
        " ",
        "Content-Length",
        "5",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "a",
        "0\r\n",
        "\0",
        "\u{ff}",
        "Connection: close",
    ];
    for _ in 0..CONNECTIONS {
        let mut bytes = String::new();
        for _ in 0..random() % 24 {
            bytes += pieces[usize::try_from(random() % pieces.len() as u64).expect("it is small")];
        }
        let mut client = server.connect();
        client.send(&bytes);
        drop_politely(client);
    }
    server.assert_lives();
    server.wait_for_no_connections();
}

/// Ends a connection without a reset, and reads whatever is answered.
fn drop_politely(mut client: Client) {
    client.finish_sending();
    let mut answers = Vec::new();
    std::io::Read::read_to_end(&mut client.stream, &mut answers).expect("the server closes it");
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{answers:?}");
}

//! What ASGI is, in sixty lines of code, and the same application as a `tower::Service`.
//!
//! Both are contracts between a server and an application that know nothing else of each other.
//! ASGI is one call for the whole exchange, with two functions to await: the application calls
//! `receive` for the next piece of the request, and `send` with the next piece of the response.
//! tower is one call from a request to a response, and each has a body that is a stream.
//!
//! The application answers each piece of the request with the same piece in capital letters. A
//! server without a socket drives it, and writes down what goes between the two. Predict three
//! things. How many pieces does each of the two read, when the client sends three and reads no
//! answer? How does each learn that its client has left? And for how long is a request in flight,
//! for a middleware that counts them?
//!
//! `cargo run -p ch08-web-server --features tower --example mini_asgi`

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::future::{Ready, poll_fn, ready};
use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::PollSemaphore;
use tower::Service;

/// What happened, in its order.
#[derive(Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    fn note(&self, who: &str, what: impl Display) {
        self.0.borrow_mut().push(format!("{who:<22}{what}"));
    }
}

// ANCHOR: asgi
/// What is known of a request before its body.
struct Scope {
    kind: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Headers,
}

type Headers = Vec<(String, String)>;

/// What the application receives: http.request or http.disconnect.
enum Event {
    Request { body: Bytes, more_body: bool },
    Disconnect,
}

/// What the application sends: http.response.start or http.response.body.
enum Message {
    Start { status: u16, headers: Headers },
    Body { body: Bytes, more_body: bool },
}

/// Why a message is not sent.
#[derive(Debug, PartialEq, Eq)]
enum SendError {
    Disconnected,
    /// No type says that the start comes first, once, and that the last body is the last. So the
    /// server has to look.
    OutOfOrder,
}

/// `async def app(scope, receive, send)`
trait App {
    async fn call(
        &self,
        scope: &Scope,
        receive: impl AsyncFnMut() -> Event,
        send: impl AsyncFnMut(Message) -> Result<(), SendError>,
    ) -> Result<(), SendError>;
}

/// The server's part in one exchange. The client's end of both channels is a socket elsewhere: of
/// `messages` it takes as much as the socket has room for.
async fn serve(
    app: &impl App,
    mut events: mpsc::Receiver<Event>,
    messages: mpsc::Sender<Message>,
    trace: &Trace,
) {
    let scope = Scope { kind: "http", method: "POST", path: "/shout", headers: vec![] };
    trace.note("server calls with", &scope);
    let receive = async || {
        let event = events.recv().await.unwrap_or(Event::Disconnect);
        trace.note("application receives", &event);
        event
    };
    let (mut started, mut ended) = (false, false);
    let send = async |message| {
        let (starts, ends) = match &message {
            Message::Start { .. } => (true, false),
            Message::Body { more_body, .. } => (false, !more_body),
        };
        if ended || starts == started {
            return Err(SendError::OutOfOrder);
        }
        (started, ended) = (true, ends);
        trace.note("application sends", &message);
        messages.send(message).await.map_err(|_| SendError::Disconnected)
    };
    let returned = app.call(&scope, receive, send).await;
    trace.note("application returns", format_args!("{returned:?}"));
}
// ANCHOR_END: asgi

impl Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { kind, method, path, headers } = self;
        write!(f, "scope {kind} {method} {path} {headers:?}")
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Request { body, more_body } => {
                write!(f, "http.request {}{}", body.escape_ascii(), more(*more_body))
            }
            Event::Disconnect => write!(f, "http.disconnect"),
        }
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Start { status, headers } => {
                write!(f, "http.response.start {status} {headers:?}")
            }
            Message::Body { body, more_body } => {
                write!(f, "http.response.body {}{}", body.escape_ascii(), more(*more_body))
            }
        }
    }
}

fn more(more_body: bool) -> &'static str {
    if more_body { ", more_body" } else { "" }
}

// ANCHOR: app
/// The application: each piece in capital letters.
struct Shout;

fn shout(piece: &Bytes) -> Bytes {
    piece.to_ascii_uppercase().into()
}

impl App for Shout {
    async fn call(
        &self,
        _: &Scope,
        mut receive: impl AsyncFnMut() -> Event,
        mut send: impl AsyncFnMut(Message) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        send(Message::Start { status: 200, headers: vec![] }).await?;
        // A disconnect ends it as well: there is nobody to answer any more.
        while let Event::Request { body, more_body } = receive().await {
            send(Message::Body { body: shout(&body), more_body }).await?;
            if !more_body {
                break;
            }
        }
        Ok(())
    }
}
// ANCHOR_END: app

// ANCHOR: tower
/// The same application. It reads nothing of the body: it says what becomes of it, once somebody
/// reads the response.
impl<B: Body<Data = Bytes> + Unpin> Service<Request<B>> for Shout {
    type Response = Response<Shouted<B>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Shouted(request.into_body()))))
    }
}

/// A body in capital letters.
struct Shouted<B>(B);

impl<B: Body<Data = Bytes> + Unpin> Body for Shouted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        Poll::Ready(frame.map(|frame| Ok(frame?.map_data(|piece| shout(&piece)))))
    }
}
// ANCHOR_END: tower

// ANCHOR: serve_tower
/// The same server, for a service. The order of the messages is the order of these lines: a
/// response has a head, and then a body.
async fn serve_tower<S, B>(
    service: &mut S,
    events: mpsc::Receiver<Event>,
    messages: mpsc::Sender<Message>,
    trace: &Trace,
) where
    S: Service<Request<Upload>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
    trace.note("server is told", format_args!("ready"));
    let upload = Upload { events, trace: trace.clone(), ended: false };
    let request = Request::post("/shout").body(upload).expect("it has a path and no more");
    trace.note("server calls with", format_args!("{} {}", request.method(), request.uri()));
    let Ok(response) = service.call(request).await;
    let (head, body) = response.into_parts();
    trace.note("future returns", format_args!("{} {:?}", head.status, head.headers));
    let mut body = pin!(body);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    let start = Message::Start { status: head.status.as_u16(), headers: headers.collect() };
    if messages.send(start).await.is_err() {
        return;
    }
    // First room for a piece, then the piece: who writes to the client asks for the next one.
    loop {
        let Ok(room) = messages.reserve().await else { return };
        let Some(Ok(frame)) = body.frame().await else { break };
        if let Ok(body) = frame.into_data() {
            trace.note("response body gives", body.escape_ascii());
            room.send(Message::Body { body, more_body: true });
        }
    }
    trace.note("response body", format_args!("is at its end"));
}

/// The body of a request, as the server hands it over.
struct Upload {
    events: mpsc::Receiver<Event>,
    trace: Trace,
    ended: bool,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(Event::Request { body, more_body }) = ready!(self.events.poll_recv(cx)) else {
            return Poll::Ready(None); // hyper's own body has an error here
        };
        self.ended = !more_body;
        self.trace.note("request body gives", body.escape_ascii());
        Poll::Ready(Some(Ok(Frame::data(body))))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let when = if self.ended { "at its end" } else { "before its end" };
        self.trace.note("request body", format_args!("is dropped {when}"));
    }
}
// ANCHOR_END: serve_tower

// ANCHOR: middleware
/// Adds a header to each response. As an application it looks through the messages for the one
/// that has them.
struct AddHeader<A>(A);

const NAME: &str = "x-served-by";
const VALUE: &str = "mini";

impl<A: App> App for AddHeader<A> {
    async fn call(
        &self,
        scope: &Scope,
        receive: impl AsyncFnMut() -> Event,
        mut send: impl AsyncFnMut(Message) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let send = async |mut message| {
            if let Message::Start { headers, .. } = &mut message {
                headers.push((NAME.to_owned(), VALUE.to_owned()));
            }
            send(message).await
        };
        self.0.call(scope, receive, send).await
    }
}

/// As a service it changes the response, which is a value.
impl<S, R, B> Service<R> for AddHeader<S>
where
    S: Service<R, Response = Response<B>, Future: 'static>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let response = self.0.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            let (name, value) = (HeaderName::from_static(NAME), HeaderValue::from_static(VALUE));
            response.headers_mut().insert(name, value);
            Ok(response)
        })
    }
}

/// Counts the calls that have not come to their end.
struct InFlight<A>(A, Rc<Cell<usize>>);

/// One of them. It is counted down when it is dropped: also by a cancellation.
struct One(Rc<Cell<usize>>);

impl One {
    fn new(count: &Rc<Cell<usize>>) -> One {
        count.set(count.get() + 1);
        One(Rc::clone(count))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl<A: App> App for InFlight<A> {
    async fn call(
        &self,
        scope: &Scope,
        receive: impl AsyncFnMut() -> Event,
        send: impl AsyncFnMut(Message) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let _one = One::new(&self.1);
        self.0.call(scope, receive, send).await
    }
}

impl<R, S: Service<R, Future: 'static>> Service<R> for InFlight<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (one, response) = (One::new(&self.1), self.0.call(request));
        Box::pin(async move {
            let _one = one;
            response.await
        })
    }
}
// ANCHOR_END: middleware

// ANCHOR: limit
/// A service that has so many responses to make at most. It is not ready while they are all being
/// made: whoever holds the next request keeps it. ASGI has nothing to ask before the call.
struct AtMost<S> {
    inner: S,
    places: PollSemaphore,
    /// From `poll_ready`, for the call that follows it.
    place: Option<OwnedSemaphorePermit>,
}

impl<R, S: Service<R, Future: 'static>> Service<R> for AtMost<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.place.is_none() {
            self.place = ready!(self.places.poll_acquire(cx));
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let place = self.place.take().expect("poll_ready said that there is one");
        let response = self.inner.call(request);
        Box::pin(async move {
            let _place = place;
            response.await
        })
    }
}
// ANCHOR_END: limit

// ANCHOR: drive
/// What the client does.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A piece of the request, and there is more.
    Sends(&'static str),
    /// The last piece.
    Ends(&'static str),
    /// A message of the response, if there is one.
    Reads,
    /// It closes its connection.
    Leaves,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contract {
    Asgi,
    Tower,
}

/// The most pieces that wait to be read: the receive buffer of a socket.
const PIECES_MAX: usize = 16;

/// One exchange. After each act of the client the server goes on until it has to wait.
fn drive(contract: Contract, acts: &[Act]) -> Vec<String> {
    let (trace, count) = (Trace::default(), Rc::default());
    let (to_server, events) = mpsc::channel(PIECES_MAX);
    let (messages, mut from_server) = mpsc::channel(1);
    let mut app = AddHeader(InFlight(Shout, Rc::clone(&count)));
    let mut exchange: Option<Pin<Box<dyn Future<Output = ()>>>> = Some(match contract {
        Contract::Asgi => Box::pin(serve(&app, events, messages, &trace)),
        Contract::Tower => Box::pin(serve_tower(&mut app, events, messages, &trace)),
    });
    let request = |piece: &'static str, more_body| {
        let event = Event::Request { body: Bytes::from_static(piece.as_bytes()), more_body };
        to_server.try_send(event).expect("a script is shorter than the buffer");
    };
    let mut in_flight = 0;
    for act in [None].into_iter().chain(acts.iter().map(Some)) {
        if let Some(act) = act {
            trace.note("client", format_args!("{act:?}"));
        }
        match act {
            None => {} // the head of the request is there
            Some(Act::Sends(piece)) => request(piece, true),
            Some(Act::Ends(piece)) => request(piece, false),
            Some(Act::Reads) => match from_server.try_recv() {
                Ok(message) => trace.note("client has read", message),
                Err(_) => trace.note("client has read", "nothing"),
            },
            Some(Act::Leaves) => {
                from_server.close();
                match contract {
                    Contract::Asgi => drop(to_server.try_send(Event::Disconnect)),
                    Contract::Tower => exchange = None,
                }
            }
        }
        if let Some(running) = &mut exchange
            && running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        {
            exchange = None;
        }
        if in_flight != count.get() {
            in_flight = count.get();
            trace.note("requests in flight", in_flight);
        }
    }
    if exchange.is_some() {
        trace.note("the client", "does no more: the exchange waits for it");
    }
    drop(exchange);
    trace.0.take()
}
// ANCHOR_END: drive

// ANCHOR: at_most
/// A service whose response never comes.
struct Never;

impl Service<()> for Never {
    type Response = ();
    type Error = Infallible;
    type Future = std::future::Pending<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::pending()
    }
}

/// Asks a service with one place whether it is ready: before a call, during it, and after its
/// future was dropped.
fn ready_with_one_place() -> [bool; 3] {
    let places = PollSemaphore::new(Arc::new(Semaphore::new(1)));
    let mut service = AtMost { inner: Never, places, place: None };
    let mut cx = Context::from_waker(Waker::noop());
    let before = service.poll_ready(&mut cx).is_ready();
    let response = service.call(());
    let during = service.poll_ready(&mut cx).is_ready();
    drop(response);
    [before, during, service.poll_ready(&mut cx).is_ready()]
}
// ANCHOR_END: at_most

const WHOLE: &[Act] =
    &[Act::Sends("hel"), Act::Reads, Act::Reads, Act::Ends("lo"), Act::Reads, Act::Reads];
const READS_NOTHING: &[Act] = &[Act::Sends("a"), Act::Sends("b"), Act::Ends("c")];
const LEAVES: &[Act] = &[Act::Sends("hel"), Act::Reads, Act::Reads, Act::Leaves];

const MAPPING: [(&str, &str); 8] = [
    ("ASGI", "tower"),
    ("scope", "the request without its body"),
    ("receive() -> http.request", "the body of the request, polled"),
    ("send(http.response.start)", "what the future of the call returns"),
    ("send(http.response.body)", "the body of the response, polled"),
    ("send() waits for room", "nobody polls the body of the response"),
    ("receive() -> http.disconnect", "the future, or the body, is dropped"),
    ("-", "poll_ready(): is there room for a request?"),
];

fn print(out: &mut dyn Write) -> io::Result<()> {
    for (asgi, tower) in MAPPING {
        writeln!(out, "{asgi:<32}{tower}")?;
    }
    for (title, acts) in [
        ("A client sends two pieces, and reads", WHOLE),
        ("A client sends three pieces, and reads nothing", READS_NOTHING),
        ("A client leaves", LEAVES),
    ] {
        for contract in [Contract::Asgi, Contract::Tower] {
            writeln!(out, "\n{title}: {contract:?}")?;
            drive(contract, acts).iter().try_for_each(|line| writeln!(out, "    {line}"))?;
        }
    }
    let [before, during, after] =
        ready_with_one_place().map(|ready| if ready { "Ready" } else { "Pending" });
    writeln!(out, "\nA service with one place, asked by poll_ready: Tower")?;
    writeln!(out, "    {before} before a call, {during} during it, {after} once it was dropped")
}

fn main() -> ExitCode {
    command_line::experiment("mini_asgi", print)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Contract; 2] = [Contract::Asgi, Contract::Tower];

    /// What somebody did, in its order.
    fn of<'a>(trace: &'a [String], who: &str) -> Vec<&'a str> {
        trace.iter().filter_map(|line| Some(line.strip_prefix(who)?.trim_start())).collect()
    }

    /// Does one line come before the other?
    fn assert_order(trace: &[String], lines: &[&str]) {
        let mut rest = trace.iter();
        for line in lines {
            assert!(rest.any(|seen| seen.contains(line)), "{line:?}, in its order, in {trace:#?}");
        }
    }

    #[test]
    fn the_client_reads_the_same_from_both() {
        for contract in BOTH {
            let trace = drive(contract, WHOLE);
            let read = of(&trace, "client has read");
            let start = r#"http.response.start 200 [("x-served-by", "mini")]"#;
            assert_eq!(read[0], start, "{contract:?}");
            assert!(read[1].starts_with("http.response.body HEL"), "{contract:?}: {read:?}");
            assert!(read[2].starts_with("http.response.body LO"), "{contract:?}: {read:?}");
            assert_eq!(read[3], "nothing", "{contract:?}");
        }
    }

    #[test]
    fn an_asgi_application_receives_and_sends_by_turns() {
        let trace = drive(Contract::Asgi, WHOLE);
        let expected = [
            "application sends     http.response.start 200",
            "application receives  http.request hel, more_body",
            "application sends     http.response.body HEL, more_body",
            "application receives  http.request lo",
            "application sends     http.response.body LO",
            "application returns   Ok(())",
        ];
        assert_order(&trace, &expected);
    }

    #[test]
    fn a_service_is_asked_then_called_and_the_server_pulls_its_body() {
        let trace = drive(Contract::Tower, WHOLE);
        let expected = [
            "server is told        ready",
            "server calls with     POST /shout",
            "future returns        200 OK",
            "request body gives    hel",
            "response body gives   HEL",
            "request body gives    lo",
            "response body gives   LO",
            "response body         is at its end",
        ];
        assert_order(&trace, &expected);
    }

    #[test]
    fn a_client_that_reads_nothing_is_read_from_no_further() {
        let asgi = drive(Contract::Asgi, READS_NOTHING);
        // One piece: the application waits in its `send`.
        assert_eq!(of(&asgi, "application receives"), ["http.request a, more_body"]);
        let tower = drive(Contract::Tower, READS_NOTHING);
        assert!(of(&tower, "request body gives").is_empty(), "{tower:#?}");
    }

    #[test]
    fn an_asgi_application_receives_the_disconnect() {
        let trace = drive(Contract::Asgi, LEAVES);
        assert_eq!(of(&trace, "application receives").last(), Some(&"http.disconnect"));
        assert_eq!(of(&trace, "application returns"), ["Ok(())"]);
        // Where it waits in `send`, that fails.
        let trace = drive(Contract::Asgi, &[Act::Sends("hel"), Act::Leaves]);
        assert_eq!(of(&trace, "application returns"), ["Err(Disconnected)"]);
    }

    #[test]
    fn for_a_service_the_drop_is_the_disconnect() {
        let trace = drive(Contract::Tower, LEAVES);
        assert_order(&trace, &["Leaves", "request body          is dropped before its end"]);
        // What is true of the body is true of the future, while there is no response yet.
        let count = Rc::default();
        let mut service = InFlight(Never, Rc::clone(&count));
        let response = service.call(());
        assert_eq!(count.get(), 1);
        drop(response);
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn a_request_is_in_flight_to_its_last_piece_with_asgi_and_to_its_head_with_tower() {
        let asgi = drive(Contract::Asgi, WHOLE);
        assert_eq!(of(&asgi, "requests in flight"), ["1", "0"]);
        assert_order(&asgi, &["in flight    1", "response.body HEL", "in flight    0"]);
        let tower = drive(Contract::Tower, WHOLE);
        assert!(of(&tower, "requests in flight").is_empty(), "{tower:#?}");
    }

    #[test]
    fn a_service_without_a_place_is_not_ready() {
        assert_eq!(ready_with_one_place(), [true, false, true]);
    }

    /// Sends what it was given.
    struct Sends(RefCell<Vec<Message>>);

    impl App for Sends {
        async fn call(
            &self,
            _: &Scope,
            _: impl AsyncFnMut() -> Event,
            mut send: impl AsyncFnMut(Message) -> Result<(), SendError>,
        ) -> Result<(), SendError> {
            let messages = self.0.take();
            for message in messages {
                send(message).await?;
            }
            Ok(())
        }
    }

    /// What an application that sends these returns.
    fn returns(messages: Vec<Message>) -> String {
        let (trace, app) = (Trace::default(), Sends(RefCell::new(messages)));
        let (_to_server, events) = mpsc::channel(1);
        let (messages, _from_server) = mpsc::channel(PIECES_MAX);
        let mut cx = Context::from_waker(Waker::noop());
        let ended = pin!(serve(&app, events, messages, &trace)).poll(&mut cx);
        assert!(ended.is_ready());
        of(&trace.0.take(), "application returns")[0].to_owned()
    }

    #[test]
    fn messages_out_of_their_order_are_refused() {
        let start = || Message::Start { status: 200, headers: vec![] };
        let body = |more_body| Message::Body { body: Bytes::new(), more_body };
        assert_eq!(returns(vec![start(), body(true), body(false)]), "Ok(())");
        let refused = "Err(OutOfOrder)";
        assert_eq!(returns(vec![body(false)]), refused);
        assert_eq!(returns(vec![start(), start()]), refused);
        assert_eq!(returns(vec![start(), body(false), body(false)]), refused);
    }
}

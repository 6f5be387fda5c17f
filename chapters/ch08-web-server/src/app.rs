//! FastAPI's rule, made explicit: what kind of function a handler is says where it runs.
//!
//! FastAPI looks at a function when its route is declared: `async def` runs on the loop, `def` on a
//! thread. Rust has no such rule, and no library here makes one: a handler that blocks compiles
//! wherever it stands. So this file makes it. An `async fn` is a [`Loop`] handler, a plain `fn` is
//! a [`Pool`] handler, and the compiler tells them apart by what they return.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};
use tokio::time::timeout;
use tower_http::services::ServeDir;
use tower_service::Service;

use crate::request::{Params, owned};
use crate::{Answer, BlockingPool, Limits, Refusal, Request, Response, Stats};

// ANCHOR: headers
/// The header that says which process answered.
const WORKER: HeaderName = HeaderName::from_static("x-worker");

/// After how many seconds a client that was refused for lack of room may come again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
// ANCHOR_END: headers

// ANCHOR: route
type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;
type OnLoop = dyn Fn(Request) -> Answering<'static> + Send + Sync;
type OnThread = dyn Fn(Request) -> Answer + Send + Sync;

/// A handler, and where it runs.
pub enum Route {
    /// The loop polls it. Whatever it does between two awaits, the loop does nothing else.
    Loop(Box<OnLoop>),
    /// A thread of the pool calls it. It may block.
    Pool(Arc<OnThread>),
}
// ANCHOR_END: route

// ANCHOR: rule
/// The kind of an `async fn`.
pub enum Loop {}
/// The kind of a plain `fn`.
pub enum Pool {}

/// What can be a handler. The compiler finds out of which kind.
pub trait IntoRoute<Kind> {
    /// The handler, and where it runs.
    fn into_route(self) -> Route;
}

impl<F, R> IntoRoute<Loop> for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    fn into_route(self) -> Route {
        Route::Loop(Box::new(move |request| Box::pin(self(request))))
    }
}

impl<F> IntoRoute<Pool> for F
where
    F: Fn(Request) -> Answer + Send + Sync + 'static,
{
    fn into_route(self) -> Route {
        Route::Pool(Arc::new(self))
    }
}
// ANCHOR_END: rule

// ANCHOR: methods
/// The handlers of one path, by their method.
#[derive(Default)]
struct Methods {
    get: Option<Route>,
    post: Option<Route>,
}

impl Methods {
    fn of(&self, method: &Method) -> Result<&Route, Refusal> {
        let found = match *method {
            Method::GET | Method::HEAD => self.get.as_ref(), // hyper leaves the body of HEAD out
            Method::POST => self.post.as_ref(),
            _ => None,
        };
        found.ok_or_else(|| {
            let reason = format!("this path does not take {method}");
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason).with(ALLOW, self.allowed())
        })
    }

    fn allowed(&self) -> HeaderValue {
        HeaderValue::from_static(match (&self.get, &self.post) {
            (Some(_), Some(_)) => "GET, HEAD, POST",
            (Some(_), None) => "GET, HEAD",
            (None, _) => "POST",
        })
    }
}
// ANCHOR_END: methods

// ANCHOR: app
/// Routes, and what their handlers run on.
pub struct App {
    router: matchit::Router<Methods>,
    files: Option<ServeDir>,
    pool: BlockingPool,
    limits: Limits,
    stats: Arc<Stats>,
    worker: HeaderValue,
}

/// Where the files of `--static` are found.
const STATIC: &str = "/static";
// ANCHOR_END: app

// ANCHOR: build
impl App {
    /// An app without routes.
    pub fn new(limits: Limits, pool: BlockingPool, stats: Arc<Stats>) -> App {
        let worker = HeaderValue::from(std::process::id());
        App { router: matchit::Router::new(), files: None, pool, limits, stats, worker }
    }

    /// Adds a handler for GET (and HEAD).
    ///
    /// # Panics
    ///
    /// When `path` is no pattern, or has a handler for GET already.
    pub fn get<Kind>(mut self, path: &str, handler: impl IntoRoute<Kind>) -> App {
        let before = self.methods(path).get.replace(handler.into_route());
        assert!(before.is_none(), "GET {path} has two handlers");
        self
    }

    /// Adds a handler for POST.
    ///
    /// # Panics
    ///
    /// When `path` is no pattern, or has a handler for POST already.
    pub fn post<Kind>(mut self, path: &str, handler: impl IntoRoute<Kind>) -> App {
        let before = self.methods(path).post.replace(handler.into_route());
        assert!(before.is_none(), "POST {path} has two handlers");
        self
    }

    fn methods(&mut self, path: &str) -> &mut Methods {
        // A path is looked up by itself: a pattern matches its own text.
        if self.router.at(path).is_err() {
            self.router.insert(path, Methods::default()).expect("the path is a pattern of its own");
        }
        self.router.at_mut(path).expect("it was inserted").value
    }

    /// Serves the files of a folder below `/static/`. It follows symbolic links, wherever they
    /// lead, and a pipe among the files would keep a thread for each request: whoever fills the
    /// folder is trusted.
    pub fn files(mut self, folder: &std::path::Path) -> App {
        self.files = Some(ServeDir::new(folder).redirect_path_prefix(STATIC));
        self
    }

    /// The limits that it was made with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it counts.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
    // ANCHOR_END: build

    // ANCHOR: answer
    /// Answers a request, whatever happens: a handler that fails, panics or takes too long is an
    /// answer as well. A handler that takes too long is dropped at its await; a thread that is in
    /// it goes on.
    pub async fn answer(&self, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
        let in_progress = self.stats.begin();
        let answer = if in_progress.number() > self.limits.concurrency {
            Err(too_many())
        } else {
            let answering = unpanicked(|| self.dispatch(request));
            timeout(self.limits.request_timeout, answering)
                .await
                .unwrap_or_else(|_| Err(too_late()))
        };
        let mut response = answer.unwrap_or_else(Refusal::into_response);
        response.headers_mut().insert(WORKER, self.worker.clone());
        in_progress.served();
        Ok(response)
    }
    // ANCHOR_END: answer

    // ANCHOR: dispatch
    /// Finds out who answers. Each way of doing so is a future in a box of its own, and most
    /// requests need only a small one.
    fn dispatch(&self, request: hyper::Request<Incoming>) -> Answering<'_> {
        let (parts, body) = request.into_parts();
        if let (Some(files), Some(path)) = (&self.files, path_of_file(&parts.uri)) {
            return Box::pin(file(files.clone(), path, parts));
        }
        let (route, params) = match self.find(&parts) {
            Ok(found) => found,
            Err(refusal) => return Box::pin(ready(Err(refusal))),
        };
        if body.is_end_stream() {
            return self.call(route, Request::new(parts, params, Bytes::new()));
        }
        Box::pin(async move {
            let body = self.whole_body(body).await?;
            self.call(route, Request::new(parts, params, body)).await
        })
    }

    fn find(&self, parts: &Parts) -> Result<(&Route, Params), Refusal> {
        let path = parts.uri.path();
        let Ok(found) = self.router.at(path) else {
            let reason = format!("nothing is at {path}");
            return Err(Refusal::new(StatusCode::NOT_FOUND, reason));
        };
        let route = found.value.of(&parts.method)?;
        Ok((route, owned(&found.params)))
    }
    // ANCHOR_END: dispatch

    // ANCHOR: call
    /// Calls a handler where it belongs.
    fn call<'a>(&'a self, route: &Route, request: Request) -> Answering<'a> {
        match route {
            Route::Loop(handler) => handler(request),
            Route::Pool(handler) => {
                let handler = Arc::clone(handler);
                let answered = self.pool.run(move || handler(request));
                Box::pin(async { answered.await.unwrap_or_else(panicked) })
            }
        }
    }
    // ANCHOR_END: call

    // ANCHOR: whole_body
    /// Reads the body, within its limits of bytes and of time.
    async fn whole_body(&self, body: Incoming) -> Result<Bytes, Refusal> {
        let too_large = || {
            let reason = format!("a body may have {} bytes", self.limits.body_max);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
        };
        // A client that says how much will come need not send it for that answer.
        if body.size_hint().lower() > self.limits.body_max as u64 {
            return Err(too_large());
        }
        let collected = Limited::new(body, self.limits.body_max).collect();
        match timeout(self.limits.body_timeout, collected).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => Err(Refusal::bad_request(format!("the body broke off: {error}"))),
            Err(_) => {
                let reason = "the body took too long";
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, reason))
            }
        }
    }
    // ANCHOR_END: whole_body
}

// ANCHOR: file
/// What the path of a file is below the folder, if it is one.
fn path_of_file(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_prefix(STATIC).filter(|path| path.starts_with('/'))?;
    path.parse().ok()
}

async fn file(mut files: ServeDir, path: Uri, mut parts: Parts) -> Answer {
    parts.uri = path;
    let request = hyper::Request::from_parts(parts, http_body_util::Empty::<Bytes>::new());
    let Ok(response) = files.call(request).await;
    Ok(response.map(|body| http_body_util::Either::Right(BodyExt::boxed_unsync(body))))
}
// ANCHOR_END: file

// ANCHOR: too_many
fn too_late() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the request took too long")
}

fn too_many() -> Refusal {
    let reason = "too many requests are in progress";
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason);
    refusal.with(RETRY_AFTER, RETRY_AFTER_SECONDS)
}
// ANCHOR_END: too_many

// ANCHOR: unpanicked
/// Makes a future and polls it. A panic in either ends the request, and neither the connection nor
/// the loop.
async fn unpanicked<'a>(make: impl FnOnce() -> Answering<'a>) -> Answer {
    let mut answering = match catch_unwind(AssertUnwindSafe(make)) {
        Ok(answering) => answering,
        Err(panic) => return panicked(panic),
    };
    poll_fn(|cx| {
        let poll = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx)));
        poll.unwrap_or_else(|panic| Poll::Ready(panicked(panic)))
    })
    .await
}

/// The panic itself was said on standard error by the hook.
fn panicked(_: Box<dyn Any + Send>) -> Answer {
    Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the handler panicked"))
}
// ANCHOR_END: unpanicked

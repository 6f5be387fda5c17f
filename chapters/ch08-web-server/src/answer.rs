//! What a handler returns.

use std::borrow::Cow;
use std::io;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

/// A body that is there as a whole, or one that comes in pieces: a file, or a heartbeat.
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// A response with one of our bodies.
pub type Response = hyper::Response<Body>;

/// What a handler returns: a response, or the reason why there is none.
pub type Answer = Result<Response, Refusal>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A response of some type with a body that is there.
pub(crate) fn whole(content_type: HeaderValue, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A response with `value` as JSON.
///
/// # Panics
///
/// When `value` cannot be JSON: a map whose keys are no strings.
pub fn json(value: &impl Serialize) -> Response {
    whole(JSON, serde_json::to_vec(value).expect("the caller's value has a form in JSON"))
}

/// As [`json`], for a text that is JSON already.
pub(crate) fn json_text(text: &'static str) -> Response {
    whole(JSON, Bytes::from_static(text.as_bytes()))
}

/// A status that is no success, and the reason in words. Its body is `{"error":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    reason: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal with a status and a reason for the client.
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status, reason: reason.into(), header: None }
    }

    /// The client sent something that we do not take: 400.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, reason)
    }

    /// The same with a header that says what to do.
    pub fn with(self, name: HeaderName, value: HeaderValue) -> Refusal {
        Refusal { header: Some((name, value)), ..self }
    }

    /// The refusal as a response.
    pub fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Error<'a> {
            error: &'a str,
        }

        let mut response = json(&Error { error: &self.reason });
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.header);
        response
    }
}

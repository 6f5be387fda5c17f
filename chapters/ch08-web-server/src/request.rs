//! What a handler is given.

use std::str::FromStr;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

use crate::Refusal;

/// The parts of a path that a pattern names, and what stands there.
pub(crate) type Params = Box<[(String, String)]>;

/// As the router found them, but owned and decoded: `%31` is `1`.
pub(crate) fn owned(params: &matchit::Params<'_, '_>) -> Params {
    let decoded = |value| percent_decode_str(value).decode_utf8_lossy().into_owned();
    params.iter().map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

/// A request whose body has been read, within its limits, before the handler is called.
#[derive(Debug)]
pub struct Request {
    parts: Parts,
    params: Params,
    body: Bytes,
}

impl Request {
    pub(crate) fn new(parts: Parts, params: Params, body: Bytes) -> Request {
        Request { parts, params, body }
    }

    /// GET, POST, …
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Path and query.
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The whole body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What stands in the path where the route has `{name}`, decoded.
    ///
    /// # Panics
    ///
    /// When the route has no such part: then handler and route do not belong together.
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(found, _)| found == name);
        &found.expect("the route names this part").1
    }

    /// The first value of `name` in the query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query()?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// The first value of `name` in the query, or `default` where there is none.
    ///
    /// # Errors
    ///
    /// A refusal that says what was expected, when the value cannot be parsed.
    pub fn query_or<T: FromStr>(
        &self,
        name: &str,
        default: T,
        expected: &str,
    ) -> Result<T, Refusal> {
        let Some(value) = self.query(name) else { return Ok(default) };
        value.parse().map_err(|_| {
            Refusal::bad_request(format!("{name}: expected {expected}, got {value:?}"))
        })
    }
}

//! Calls: JSON-RPC on `POST /rpc`, and the plain `GET`s.

use api::{Method, stats::Health};
use hyper::{Request, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::connection::{Body, full};
use crate::{Client, Error, Result};

/// What is escaped in one segment of a path: all but the unreserved characters of RFC 3986.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Serialize)]
struct Envelope<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: &'a P,
}

#[derive(Deserialize)]
struct Reply<'a> {
    // A null result and none at all look the same here; the reply's type decides whether null is one.
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i32,
    message: String,
    #[serde(default)]
    data: Value,
}

impl From<ErrorObject> for Error {
    fn from(object: ErrorObject) -> Self {
        let data = serde_json::from_value(object.data).ok();
        Self::Rpc { code: object.code, message: object.message, data }
    }
}

/// The first words of a reply that makes no sense, for the error message.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { "an empty body".to_owned() } else { format!("{text:?}") }
}

/// A reply of one of the plain HTTP resources: its JSON, or the error object in its body.
pub(crate) fn resource<T: DeserializeOwned>(what: &str, status: StatusCode, body: &[u8]) -> Result<T> {
    if !status.is_success() {
        return Err(match serde_json::from_slice::<ErrorObject>(body) {
            Ok(object) => object.into(),
            Err(_) => Error::Protocol(format!("{what} was answered with {status} and {}", excerpt(body))),
        });
    }
    serde_json::from_slice(body)
        .map_err(|error| Error::Protocol(format!("{what} was answered with {} ({error})", excerpt(body))))
}

/// Starts a request; the address is fixed by the socket, so the host is only there because HTTP/1.1 wants one.
pub(crate) fn request(method: hyper::Method, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "localhost")
}

/// Finishes a request; the only parts that callers choose are percent-encoded or checked before.
pub(crate) fn finish(builder: hyper::http::request::Builder, body: Body) -> Result<Request<Body>> {
    builder.body(body).map_err(|error| Error::Protocol(format!("the request cannot be written: {error}")))
}

impl Client {
    /// Calls a method.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when nothing listens, [`Error::Rpc`] when the server refuses, the others when the
    /// connection breaks or the answer makes no sense. After [`Error::Io`] the call may have been carried out.
    pub async fn call<M: Method>(&self, params: M::Params) -> Result<M::Reply> {
        let envelope = Envelope { jsonrpc: "2.0", id: 1, method: M::NAME, params: &params };
        let body = serde_json::to_vec(&envelope)
            .map_err(|error| Error::Protocol(format!("{}: cannot write the parameters: {error}", M::NAME)))?;
        let builder = request(hyper::Method::POST, "/rpc").header(header::CONTENT_TYPE, "application/json");
        let (status, body) = self.pool.exchange(finish(builder, full(body))?).await?;
        let strange = |why: String| {
            Error::Protocol(format!("{} was answered with {status} and {} ({why})", M::NAME, excerpt(&body)))
        };
        let reply: Reply<'_> = serde_json::from_slice(&body).map_err(|error| strange(error.to_string()))?;
        if let Some(error) = reply.error {
            return Err(error.into());
        }
        let result = reply.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(|error| strange(error.to_string()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let (status, body) = self.pool.exchange(finish(request(hyper::Method::GET, path), full(""))?).await?;
        resource(&format!("GET {path}"), status, &body)
    }

    /// `GET /health`.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn health(&self) -> Result<Health> {
        self.get("/health").await
    }

    /// `GET /openrpc.json`: the OpenRPC document.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn openrpc(&self) -> Result<Value> {
        self.get("/openrpc.json").await
    }
}

//! One call of a service through the gateway.

use std::path::Path;
use std::time::Duration;

use api::schedule::{Schedule, ScheduleRun};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{check, wall};

/// How much of an answer is kept, in bytes.
const HEAD: usize = 1024;

/// How much of an answer is read before the connection is closed, in bytes.
const READ: usize = 1 << 20;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("hero_runner-schedule/", env!("CARGO_PKG_VERSION")));

const ID: HeaderName = HeaderName::from_static("x-hero-schedule");

/// What is sent, and how long it may take.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
}

impl Call {
    /// What a schedule sends to a service with this prefix.
    ///
    /// # Errors
    /// The key at fault, and why.
    pub(super) fn new(id: &str, prefix: &str, schedule: &Schedule) -> Result<Self, (&'static str, String)> {
        let path = format!("/{}{}", prefix.trim_matches('/'), schedule.endpoint);
        // Of what a declaration may have in it, all that is not ASCII.
        let path = utf8_percent_encode(&path, CONTROLS).to_string();
        let path: PathAndQuery =
            path.parse().map_err(|error| ("endpoint", format!("{path:?} is no path: {error}")))?;
        let mut headers = check::headers(schedule)?;
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.entry(USER_AGENT).or_insert(AGENT);
        let id = HeaderValue::from_str(id).map_err(|error| ("name", format!("{id:?}: {error}")))?;
        headers.insert(ID, id);
        Ok(Self {
            method: check::method(schedule)?,
            uri: path.into(),
            headers,
            body: schedule.body.clone().unwrap_or_default().into(),
            timeout: Duration::from_millis(check::timeout(schedule)?),
        })
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Makes the call. Whatever becomes of it is told by the result; when `cut` is cancelled, it ends at once.
    pub(super) async fn make(&self, gateway: &Path, manual: bool, cut: &CancellationToken) -> ScheduleRun {
        let at = u64::try_from(wall()).unwrap_or(0);
        let begin = tokio::time::Instant::now();
        let mut answer = Answer::default();
        let end = tokio::select! {
            end = tokio::time::timeout(self.timeout, self.exchange(gateway, &mut answer)) => {
                end.unwrap_or_else(|_| Err(format!("it took longer than {} ms", self.timeout.as_millis())))
            }
            () = cut.cancelled() => Err("the server stopped before it was answered".to_owned()),
        };
        ScheduleRun {
            at,
            status: answer.status,
            duration_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
            body_head: answer.head(),
            error: end.err(),
            manual,
        }
    }

    async fn exchange(&self, gateway: &Path, answer: &mut Answer) -> Result<(), String> {
        let stream = UnixStream::connect(gateway)
            .await
            .map_err(|error| format!("the gateway cannot be reached: {error}"))?;
        let broken = |error: hyper::Error| format!("the connection to the gateway broke: {}", causes(&error));
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Dropped with this call, however it ends, and with it the connection.
        let mut connections = JoinSet::new();
        connections.spawn(connection);
        let response = sender.send_request(self.request()).await.map_err(broken)?;
        answer.status = Some(response.status().as_u16());
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(broken)?.into_data() {
                answer.take(&data);
                if answer.read >= READ {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A failure with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What has come of an answer.
#[derive(Debug, Default)]
struct Answer {
    status: Option<u16>,
    head: Vec<u8>,
    read: usize,
}

impl Answer {
    fn take(&mut self, data: &[u8]) {
        self.read += data.len();
        let room = HEAD.saturating_sub(self.head.len()).min(data.len());
        self.head.extend_from_slice(&data[..room]);
    }

    /// The first bytes as text. A letter that was cut in two at their end is left out: it was not invalid.
    fn head(&self) -> String {
        let mut text = String::with_capacity(self.head.len());
        let cut = self.read > self.head.len();
        let mut chunks = self.head.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let halved = cut && chunks.peek().is_none() && begins_a_letter(invalid);
            if !invalid.is_empty() && !halved {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

/// Whether these bytes can be the beginning of a letter.
fn begins_a_letter(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(parts: &[&[u8]]) -> Answer {
        let mut answer = Answer::default();
        for part in parts {
            answer.take(part);
        }
        answer
    }

    #[test]
    fn the_head_of_an_answer_is_text_of_at_most_1024_bytes() {
        assert_eq!(answer(&[]).head(), "");
        assert_eq!(answer(&[b"hel", b"lo"]).head(), "hello");
        assert_eq!(answer(&[b"a\xffb\xc3"]).head(), "a\u{fffd}b\u{fffd}");
        let long = "x".repeat(1023);
        let umlaut = answer(&[long.as_bytes(), "ü".as_bytes(), b"more"]);
        assert_eq!(umlaut.head(), long);
        assert_eq!(umlaut.read, 1029);
        // What is invalid in any case is shown as that, also at the end.
        assert_eq!(answer(&[long.as_bytes(), b"\xff", b"more"]).head(), format!("{long}\u{fffd}"));
        assert_eq!(answer(&[&[b'x'; 5000]]).head().len(), 1024);
    }

    #[test]
    fn a_call_says_who_it_is_and_where_it_goes() {
        let schedule = Schedule {
            endpoint: "/tück?a=b".into(),
            interval_secs: Some(1),
            method: Some("PUT".into()),
            headers: [("X-Hero-Schedule", "forged"), ("x-token", "t")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
            body: Some("hi".into()),
            ..Schedule::default()
        };
        let request = Call::new("svc/tick", "my/svc", &schedule).unwrap().request();
        assert_eq!(request.uri(), "/my/svc/t%C3%BCck?a=b");
        assert_eq!(request.method(), Method::PUT);
        let header = |name: &str| request.headers()[name].to_str().expect("text");
        assert_eq!(header("host"), "localhost");
        assert_eq!(header("user-agent"), format!("hero_runner-schedule/{}", api::VERSION));
        assert_eq!(header("x-hero-schedule"), "svc/tick");
        assert_eq!(header("x-token"), "t");
    }
}

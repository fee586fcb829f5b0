//! Packages, streamed to `POST /upload`: of a server's own socket, or of a gateway.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::service::Deployed;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::{Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::io::ReaderStream;

use crate::Error;
use crate::call::{SEGMENT, finish, resource};
use crate::connection::{Body, Sender};
use crate::sse::Parser;

const CHUNK: usize = 128 << 10;

/// Where a package is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server's socket.
    Unix(PathBuf),
    /// A gateway, `host:port`.
    Http(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "" => Err("it is empty: name a socket's path or http://host:port".to_owned()),
                path => Ok(Self::Unix(path.into())),
            };
        };
        let authority = rest.trim_end_matches('/');
        let port = authority.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
        match (scheme, port.map(str::parse::<u16>)) {
            ("unix", _) => Ok(Self::Unix(rest.into())),
            ("http", Some(Ok(port))) if port > 0 && !authority.contains(['/', '@', '?', '#']) => {
                Ok(Self::Http(authority.to_owned()))
            }
            ("http", _) => Err(format!("{text:?} is not http://host:port")),
            _ => Err(format!(
                "{text:?}: a gateway speaks http only; name http://host:port, or a socket's path"
            )),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Http(authority) => write!(f, "http://{authority}"),
        }
    }
}

/// A package that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
    /// Its media type.
    pub media_type: String,
    /// The service's name, if it is to be another than the manifest's.
    pub name: Option<String>,
    /// The token that a gateway wants.
    pub token: Option<String>,
}

/// What happens to a package on its way.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// So many bytes of so many were sent.
    Sent(u64, u64),
    /// The server did this, with what it says of it.
    Stage(String, serde_json::Value),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The version that serves, and its service.
    pub deployed: Deployed,
    /// Whether it served before.
    pub unchanged: bool,
}

/// Why a package was not deployed.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    /// Whether the same may work in a while.
    pub transient: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let transient = error.retryable() || matches!(error, Error::NotRunning { .. } | Error::Io { .. });
        Self { error, transient }
    }
}

/// Sends a package and returns when its service serves it.
///
/// # Errors
/// When nobody listens, the server refuses it, or its version does not become ready. Sending the same again does no harm:
/// the package that serves already is not deployed twice.
pub async fn deploy(
    target: &Target,
    archive: &Archive,
    mut tell: impl FnMut(Progress),
) -> Result<Outcome, Failure> {
    let file = tokio::fs::File::open(&archive.path).await;
    let file = file.map_err(|source| unreadable(&archive.path, source))?;
    let total = file.metadata().await.map_err(|source| unreadable(&archive.path, source))?.len();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let chunks = ReaderStream::with_capacity(file, CHUNK)
        .inspect_ok(move |chunk| _ = counted.fetch_add(chunk.len() as u64, Relaxed))
        .map_ok(Frame::data);
    let query = archive
        .name
        .as_ref()
        .map(|name| format!("?name={}", utf8_percent_encode(name, SEGMENT)))
        .unwrap_or_default();
    let host = if let Target::Http(authority) = target { authority } else { "localhost" };
    let mut builder = hyper::Request::builder()
        .method(hyper::Method::POST)
        .uri(format!("/upload{query}"))
        .header(header::HOST, host)
        .header(header::ACCEPT, "text/event-stream, application/json;q=0.5")
        .header(header::CONTENT_TYPE, &archive.media_type)
        .header(header::CONTENT_LENGTH, total)
        .header("x-content-sha256", &archive.sha256);
    if let Some(token) = &archive.token {
        builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = finish(builder, StreamBody::new(chunks).boxed_unsync())?;
    let mut sender = connect(target).await?;
    let response = {
        let mut answered = std::pin::pin!(sender.send_request(request));
        let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            tokio::select! {
                answered = &mut answered => break answered,
                _ = look.tick() => tell(Progress::Sent(sent.load(Relaxed), total)),
            }
        }
    };
    let response = response.map_err(|source| broke(target, source))?;
    tell(Progress::Sent(sent.load(Relaxed), total));
    follow(target, response, tell).await
}

/// Reads the answer: events while it is deployed, or an error.
async fn follow(
    target: &Target,
    response: Response<Incoming>,
    mut tell: impl FnMut(Progress),
) -> Result<Outcome, Failure> {
    let status = response.status();
    let events = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let mut body = response.into_body();
    if !events {
        let body = body.collect().await.map_err(|source| broke(target, source))?.to_bytes();
        return plain(status, &body);
    }
    let (mut parser, mut found) = (Parser::default(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| broke(target, source))?;
        let bytes = frame.into_data().unwrap_or_default();
        let large = |_| Error::Protocol(format!("{target} sends an event that is too large"));
        parser.feed(&bytes, &mut found).map_err(large)?;
        for event in found.drain(..) {
            let strange = |error: serde_json::Error| {
                Error::Protocol(format!("{target} sent {} that makes no sense: {error}", event.name))
            };
            match event.name.as_str() {
                "deployed" | "unchanged" => {
                    let deployed = serde_json::from_str(&event.data).map_err(strange)?;
                    return Ok(Outcome { deployed, unchanged: event.name == "unchanged" });
                }
                "error" => return plain(StatusCode::UNPROCESSABLE_ENTITY, event.data.as_bytes()),
                _ => tell(Progress::Stage(
                    event.name.clone(),
                    serde_json::from_str(&event.data).map_err(strange)?,
                )),
            }
        }
    }
    let source = io::Error::from(io::ErrorKind::UnexpectedEof);
    Err(Error::io(format!("{target} ended its answer too early"), source).into())
}

/// What the gateway itself says.
#[derive(Deserialize)]
struct Refused {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
    #[serde(default)]
    hint: String,
}

fn plain(status: StatusCode, body: &[u8]) -> Result<Outcome, Failure> {
    let busy = matches!(status.as_u16(), 429 | 502..=504);
    if let Ok(Refused { error }) = serde_json::from_slice(body) {
        let message = if status == StatusCode::NOT_FOUND {
            format!("{}; no packages are taken there: its server has no upload_token", error.message)
        } else {
            error.message
        };
        let data = api::ErrorData { code_name: "refused".to_owned(), retryable: busy, hint: error.hint };
        return Err(Failure {
            error: Error::Rpc { code: -32600, message, data: Some(data) },
            transient: busy,
        });
    }
    match resource::<Deployed>("POST /upload", status, body) {
        Ok(deployed) => Ok(Outcome { deployed, unchanged: status == StatusCode::OK }),
        Err(error) => Err(Failure { transient: busy || error.retryable(), error }),
    }
}

async fn connect(target: &Target) -> Result<Sender, Error> {
    match target {
        Target::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(|source| match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Error::NotRunning { path: path.clone(), source }
                }
                _ => Error::io(format!("cannot connect to {target}"), source),
            })?;
            shake(target, stream).await
        }
        Target::Http(authority) => {
            let stream = TcpStream::connect(authority.as_str()).await;
            let stream = stream.map_err(|source| Error::io(format!("cannot connect to {target}"), source))?;
            shake(target, stream).await
        }
    }
}

async fn shake<S>(target: &Target, stream: S) -> Result<Sender, Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let shaken = handshake::<_, Body>(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|source| broke(target, source))?;
    // The task ends with the connection: when the sender and the reply are dropped, or the server hangs up.
    tokio::spawn(connection);
    Ok(sender)
}

fn broke(target: &Target, source: hyper::Error) -> Error {
    Error::io(format!("the connection to {target} broke"), io::Error::other(source))
}

fn unreadable(path: &Path, source: io::Error) -> Failure {
    // Nothing changes by itself about a file of this machine.
    Failure { error: Error::io(format!("cannot read {}", path.display()), source), transient: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_sockets_or_gateways() {
        let read = |text: &str| text.parse::<Target>();
        assert_eq!(read("/s/rpc.sock"), Ok(Target::Unix("/s/rpc.sock".into())));
        assert_eq!(read("unix:///s/rpc.sock"), Ok(Target::Unix("/s/rpc.sock".into())));
        assert_eq!(read("http://box:14000/"), Ok(Target::Http("box:14000".to_owned())));
        assert_eq!(read("http://[::1]:80").unwrap().to_string(), "http://[::1]:80");
        for wrong in
            ["", "http://box", "http://box:0", "http://box:1/x", "https://box:1", "ftp://box:1", "http://:1"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_may_work_in_a_while_is_told_apart() {
        let full =
            r#"{"code":-33010,"message":"m","data":{"code_name":"queue_full","retryable":true,"hint":"h"}}"#;
        let wrong = r#"{"code":-33025,"message":"m","data":{"code_name":"deploy_error","retryable":false,"hint":"h"}}"#;
        let gateway = r#"{"error":{"code":"too_many_connections","message":"m","hint":"h"}}"#;
        for (status, body, transient) in [
            (429, full, true),
            (422, wrong, false),
            (503, gateway, true),
            (404, gateway, false),
            (502, "?", true),
        ] {
            let failure = plain(StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap_err();
            assert_eq!(failure.transient, transient, "{failure:?}");
        }
    }
}

//! A server whose answers are a closure.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// The request with its whole body.
pub(crate) type Seen = Request<Bytes>;

pub(crate) struct Fake {
    pub(crate) socket: PathBuf,
    pub(crate) connections: Arc<AtomicUsize>,
    _dir: tempfile::TempDir,
}

impl Fake {
    pub(crate) fn client(&self) -> client::Client {
        client::Client::new(&self.socket)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(crate) fn json(status: u16, value: &serde_json::Value) -> Reply {
    let body = Full::from(value.to_string()).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}

/// The result or error that a JSON-RPC reply carries, around it the envelope.
pub(crate) fn rpc(member: &str, value: serde_json::Value) -> Reply {
    let mut envelope = serde_json::json!({ "jsonrpc": "2.0", "id": 1 });
    envelope[member] = value;
    json(200, &envelope)
}

/// Serves with `answer(request, number of the request)`. `one_per_connection` hangs up after each reply
/// without having announced it.
pub(crate) fn serve<F>(one_per_connection: bool, answer: F) -> Fake
where
    F: Fn(Seen, usize) -> Reply + Send + Sync + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("rpc.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let requests = Arc::new(AtomicUsize::new(0));
    let answer = Arc::new(answer);
    let seen = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            let (answer, requests) = (answer.clone(), requests.clone());
            tokio::spawn(async move {
                let (done, mut closed) = tokio::sync::mpsc::unbounded_channel();
                let service = service_fn(|request: Request<Incoming>| {
                    let (answer, number, done) =
                        (answer.clone(), requests.fetch_add(1, Ordering::SeqCst), done.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        let reply = answer(Request::from_parts(parts, body), number);
                        let _ = done.send(());
                        Ok::<_, Infallible>(reply)
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => return,
                    _ = closed.recv(), if one_per_connection => {}
                }
                // The reply still has to go out; then the connection is dropped without a word.
                let _ = tokio::time::timeout(std::time::Duration::from_millis(20), connection).await;
            });
        }
    });
    Fake { socket, connections, _dir: dir }
}

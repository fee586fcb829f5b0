//! A server whose answers are a closure, and the program under test.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixListener;

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// What is asked: a JSON-RPC method, or the path of anything else.
pub(crate) struct Ask {
    pub(crate) name: String,
    pub(crate) params: Value,
    pub(crate) body: Bytes,
}

pub(crate) enum Answer {
    Result(Value),
    Error(api::ErrorCode),
    Sse(String),
    Json(Value),
    /// No answer at all.
    Silence,
}

fn respond(answer: Answer) -> Option<Reply> {
    let (kind, text) = match answer {
        Answer::Result(result) => {
            ("application/json", json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string())
        }
        Answer::Error(code) => {
            let error =
                json!({ "code": code.code(), "message": code.name(), "data": api::ErrorData::from(code) });
            ("application/json", json!({ "jsonrpc": "2.0", "id": 1, "error": error }).to_string())
        }
        Answer::Sse(text) => ("text/event-stream", text),
        Answer::Json(value) => ("application/json", value.to_string()),
        Answer::Silence => return None,
    };
    let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
    Some(Response::builder().header("content-type", kind).body(body).unwrap())
}

/// Serves forever. A closure that blocks holds up only its own connection.
pub(crate) async fn serve(listener: UnixListener, answer: Arc<dyn Fn(Ask) -> Answer + Send + Sync>) {
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer.clone();
            async move {
                let path = request.uri().path().to_owned();
                let body =
                    request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let call: Value = serde_json::from_slice(&body).unwrap_or_default();
                let ask = match (path.as_str(), call["method"].as_str()) {
                    ("/rpc", Some(method)) => {
                        Ask { name: method.to_owned(), params: call["params"].clone(), body }
                    }
                    _ => Ask { name: path, params: Value::Null, body },
                };
                let reply = tokio::task::spawn_blocking(move || answer(ask)).await.unwrap();
                match respond(reply) {
                    Some(reply) => Ok::<_, Infallible>(reply),
                    None => std::future::pending().await,
                }
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// A server in this process, and a folder for everything that belongs to it.
pub(crate) struct Fake {
    dir: tempfile::TempDir,
    _runtime: Option<tokio::runtime::Runtime>,
}

impl Fake {
    /// A folder, and nobody who listens.
    pub(crate) fn absent() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), _runtime: None }
    }

    pub(crate) fn new(answer: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let fake = Self { dir: tempfile::tempdir().unwrap(), _runtime: None };
        let listener = runtime.block_on(async { UnixListener::bind(fake.socket()).unwrap() });
        runtime.spawn(serve(listener, Arc::new(answer)));
        Self { _runtime: Some(runtime), ..fake }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("rpc.sock")
    }

    /// The program, cut off from the environment of whoever runs the tests.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_hero_runner")), args)
    }

    pub(crate) fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path());
        command.env("HERO_RUNNER_SOCKET", self.socket());
        // Never the supervisor of the machine that the tests run on.
        command.env("ZINIT_SOCKET", self.path().join("zinit.sock"));
        command.args(args).stdin(std::process::Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Seen {
        Seen::of(self.command(args).output().unwrap())
    }
}

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Seen {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

//! A server whose answers are a closure, and the pages in front of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use client::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

/// What the server says to a method: its result, or an error of the table.
pub(crate) type Said = Result<Value, api::ErrorCode>;

type Says = dyn Fn(&str, &Value) -> Said + Send + Sync;

struct Server {
    says: Box<Says>,
    /// Every call but the two lists.
    calls: Mutex<Vec<(String, Value)>>,
}

async fn rpc(State(server): State<Arc<Server>>, body: Bytes) -> String {
    let call: Value = serde_json::from_slice(&body).expect("the client sends JSON");
    let (method, params) = (call["method"].as_str().expect("a call has a method"), &call["params"]);
    if !method.ends_with("_list") {
        server.calls.lock().expect("no test panics here").push((method.to_owned(), params.clone()));
    }
    match (server.says)(method, params) {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string(),
        Err(code) => {
            let error = json!({
                "code": code.code(), "message": format!("<b>{}</b>", code.name()), "data": api::ErrorData::from(code),
            });
            json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }).to_string()
        }
    }
}

/// The pages on a socket, with or without a server behind them.
pub(crate) struct Pages {
    dir: tempfile::TempDir,
    server: Option<Arc<Server>>,
    _stop: oneshot::Sender<()>,
}

/// An answer, as text.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Pages {
    /// The pages alone.
    pub(crate) fn without_server() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(dir.path().join("ui.sock")).expect("a socket for the pages");
        let (stop, stopped) = oneshot::channel();
        let router = hero_runner_ui::routes::router(Client::new(dir.path().join("rpc.sock")));
        tokio::spawn(hero_runner_ui::accept::serve(listener, router, stopped));
        Self { dir, server: None, _stop: stop }
    }

    /// The pages in front of a server that says this.
    pub(crate) fn new(says: impl Fn(&str, &Value) -> Said + Send + Sync + 'static) -> Self {
        let pages = Self::without_server();
        let server = Arc::new(Server { says: Box::new(says), calls: Mutex::default() });
        let router = Router::new().route("/rpc", post(rpc)).with_state(server.clone());
        let listener =
            UnixListener::bind(pages.dir.path().join("rpc.sock")).expect("a socket for the server");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { server: Some(server), ..pages }
    }

    /// The pages in front of a server with these services, problems and schedules.
    pub(crate) fn showing(services: Value, problems: Value, schedules: Value) -> Self {
        let gateway = "http://127.0.0.1:14000";
        let list = json!({ "services": services, "problems": problems, "gateway": gateway });
        Self::new(move |method, _| match method {
            "service_list" => Ok(list.clone()),
            "schedule_list" => Ok(json!({ "schedules": schedules })),
            _ => Err(api::ErrorCode::ScheduleNotFound),
        })
    }

    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        self.server
            .as_ref()
            .map(|server| server.calls.lock().expect("no test panics here").clone())
            .unwrap_or_default()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("ui.sock")
    }

    pub(crate) async fn get(&self, path: &str, more: &str) -> Seen {
        ask(&self.socket(), &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n"))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Seen {
        self.send(path, "application/x-www-form-urlencoded", body).await
    }

    pub(crate) async fn send(&self, path: &str, kind: &str, body: &str) -> Seen {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}");
        ask(&self.socket(), &format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")).await
    }
}

/// Sends a request by hand and reads until the other side closes.
pub(crate) async fn ask(socket: &Path, request: &str) -> Seen {
    let mut stream = UnixStream::connect(socket).await.expect("the pages listen");
    // The other side may answer before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).expect("the pages are UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    Seen { status, head: head.to_owned(), body: body.to_owned() }
}

/// A service, with what is to be different.
pub(crate) fn service(more: Value) -> Value {
    with(
        json!({
            "name": "hello", "description": null, "prefix": "hello", "kind": "listener", "state": "ready", "reason": null,
            "next_try_at": null, "url": "http://127.0.0.1:14000/hello/", "address": "http://127.0.0.1:15001",
            "module": "hello", "instances": [], "restarts": 0, "ready_since": null, "last_probe": null,
            "memory_limit_mb": null, "requests": 0, "schedules": 0,
        }),
        more,
    )
}

/// A schedule, with what is to be different.
pub(crate) fn schedule(more: Value) -> Value {
    with(
        json!({
            "id": "hello/tick", "service": "hello", "endpoint": "/tick", "method": "GET", "when": "every 60 s",
            "paused": false, "running": false, "next_at": null, "last_run": null, "runs": 0, "skipped": 0,
        }),
        more,
    )
}

fn with(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    for (name, field) in more {
        value[name] = field;
    }
    value
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("a clock");
    u64::try_from(since.as_millis()).expect("not so late")
}

//! A server whose answers are a closure, and the dashboard in front of it, with both of its doors.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use client::Client;
use hero_runner_ui::app::App;
use hero_runner_ui::door::guard::Guard;
use hero_runner_ui::door::port::Port;
use hero_runner_ui::{accept, routes};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

/// What the server says to a method: its result, or an error of the table.
pub(crate) type Said = Result<Value, api::ErrorCode>;

type Says = dyn Fn(&str, &Value) -> Said + Send + Sync;

struct Server {
    says: Box<Says>,
    /// Every call but what the pages ask for by themselves.
    calls: Mutex<Vec<(String, Value)>>,
    /// The heads of what was passed on besides calls, and how many bytes came with each.
    passed: Mutex<Vec<(String, usize)>>,
    /// What is sent as events, piece by piece.
    events: tokio::sync::Mutex<mpsc::Receiver<&'static str>>,
}

async fn rpc(State(server): State<Arc<Server>>, body: Bytes) -> String {
    let call: Value = serde_json::from_slice(&body).expect("the client sends JSON");
    let one = |call: &Value| server.answer(call);
    match &call {
        Value::Array(batch) => Value::from(batch.iter().map(one).collect::<Vec<_>>()).to_string(),
        call => one(call).to_string(),
    }
}

/// What is neither a call nor events: its head is kept, and its bytes are counted as they come.
async fn other(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {}", head.method, head.uri);
    for (name, value) in &head.headers {
        text += &format!("\n{name}: {}", value.to_str().unwrap_or("?"));
    }
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("the body comes").len();
    server.passed.lock().expect("no test panics here").push((text, bytes));
    (axum::http::StatusCode::CREATED, json!({ "bytes": bytes }).to_string()).into_response()
}

async fn events(State(server): State<Arc<Server>>, request: Request) -> Response {
    let last = request.headers().get("last-event-id").and_then(|value| value.to_str().ok()).unwrap_or("none");
    let head = format!("GET {} after {last}", request.uri());
    server.passed.lock().expect("no test panics here").push((head, 0));
    let pieces = futures_util::stream::unfold(server, |server| async move {
        let piece = server.events.lock().await.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), server))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(pieces)).into_response()
}

impl Server {
    fn answer(&self, call: &Value) -> Value {
        let (method, params) = (call["method"].as_str().expect("a call has a method"), &call["params"]);
        let usual = method.ends_with("_list") || method.starts_with("stats");
        if !usual {
            self.calls.lock().expect("no test panics here").push((method.to_owned(), params.clone()));
        }
        match (self.says)(method, params) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Err(code) => {
                let error = json!({
                    "code": code.code(), "message": format!("<b>{}</b>", code.name()), "data": api::ErrorData::from(code),
                });
                json!({ "jsonrpc": "2.0", "id": call["id"], "error": error })
            }
        }
    }
}

/// The dashboard behind both doors, with or without a server behind it.
pub(crate) struct Pages {
    dir: tempfile::TempDir,
    server: Option<Arc<Server>>,
    port: SocketAddr,
    pub(crate) guard: Arc<Guard>,
    events: mpsc::Sender<&'static str>,
    _stop: watch::Sender<()>,
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
        Self::made(None)
    }

    /// The pages in front of a server that says this.
    pub(crate) fn new(says: impl Fn(&str, &Value) -> Said + Send + Sync + 'static) -> Self {
        Self::made(Some(Box::new(says)))
    }

    fn made(says: Option<Box<Says>>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let socket = dir.path().join("ui.sock");
        let listener = UnixListener::bind(&socket).expect("a socket for the pages");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let hosts = ["box.example".to_owned()];
        let port = Port::open(any_port, &hosts, Duration::from_secs(3600), &socket).expect("a port");
        let app =
            App { address: Some(port.address.clone()), ..App::new(Client::new(dir.path().join("rpc.sock"))) };
        let app = Arc::new(app);
        let (stop, stopped) = watch::channel(());
        tokio::spawn(accept::serve(listener, routes::unix(app.clone()), stopped.clone()));
        let guard = port.guard.clone();
        let address = port.listener.local_addr().expect("a port has a number");
        let listener = port.listener.try_clone().and_then(TcpListener::from_std).expect("it can be polled");
        tokio::spawn(accept::serve(listener, routes::tcp(app, guard.clone()), stopped));
        let (events, pieces) = mpsc::channel(8);
        let server = says.map(|says| {
            let state =
                Server { says, calls: Mutex::default(), passed: Mutex::default(), events: pieces.into() };
            let state = Arc::new(state);
            let router = Router::new()
                .route("/rpc", post(rpc))
                .route("/openrpc.json", get(async || api::openrpc::text()))
                .route(
                    "/health",
                    get(async || {
                        json!({ "status": "ok", "service": "hero_runner", "version": "9" }).to_string()
                    }),
                )
                .route("/sse/session/{id}", get(self::events))
                .fallback(any(other))
                .layer(axum::extract::DefaultBodyLimit::disable())
                .with_state(state.clone());
            let listener = UnixListener::bind(dir.path().join("rpc.sock")).expect("a socket for the server");
            tokio::spawn(async move { axum::serve(listener, router).await });
            state
        });
        Self { dir, server, port: address, guard, events, _stop: stop }
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

    /// What was passed on besides calls.
    pub(crate) fn passed(&self) -> Vec<(String, usize)> {
        self.server
            .as_ref()
            .map(|server| server.passed.lock().expect("no test panics here").clone())
            .unwrap_or_default()
    }

    /// Has the server send a piece of its events.
    pub(crate) async fn event(&self, piece: &'static str) {
        self.events.send(piece).await.expect("somebody listens");
    }

    /// A new token; the one before has expired.
    pub(crate) fn token(&self) -> String {
        self.guard.tokens.renew().expect("random bytes")
    }

    /// The port for browsers.
    pub(crate) fn port(&self) -> SocketAddr {
        self.port
    }

    /// A request through the port for browsers, whose head is written by hand but for its end.
    pub(crate) async fn browse(&self, head: &str, body: &str) -> Seen {
        let stream = TcpStream::connect(self.port).await.expect("the port listens");
        let length = body.len();
        exchange(stream, &format!("{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")).await
    }

    /// A connection on which more is read as it comes.
    pub(crate) async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.expect("the pages listen")
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
    exchange(UnixStream::connect(socket).await.expect("the pages listen"), request).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Seen {
    // The other side may answer before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is ASCII");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Seen { status, head, body }
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

//! A core without an engine, and a client that speaks HTTP by hand.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test uses a part of it"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::error::Error;
use api::module::{ArtifactState, ModuleDetail, ModuleInfo};
use api::session::{Done, SessionInfo};
use api::{ErrorCode, ModuleKind, SessionState, method as m, stats};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use hero_runner_server::core::{Core, Result, Upload};
use hero_runner_server::methods::Methods;
use hero_runner_server::serve::serve;
use hero_runner_server::settings::{Settings, Sources};
use hero_runner_server::signals::Order;
use supervisor::logs::LogEvent;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// An upload: its name and its bytes.
pub type Uploaded = (Option<String>, Vec<u8>);

/// What the stand-in knows and what it saw.
#[derive(Debug, Clone, Default)]
pub struct StandIn {
    /// The events of the session `live`, taken by its first subscriber.
    pub live: Arc<Mutex<Option<mpsc::Receiver<LogEvent>>>>,
    /// The places from which logs were followed.
    pub followed: Arc<Mutex<Vec<Option<u64>>>>,
    /// What was uploaded.
    pub uploads: Arc<Mutex<Vec<Uploaded>>>,
    /// Uploads that were begun and given up.
    pub given_up: Arc<Mutex<u32>>,
    /// The sessions that were stopped.
    pub stopped: Arc<Mutex<Vec<String>>>,
}

pub fn not_found(id: &str) -> Error {
    Error::new(ErrorCode::SessionNotFound, format!("no session has the id {id}"))
}

pub fn info(session_id: String) -> SessionInfo {
    SessionInfo {
        session_id,
        module: "hello".into(),
        template: None,
        digest: format!("sha256:{}", "0".repeat(64)),
        state: SessionState::Running,
        ready: true,
        outcome: None,
        child_pid: Some(4242),
        args: vec!["one".into()],
        labels: BTreeMap::new(),
        created_at: 1_700_000_000_000,
        started_at: Some(1_700_000_000_001),
        ended_at: None,
        duration_ms: None,
        cpu_ms: None,
        max_rss_kb: None,
        minor_faults: None,
        start: Some(api::StartKind::Parked),
        mode: None,
        engine: None,
        limits: api::session::Limits::default(),
        attempts: Vec::new(),
        load_ms: None,
        value: None,
        log_next_seq: 3,
        log_dropped: 0,
    }
}

impl Core for StandIn {
    type Upload = Received;

    fn methods(&self) -> Methods {
        let mut methods = Methods::default();
        methods.on::<m::SessionGetMethod, _, _>(|params| async move {
            if params.session_id == "none" { Err(not_found("none")) } else { Ok(info(params.session_id)) }
        });
        let stopped = Arc::clone(&self.stopped);
        methods.on::<m::SessionStopMethod, _, _>(move |params| {
            let stopped = Arc::clone(&stopped);
            async move {
                stopped.lock().unwrap().push(params.session_id);
                Ok(Done { ok: true })
            }
        });
        methods.constant::<m::DiscoverMethod>(api::openrpc::text().into());
        methods
    }

    async fn subscribe(&self, id: &str, after: Option<u64>) -> Result<BoxStream<'static, LogEvent>> {
        self.followed.lock().unwrap().push(after);
        let receiver = self.live.lock().unwrap().take_if(|_| id == "live").ok_or_else(|| not_found(id))?;
        Ok(tokio_stream::wrappers::ReceiverStream::new(receiver).boxed())
    }

    async fn upload(&self, name: Option<&str>, sha256: Option<String>) -> Result<Received> {
        if name == Some("UPPER") {
            return Err(Error::new(ErrorCode::NameInvalid, "UPPER is no name"));
        }
        Ok(Received {
            name: name.map(str::to_owned),
            sha256,
            bytes: Vec::new(),
            core: self.clone(),
            finished: false,
        })
    }

    async fn stats(&self) -> stats::Stats {
        stats::Stats { engine: "none 0".into(), running: 7, ..stats::Stats::default() }
    }

    async fn health(&self) -> stats::Health {
        stats::Health {
            status: "ok".into(),
            service: api::SERVICE.into(),
            version: api::VERSION.into(),
            reasons: Vec::new(),
        }
    }

    async fn drain(&self, grace: Duration) {
        // As a core does whose sessions do not end by themselves.
        tokio::time::sleep(grace).await;
    }
}

/// An upload to the stand-in.
#[derive(Debug)]
pub struct Received {
    name: Option<String>,
    sha256: Option<String>,
    bytes: Vec<u8>,
    core: StandIn,
    finished: bool,
}

impl Upload for Received {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.bytes.extend_from_slice(&piece);
        if self.bytes.len() > 1 << 20 {
            return Err(Error::new(ErrorCode::TooLarge, "the module is larger than 1048576 bytes"));
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<ModuleDetail> {
        self.finished = true;
        if self.sha256.as_ref().is_some_and(|digest| digest.starts_with('f')) {
            return Err(Error::new(ErrorCode::DigestMismatch, "the digest differs"));
        }
        if !self.bytes.starts_with(b"\0asm") {
            return Err(Error::new(ErrorCode::ModuleInvalid, "the file does not begin as a module"));
        }
        let size = self.bytes.len() as u64;
        self.core.uploads.lock().unwrap().push((self.name.clone(), std::mem::take(&mut self.bytes)));
        Ok(ModuleDetail {
            missing: Vec::new(),
            info: ModuleInfo {
                name: self.name.clone().unwrap_or_default(),
                digest: "sha256:00".into(),
                kind: ModuleKind::Core,
                size,
                created_at: 0,
                artifact: ArtifactState::Interpreted,
            },
            imports: Vec::new(),
            exports: Vec::new(),
        })
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.finished {
            *self.core.given_up.lock().unwrap() += 1;
        }
    }
}

/// Settings of a server that lives in `dir`.
pub fn settings(dir: &Path) -> Settings {
    let dir = dir.to_str().unwrap();
    let env = [("HERO_SOCKET_DIR", dir), ("HERO_RUNNER_STATE_DIR", dir), ("HERO_RUNNER_DRAIN_MS", "300")];
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Sources { env, ..Sources::default() }.resolve().unwrap().settings
}

/// A server on a socket of its own.
#[derive(Debug)]
pub struct Running {
    pub core: StandIn,
    pub settings: Settings,
    pub orders: mpsc::Sender<Order>,
    pub server: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

/// Starts a server whose settings `change` has changed.
pub fn start(change: impl FnOnce(&mut Settings)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    change(&mut settings);
    let core = StandIn::default();
    let (orders, receiver) = mpsc::channel(8);
    let task = (core.clone(), settings.clone());
    let lock = hero_runner_server::lock::Lock::take(&settings).unwrap();
    let bound = hero_runner_server::socket::listen(None, &settings.socket, &lock).unwrap();
    let server = tokio::spawn(async move {
        let (core, settings) = task;
        serve(core, bound.listener, &settings, receiver, || {}).await.unwrap();
        drop((bound.file, lock));
    });
    Running { core, settings, orders, server, dir }
}

impl Running {
    pub fn socket(&self) -> PathBuf {
        self.settings.socket.clone()
    }

    /// `POST /rpc`.
    pub async fn rpc(&self, body: &str) -> Answer {
        let head = "content-type: application/json\r\n";
        request(&self.socket(), "POST", "/rpc", head, body.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        request(&self.socket(), "GET", path, "", b"").await
    }
}

/// An HTTP reply.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn parse(all: &[u8]) -> Self {
        let end = all.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: all[end + 4..].to_vec() }
    }
}

/// One request on a connection of its own, up to the end of the connection.
pub async fn request(socket: &Path, method: &str, path: &str, head: &str, body: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n",
        body.len()
    );
    // A server that refuses a body by its announced size need not read it.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    Answer::parse(&all)
}

//! A server of its own for a benchmark, in a folder of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use api::method::NoParams;
use api::method::{ModuleGetMethod, SessionStartMethod, SessionWaitMethod, StatsMethod};
use api::module::{ArtifactState, ModuleRef};
use api::session::{SessionResult, SessionStart, SessionWait};
use client::Client;

/// A running server; killed and cleaned up when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) client: Client,
    pub(crate) socket: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    /// The folder with the binaries.
    pub(crate) bin: PathBuf,
    /// The folder with the guests.
    pub(crate) guests: PathBuf,
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

impl Server {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let bin =
            std::env::var_os("HERO_BIN_DIR").map_or_else(|| root().join("target/release"), PathBuf::from);
        let guests = std::env::var_os("HERO_RUNNER_SERVICES_DIR")
            .map_or_else(|| root().join("services/target/wasm32-wasip1/release"), PathBuf::from);
        let dir = tempfile::tempdir()?;
        let program = bin.join("hero_runner_server");
        let mut command = Command::new(&program);
        command
            .env("HERO_SOCKET_DIR", dir.path())
            .env("HERO_RUNNER_STATE_DIR", dir.path().join("state"))
            .env("HERO_RUNNER_SERVICES_DIR", &guests)
            .env("HERO_RUNNER_LOG_LEVEL", "warn")
            .envs(settings.iter().copied())
            .stdin(Stdio::null());
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}: run build.sh first", program.display()))?;
        let socket = dir.path().join("hero_runner/rpc.sock");
        let client = Client::new(&socket);
        let server = Self { child, client, socket, dir, bin, guests };
        let deadline = Instant::now() + Duration::from_secs(30);
        while server.client.health().await.is_err() {
            if Instant::now() > deadline {
                bail!("the server does not answer");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    pub(crate) async fn run(&self, request: SessionStart) -> Result<SessionResult> {
        run(&self.client, request).await
    }

    /// Runs a module until its artifact is there.
    pub(crate) async fn compiled(&self, module: &str) -> Result<()> {
        self.run(SessionStart {
            module: module.to_owned(),
            args: vec!["1".to_owned()],
            ..SessionStart::default()
        })
        .await?;
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let detail = self.client.call::<ModuleGetMethod>(ModuleRef { name: module.to_owned() }).await?;
            match detail.info.artifact {
                ArtifactState::Compiled { .. } => return Ok(()),
                ArtifactState::Failed { why } => bail!("{module} was not compiled: {why}"),
                _ if Instant::now() > deadline => bail!("{module} is not compiled after two minutes"),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    pub(crate) async fn stats(&self) -> Result<api::stats::Stats> {
        Ok(self.client.call::<StatsMethod>(NoParams::default()).await?)
    }
}

/// From the start of a session to its result: two calls, as any caller makes them.
pub(crate) async fn run(client: &Client, request: SessionStart) -> Result<SessionResult> {
    let session_id = client.call::<SessionStartMethod>(request).await?.session_id;
    let wait = SessionWait { session_id, wait_ms: None };
    client.call::<SessionWaitMethod>(wait).await?.context("the session did not end in a minute")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

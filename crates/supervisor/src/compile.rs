//! Compiling modules in the background: one process at a time, with limits, out of everybody's way.

use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use api::module::ArtifactState;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::core::Shared;
use crate::read::blocking;
use crate::session::lock;

/// What is to be compiled.
#[derive(Debug)]
pub(crate) struct CompileQueue {
    send: Option<mpsc::UnboundedSender<Arc<str>>>,
    /// What was asked for since the start: each content is tried once.
    asked: Mutex<HashSet<Arc<str>>>,
}

impl CompileQueue {
    /// A queue and its end; without `enabled`, nothing is ever compiled.
    pub(crate) fn new(enabled: bool) -> (Self, Option<mpsc::UnboundedReceiver<Arc<str>>>) {
        let (send, receive) = mpsc::unbounded_channel();
        let queue = Self { send: enabled.then_some(send), asked: Mutex::default() };
        (queue, enabled.then_some(receive))
    }

    /// Asks for a module to be compiled, unless it was asked for before.
    pub(crate) fn want(&self, digest: &str) {
        let Some(send) = &self.send else { return };
        let mut asked = lock(&self.asked);
        if !asked.contains(digest) {
            let digest: Arc<str> = Arc::from(digest);
            asked.insert(Arc::clone(&digest));
            // The other end lives as long as the supervisor.
            let _ = send.send(digest);
        }
    }
}

/// Compiles what the queue brings, until the supervisor is gone.
pub(crate) async fn run(shared: Weak<Shared>, mut queue: mpsc::UnboundedReceiver<Arc<str>>) {
    while let Some(digest) = queue.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        compile(&shared, &digest).await;
    }
}

async fn compile(shared: &Arc<Shared>, digest: &str) {
    let modules = &shared.modules;
    let Ok(module) = modules.resolve(digest) else { return };
    if module.artifact.is_some() || module.kind == api::ModuleKind::Component {
        return;
    }
    if modules.set_artifact(digest, ArtifactState::Compiling).is_err() {
        return;
    }
    let began = Instant::now();
    let result = match modules.artifact_temp_path(digest) {
        Ok(temporary) => match process(shared, &module.path, &temporary).await {
            Ok(()) => {
                let (shared, digest) = (Arc::clone(shared), digest.to_owned());
                let took = began.elapsed().as_millis() as u64;
                let commit = move || shared.modules.commit_artifact(&digest, &temporary, took);
                blocking(commit).await.map(|_| ()).map_err(|error| error.message)
            }
            Err(why) => {
                // What is there is not whole; the next start would remove it too.
                let _ = std::fs::remove_file(&temporary);
                Err(why)
            }
        },
        Err(error) => Err(error.message),
    };
    match result {
        Ok(()) => {
            tracing::info!(digest, ms = began.elapsed().as_millis() as u64, "compiled");
            shared.refresh_all();
        }
        Err(why) => {
            tracing::warn!(digest, why, "not compiled; it runs interpreted");
            let _ = modules.set_artifact(digest, ArtifactState::Failed { why });
        }
    }
}

/// Runs the compile process to its end.
async fn process(shared: &Shared, module: &Path, artifact: &Path) -> Result<(), String> {
    let limit: Duration = shared.config.compile_timeout;
    let mut child = Command::new(&shared.config.zygote)
        .arg("--compile")
        .args([module, artifact])
        .args([limit.as_secs().max(1).to_string(), shared.config.compile_memory_mb.to_string()])
        .arg(std::process::id().to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", shared.config.zygote.display()))?;
    let mut said = Vec::new();
    let ended = async {
        if let Some(stderr) = child.stderr.take() {
            // Enough to say why; the rest is read and dropped when the process is.
            let _ = stderr.take(4096).read_to_end(&mut said).await;
        }
        child.wait().await
    };
    let status = match tokio::time::timeout(limit, ended).await {
        Ok(status) => status.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("compiling took more than {} s", limit.as_secs())),
    };
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().last().unwrap_or_default();
    Err(format!("the compile process ended with {status}: {said}"))
}

//! The compile process: the zygote's program of an engine in another role.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use api::session::EngineKind;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::core::Shared;

/// Why nothing was compiled.
pub(super) struct Failure {
    pub(super) why: String,
    /// Another time it may go well: the process was stopped, or could not be started.
    pub(super) passing: bool,
}

/// Runs the compile process to its end.
pub(super) async fn run(
    shared: &Shared,
    engine: EngineKind,
    module: &Path,
    artifact: &Path,
) -> Result<(), Failure> {
    let passing = |why: String| Failure { why, passing: true };
    let program = shared.program(engine).map_err(|error| passing(error.message))?;
    let limit: Duration = shared.config.compile_timeout;
    let mut child = Command::new(program)
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
        .map_err(|error| passing(format!("cannot run {}: {error}", program.display())))?;
    let mut said = Vec::new();
    let ended = async {
        if let Some(stderr) = child.stderr.take() {
            // Enough to say why; the rest is read and dropped when the process is.
            let _ = stderr.take(4096).read_to_end(&mut said).await;
        }
        child.wait().await
    };
    let status = match tokio::time::timeout(limit, ended).await {
        Ok(status) => status.map_err(|error| passing(error.to_string()))?,
        Err(_) => return Err(passing(format!("compiling took more than {} s", limit.as_secs()))),
    };
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().last().unwrap_or_default();
    let why = format!("the compile process ended with {status}: {said}");
    Err(Failure { why, passing: status.code().is_none() })
}

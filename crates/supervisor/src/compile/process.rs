//! The compile process: the zygote's program of an engine in another role.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use api::session::EngineKind;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use crate::core::Shared;
use crate::proc::cpu_us;

/// Why nothing was compiled.
pub(super) struct Failure {
    pub(super) why: String,
    /// Another time it may go well: the process was stopped, or could not be started.
    pub(super) passing: bool,
}

/// How often it is looked whether a process that runs only on an idle machine comes on.
const LOOK: Duration = Duration::from_secs(5);

/// Compiles a module into a file, within the time that the settings allow.
///
/// What nobody waits for runs when nothing else wants the processor. On a machine that is never idle that would be never, and
/// sessions would go on interpreting, which costs more than it saves: then it is begun again as a process like others.
pub(super) async fn run(
    shared: &Shared,
    engine: EngineKind,
    module: &Path,
    artifact: &Path,
) -> Result<(), Failure> {
    let limit = shared.config.compile_timeout;
    let compiled = async {
        let files = [module, artifact];
        if engine != EngineKind::Wasmedge {
            return finish(&mut start(shared, engine, files, "low")?).await;
        }
        let mut child = start(shared, engine, files, "idle")?;
        let pid = child.id();
        tokio::select! {
            result = finish(&mut child) => return result,
            () = starved(pid) => {}
        }
        tracing::info!(module = %module.display(), "the machine is never idle: compiling goes on beside the sessions");
        child.kill().await.map_err(|error| passing(error.to_string()))?;
        finish(&mut start(shared, engine, files, "normal")?).await
    };
    match tokio::time::timeout(limit, compiled).await {
        Ok(result) => result,
        Err(_) => Err(passing(format!("compiling took more than {} s", limit.as_secs()))),
    }
}

fn passing(why: String) -> Failure {
    Failure { why, passing: true }
}

fn start(shared: &Shared, engine: EngineKind, files: [&Path; 2], priority: &str) -> Result<Child, Failure> {
    let program = shared.program(engine).map_err(|error| passing(error.message))?;
    let (limit, megabytes) = (shared.config.compile_timeout, shared.config.compile_memory_mb);
    Command::new(program)
        .arg("--compile")
        .args(files)
        .args([limit.as_secs().max(1).to_string(), megabytes.to_string(), std::process::id().to_string()])
        .arg(priority)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| passing(format!("cannot run {}: {error}", program.display())))
}

/// Waits until a process gets too little of the processor.
async fn starved(pid: Option<u32>) {
    let began = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let used = pid.and_then(cpu_us).map(Duration::from_micros);
        if used.is_some_and(|used| too_little(used, began.elapsed())) {
            return;
        }
    }
}

/// Less than a quarter of one processor. What is thrown away by beginning again is then less than a third of what was waited for.
fn too_little(used: Duration, waited: Duration) -> bool {
    used < waited / 4
}

/// Waits for the end of a process, and says what became of it.
async fn finish(child: &mut Child) -> Result<(), Failure> {
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // Enough to say why; the rest is read and dropped when the process is.
        let _ = stderr.take(4096).read_to_end(&mut said).await;
    }
    let status = child.wait().await.map_err(|error| passing(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().last().unwrap_or_default();
    let why = format!("the compile process ended with {status}: {said}");
    Err(Failure { why, passing: status.code().is_none() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_hardly_runs_is_starved() {
        let seconds = Duration::from_secs;
        assert!(too_little(Duration::from_millis(499), seconds(2)));
        assert!(!too_little(Duration::from_millis(500), seconds(2)));
        // What has come far is not thrown away for a moment without the processor.
        assert!(!too_little(seconds(30), seconds(60)));
        assert!(too_little(seconds(30), seconds(121)));
    }
}

//! A server of its own for a benchmark, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::memory::Group;
use super::rpc::Rpc;
use super::{places, processes, signals};

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setup<'a> {
    pub(crate) settings: Vec<(&'static str, String)>,
    /// The folder of its modules, instead of our guests.
    pub(crate) services: Option<&'a Path>,
    /// The state that it finds, instead of none.
    pub(crate) state: Option<&'a Path>,
    /// The group whose memory is counted.
    pub(crate) group: Option<&'a Group>,
}

impl<'a> Setup<'a> {
    pub(crate) fn set(mut self, setting: &'static str, value: impl ToString) -> Self {
        self.settings.push((setting, value.to_string()));
        self
    }

    pub(crate) fn start(&self) -> Result<Server> {
        let dir = tempfile::Builder::new().prefix("hrs").tempdir()?;
        let state = dir.path().join("state");
        if let Some(from) = self.state {
            copy(from, &state)?;
        }
        let program = places::program("hero_runner_server");
        let mut command = match self.group {
            None => Command::new(&program),
            Some(group) => group.command(&program),
        };
        command
            .env("HERO_SOCKET_DIR", dir.path())
            .env("HERO_RUNNER_STATE_DIR", &state)
            .env("HERO_RUNNER_SERVICES_DIR", self.services.map_or_else(places::guests, Path::to_owned))
            .env("HERO_RUNNER_LOG_LEVEL", "warn")
            // What still runs when it is told to stop is of no use to anybody.
            .env("HERO_RUNNER_DRAIN_MS", "0")
            .env("HERO_RUNNER_GRACE_MS", "0")
            // Who wants one says where; its usual port may be somebody's.
            .env("HERO_RUNNER_GATEWAY_LISTEN", "off")
            .env("HERO_RUNNER_SERVICES", "false")
            .envs(
                self.settings
                    .iter()
                    .map(|(name, value)| (format!("HERO_RUNNER_{}", name.to_uppercase()), value)),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}: run build.sh first", program.display()))?;
        let socket = dir.path().join("hero_runner/rpc.sock");
        let server = Server { child, socket, dir };
        server.until("the server answers", 30, |server| {
            ensure!(processes::runs(server.pid()), "the server ended at once");
            Ok(server.rpc().is_ok().then_some(()))
        })?;
        Ok(server)
    }
}

/// A running server. When it is dropped, it ends, and everything of its tree is waited for.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) socket: PathBuf,
    dir: tempfile::TempDir,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection for a block of calls, that has seen its first one; the server closes one that is idle for long.
    pub(crate) fn rpc(&self) -> Result<Rpc> {
        let mut rpc = Rpc::connect(&self.socket)?;
        rpc.call("health", &json!({}))?;
        Ok(rpc)
    }

    /// A call on a connection of its own; for what is not timed.
    pub(crate) fn call(&self, method: &str, params: &Value) -> Result<Value> {
        Rpc::connect(&self.socket)?.call(method, params)
    }

    /// Asks again and again.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        seconds: u64,
        mut ask: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            signals::check()?;
            if let Some(found) = ask(self)? {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "after {seconds} s it is not yet so: {what}");
            sleep(Duration::from_millis(10));
        }
    }

    /// Runs a module until its artifact is there.
    pub(crate) fn compiled(&self, module: &str) -> Result<()> {
        // An interpreted session is what asks for it; this one ends by itself or is stopped.
        let start = json!({ "module": module, "args": ["1"], "stdin": "" });
        let started = self.call("session_start", &start)?;
        self.until(&format!("{module} is compiled"), 900, |server| {
            let artifact = &server.call("module_get", &json!({ "name": module }))?["artifact"];
            match artifact["state"].as_str() {
                Some("compiled") => Ok(Some(())),
                Some("failed") => bail!("{module} was not compiled: {artifact}"),
                _ => Ok(None),
            }
        })?;
        let _ = self.call("session_stop", &json!({ "session_id": started["session_id"], "grace_ms": 0 }));
        Ok(())
    }

    /// Its folder of modules, history and sockets.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The file that was compiled of a module.
    pub(crate) fn artifact(&self, module: &str) -> Result<PathBuf> {
        let detail = self.call("module_get", &json!({ "name": module }))?;
        let digest = detail["digest"].as_str().unwrap_or_default();
        let hex = digest.strip_prefix("sha256:").with_context(|| format!("no digest: {detail}"))?;
        let folder = self.state().join("artifacts");
        let files = fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
        let named =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(hex));
        files
            .into_iter()
            .find(named)
            .with_context(|| format!("{module} has no artifact in {}", folder.display()))
    }

    /// Makes a template and waits until it is warm.
    pub(crate) fn template(&self, params: &Value) -> Result<()> {
        self.call("template_create", params)?;
        let named = json!({ "name": params["name"] });
        self.until(&format!("the template {} is warm", params["name"]), 120, |server| {
            let template = server.call("template_get", &named)?;
            match template["state"].as_str() {
                Some("warm") => Ok(Some(())),
                Some("failed") => bail!("no template: {template}"),
                _ => Ok(None),
            }
        })
    }

    /// Tells it to end and gives it ten seconds; whether it ended well.
    fn stop(&mut self) -> bool {
        // Somebody else may have its number once it was waited for.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return true;
        }
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            sleep(Duration::from_millis(2));
        }
        false
    }

    /// Ends it in good order and keeps its state for others.
    pub(crate) fn into_state(mut self, to: &Path) -> Result<()> {
        ensure!(self.stop(), "the server did not end well");
        let _ = fs::remove_dir_all(to);
        copy(&self.state(), to)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let below = processes::descendants(self.pid());
        self.stop();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let deadline = Instant::now() + Duration::from_secs(10);
        while below.iter().any(|pid| processes::runs(*pid)) && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

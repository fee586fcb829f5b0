//! The hero family's supervisor.
//!
//! Its own library would bring a second error library, TOML, every feature of tokio and the printing of its own
//! success messages for five calls of a protocol that is one JSON document a line. So the calls are made here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{daemon, programs};

/// Deleting a service takes zinit five seconds when the service hangs.
const ANSWER: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(50);
const REPLY_MAX: u64 = 8 << 20;
/// How long zinit lets the server drain; more than the server takes by itself, since zinit kills afterwards.
const STOP_TIMEOUT_MS: u64 = 40_000;

/// A supervisor that answered.
#[derive(Debug)]
pub(crate) struct Zinit {
    socket: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    #[serde(default)]
    exit_code: Option<i32>,
    #[serde(default)]
    error: Option<String>,
}

impl Status {
    fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "inactive" | "exited" | "failed")
    }
}

impl Zinit {
    /// The supervisor of this user, when one answers: on `ZINIT_SOCKET`, else where zinit itself looks.
    pub(crate) async fn find() -> Option<Self> {
        for socket in sockets(&api::paths::process_env) {
            let zinit = Self { socket };
            if zinit.call("system.ping", Value::Null).await.is_ok() {
                return Some(zinit);
            }
        }
        None
    }

    async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let reply = timeout(ANSWER, self.exchange(method, params)).await;
        let reply = reply.unwrap_or_else(|_| bail!("no answer within {} s", ANSWER.as_secs()));
        reply.with_context(|| format!("{method} of zinit on {}", self.socket.display()))
    }

    async fn exchange(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        // A system-wide zinit would run our server as another user, with that user's files.
        if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
            bail!("it runs as another user");
        }
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        stream.write_all(format!("{request}\n").as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream.take(REPLY_MAX)).read_line(&mut line).await?;
        let mut reply: Value = serde_json::from_str(&line)?;
        match reply.get_mut("error").map(Value::take) {
            None | Some(Value::Null) => Ok(reply["result"].take()),
            Some(error) => {
                let details =
                    error["data"]["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let details: Vec<&str> = error["message"].as_str().into_iter().chain(details).collect();
                bail!("{}", details.join(": "))
            }
        }
    }

    async fn status(&self, name: &str) -> anyhow::Result<Status> {
        Ok(serde_json::from_value(self.call("service.status", json!({ "name": name })).await?)?)
    }

    async fn knows(&self, name: &str) -> bool {
        self.call("service.get", json!({ "name": name })).await.is_ok()
    }

    /// Registers the server and starts it. zinit keeps it over its own restart.
    pub(crate) async fn start(&self, server: &Path, socket: &Path) -> anyhow::Result<()> {
        // What an earlier start left there may have another socket or other programs.
        self.stop(Duration::from_secs(10)).await?;
        let command = command(server, &daemon::arguments(socket))?;
        self.set(programs::SERVER, &command, &[]).await
    }

    /// Registers the pages beside a server that is registered, and starts them.
    pub(crate) async fn start_ui(&self, ui: &Path, arguments: &[OsString]) -> anyhow::Result<()> {
        self.forget(programs::UI, Duration::from_secs(10)).await?;
        let command = command(ui, arguments)?;
        self.set(programs::UI, &command, &[programs::SERVER]).await
    }

    async fn set(&self, name: &str, command: &str, requires: &[&str]) -> anyhow::Result<()> {
        let config = service(name, command, &environment(std::env::vars()), requires);
        self.call("service.set", json!({ "config": config })).await?;
        Ok(())
    }

    /// Why a service does not run, when it does not.
    pub(crate) async fn failure(&self, name: &str) -> Option<String> {
        let status = self.status(name).await.ok()?;
        status.is_over().then(|| match (status.error, status.exit_code) {
            (Some(error), _) => error,
            (None, Some(code)) => format!("it exited with code {code}"),
            (None, None) => status.state,
        })
    }

    /// The last lines that a service printed.
    pub(crate) async fn log_tail(&self, name: &str) -> String {
        let lines = self.call("logs.get", json!({ "name": name, "lines": 20 })).await.unwrap_or_default();
        let lines = lines.as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Whether the server of this socket is registered here.
    pub(crate) async fn owns(&self, socket: &Path) -> bool {
        let config = self.call("service.get", json!({ "name": programs::SERVER })).await;
        let exec = config.ok().and_then(|config| config["service"]["exec"].as_str().map(str::to_owned));
        exec.is_some_and(|exec| exec.ends_with(&format!(" --socket {}", quoted(&socket.to_string_lossy()))))
    }

    /// Stops what is ours and forgets it.
    pub(crate) async fn stop(&self, within: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        for name in [programs::UI, programs::SERVER] {
            self.forget(name, within.saturating_sub(begun.elapsed())).await?;
        }
        Ok(())
    }

    /// Stops one service and forgets it, if it is known.
    pub(crate) async fn forget(&self, name: &str, within: Duration) -> anyhow::Result<()> {
        if !self.knows(name).await {
            return Ok(());
        }
        let begun = Instant::now();
        self.call("service.stop", json!({ "name": name })).await?;
        // Deleting it at once would give it five seconds and then kill it, whatever its time to stop is.
        while begun.elapsed() < within && !self.status(name).await.is_ok_and(|status| status.is_over()) {
            tokio::time::sleep(STEP).await;
        }
        self.call("service.delete", json!({ "name": name })).await?;
        Ok(())
    }
}

fn sockets(env: api::paths::Lookup<'_>) -> Vec<PathBuf> {
    if let Some(socket) = env("ZINIT_SOCKET") {
        return vec![socket.into()];
    }
    let home = env("HOME").map(|home| PathBuf::from(home).join("hero/var/zinit.sock"));
    [PathBuf::from("/run/zinit.sock")].into_iter().chain(home).collect()
}

/// What the server is told by our environment, and zinit's own may not say.
fn environment(vars: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let ours = |name: &str| name.starts_with("HERO_") || matches!(name, "HOME" | "PATH" | "RUST_LOG");
    vars.filter(|(name, _)| ours(name)).collect()
}

fn service(name: &str, exec: &str, env: &BTreeMap<String, String>, requires: &[&str]) -> Value {
    json!({
        "service": { "name": name, "exec": exec, "env": env },
        "dependencies": { "requires": requires },
        "lifecycle": { "restart": "on-failure", "stop_timeout_ms": STOP_TIMEOUT_MS },
    })
}

/// The command line for zinit, which hands it to a shell but first looks whether its first word is a program.
fn command(program: &Path, arguments: &[OsString]) -> anyhow::Result<String> {
    let text = |word: &OsStr| word.to_str().map(str::to_owned).context("zinit takes only paths in UTF-8");
    let program = text(program.as_os_str())?;
    let mut command = match quoted(&program) {
        plain if plain == program => program,
        quoted => format!("/usr/bin/env {quoted}"),
    };
    for argument in arguments {
        command += &format!(" {}", quoted(&text(argument)?));
    }
    Ok(command)
}

/// A word for the shell, as it is where nothing in it means anything to a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_the_shell() {
        let plain = command(Path::new("/b/x"), &daemon::arguments(Path::new("/s/rpc.sock")));
        assert_eq!(plain.unwrap(), "/b/x --socket /s/rpc.sock");
        let odd = command(Path::new("/my b'n/x"), &daemon::arguments(Path::new("/s $x"))).unwrap();
        assert_eq!(odd, r"/usr/bin/env '/my b'\''n/x' --socket '/s $x'");
    }

    #[test]
    fn only_our_part_of_the_environment_is_passed_on() {
        let vars =
            [("HERO_SOCKET_DIR", "/s"), ("SECRET", "x"), ("PATH", "/bin"), ("HERO_RUNNER_COMPILE", "0")];
        let env = environment(vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(env.keys().collect::<Vec<_>>(), ["HERO_RUNNER_COMPILE", "HERO_SOCKET_DIR", "PATH"]);
    }

    #[test]
    fn it_is_looked_for_where_it_says() {
        let env = |name: &str| (name == "ZINIT_SOCKET").then(|| "/z".to_owned());
        assert_eq!(sockets(&env), [PathBuf::from("/z")]);
        let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        assert_eq!(sockets(&env), ["/run/zinit.sock", "/h/hero/var/zinit.sock"].map(PathBuf::from));
    }
}

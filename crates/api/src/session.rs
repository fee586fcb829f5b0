//! Sessions: what a request says, what a session is, how it ended.

mod calls;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use calls::{
    Done, SessionList, SessionPage, SessionReady, SessionRef, SessionStarted, SessionStdin, SessionStop,
    SessionStopAll, SessionWait, SessionsStopped, WaitFor, Waited,
};

pub use crate::outcome::Outcome;
use crate::permission::Permissions;
pub use crate::retry::{Attempt, Ready, Retries};

/// What `session_start` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionStart {
    /// A registered name (`hello`), a digest (`sha256:…`), or an absolute path in a folder that the server allows.
    /// Exactly one of `module`, `template` and `script` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Arguments after the program's name (`argv[1..]`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables. Nothing of the server's own environment is passed on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// The guest path that relative paths start from; it must lie in one of `dirs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Text for standard input, followed by end of file unless `stdin_open`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Bytes for standard input in base64, instead of `stdin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_base64: Option<String>,
    /// Keep standard input open for `session_stdin`.
    #[serde(default)]
    pub stdin_open: bool,
    /// Host folders that the guest may use. None by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<DirGrant>,
    /// Wall-clock limit in milliseconds, counted from the start; the session ends as `timed_out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Limit of the guest's linear memory in MiB, enforced as WebAssembly pages of 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mb: Option<u32>,
    /// Output kept, in bytes of both streams together; what is beyond it is dropped and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_limit_bytes: Option<u64>,
    /// Which engine runs it; by default the file's header decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineKind>,
    /// Also send every line to the system's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_logs: Option<bool>,
    /// Names and values to find the session by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The name of a template to start from, instead of a module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The text of a script, instead of a module; `runtime` says what runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The runtime of the script: the name of a template that is one, for example `javascript`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// The script's file name, for its messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_name: Option<String>,
    /// What the guest may do outside of itself. Nothing by default.
    #[serde(default, skip_serializing_if = "Permissions::is_nothing")]
    pub permissions: Permissions,
    /// Answer with the result when the session ends within this time, in milliseconds, at most 600000. The session goes on
    /// when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// An exported function of a component to call instead of its `run`: its name, `interface#name` where an exported
    /// interface has it, or a whole call in WAVE such as `add(1, 2)`. The session ends when it has returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke: Option<String>,
    /// The arguments of `invoke`, one for each parameter, when it is a name alone. Records are objects, variants and results
    /// objects with one key (`{"ok": 1}`), enums and flags strings, options null or the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invoke_args: Vec<serde_json::Value>,
    /// When it is `ready`. By default as soon as it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// What happens when it fails. Nothing by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// A module that takes over when the first one cannot be loaded, or still fails after its retries: a name, a digest or a
    /// path as in `module`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// A host folder that a guest may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirGrant {
    /// Absolute path of the folder on the host.
    pub host: String,
    /// Where the guest sees it, for example `/data` or `.`; the host path by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<String>,
    /// What the guest may do there.
    #[serde(default)]
    pub mode: DirMode,
}

/// What a guest may do in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DirMode {
    /// Look and read.
    #[default]
    Read,
    /// Also create, change and remove.
    ReadWrite,
}

/// The engines that can run a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// WasmEdge: core modules with WASI preview 1.
    Wasmedge,
    /// Wasmtime: components with WASI preview 2, and core modules when asked for.
    Wasmtime,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Accepted; waiting for a worker.
    Pending,
    /// A worker has it.
    Running,
    /// It ended with exit code 0.
    Succeeded,
    /// It ended in any other way; the outcome says which.
    Failed,
    /// It was stopped by request.
    Cancelled,
}

impl SessionState {
    /// Whether the session is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// How the process of a session came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartKind {
    /// A worker that was forked from a template of its module.
    Warm,
    /// A worker that can run any module stood ready for it.
    Parked,
    /// It had to wait until a worker was forked; or it asked for a template that is not warm, and its module was run from
    /// the beginning.
    Cold,
}

/// Which code ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// The engine's interpreter.
    Interpreted,
    /// The compiled artifact.
    Compiled,
}

/// The limits that hold for a session, and by which means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Wall-clock limit in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Linear memory in MiB, by WebAssembly pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mb: Option<u32>,
    /// Memory of the whole process in MiB, by a cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_cgroup_mb: Option<u64>,
    /// Output kept, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_limit_bytes: Option<u64>,
}

/// One session, as `session_get` and `session_list` show it. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// The session's id.
    pub session_id: String,
    /// What the request named as the module; the template's module when it named a template or a runtime.
    pub module: String,
    /// The template or runtime that the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The module's content, `sha256:…`.
    pub digest: String,
    /// Where it stands.
    pub state: SessionState,
    /// Whether it runs and takes requests.
    pub ready: bool,
    /// How it ended, once it did.
    pub outcome: Option<Outcome>,
    /// The process that runs it, while it runs.
    pub child_pid: Option<u32>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Names and values to find the session by.
    pub labels: BTreeMap<String, String>,
    /// When it was accepted.
    pub created_at: u64,
    /// When a worker took it.
    pub started_at: Option<u64>,
    /// When its process was gone.
    pub ended_at: Option<u64>,
    /// From start to end (or to now), in milliseconds with fractions.
    #[schemars(with = "Option<f64>")]
    pub duration_ms: Option<Millis>,
    /// How long the worker took to load and instantiate the module, in milliseconds with fractions, once it ended. What a
    /// template did before does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub load_ms: Option<Millis>,
    /// CPU time of the process, user and system, in milliseconds, once it ended; before, where the call asked for its usage.
    pub cpu_ms: Option<u64>,
    /// The largest resident size of the process in KiB, once it ended; before, where the call asked for its usage.
    pub max_rss_kb: Option<u64>,
    /// Page faults of the process without I/O, from its fork on, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<u64>,
    /// How its process came to be.
    pub start: Option<StartKind>,
    /// Which code ran.
    pub mode: Option<RunMode>,
    /// Which engine ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineKind>,
    /// The limits in force.
    pub limits: Limits,
    /// Its attempts that failed before the present one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What the function that it invoked has returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Lines written so far; the sequence number of the next one.
    pub log_next_seq: u64,
    /// Lines that were dropped by the output limit. Those that the history let go of show as a `gap` where they are missing.
    pub log_dropped: u64,
}

/// Milliseconds with fractions, kept as whole microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis {
    /// Microseconds.
    pub micros: u64,
}

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exact below 2^53 µs, which is 285 years.
        serializer.serialize_f64(self.micros as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if !(0.0..9e15).contains(&value) {
            return Err(serde::de::Error::custom("a duration is a number of milliseconds, not negative"));
        }
        Ok(Self { micros: (value * 1000.0).round() as u64 })
    }
}

/// What `session_result` answers once the session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionResult {
    /// Exit code 0.
    pub success: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// The guest's exit code, when it exited.
    pub exit_code: Option<i32>,
    /// What the function that it invoked has returned: the payload where that is a `result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Its attempts that failed before the last one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Standard output, invalid UTF-8 replaced; cut to what the history still holds.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Whether `stdout` or `stderr` is not the whole of what the guest wrote.
    pub truncated: bool,
    /// When a worker took it, in milliseconds since the Unix epoch.
    pub started_at: Option<u64>,
    /// From start to end, in milliseconds with fractions.
    #[schemars(with = "Option<f64>")]
    pub duration_ms: Option<Millis>,
    /// CPU time of the process, user and system, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// The largest resident size of the process in KiB.
    pub max_rss_kb: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_with_an_unknown_key_is_refused() {
        let error = serde_json::from_str::<SessionStart>(r#"{"module":"hello","tiemout_ms":1}"#).unwrap_err();
        assert!(error.to_string().contains("tiemout_ms"), "{error}");
    }

    #[test]
    fn milliseconds_keep_their_microseconds() {
        let text = serde_json::to_string(&Millis { micros: 1_234_567 }).unwrap();
        assert_eq!(text, "1234.567");
        assert_eq!(serde_json::from_str::<Millis>(&text).unwrap().micros, 1_234_567);
    }
}

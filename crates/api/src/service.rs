//! Services: long-lived sessions that speak HTTP.

mod spec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::session::SessionState;

pub use spec::{Backoff, HealthSpec, Port, RestartPolicy, RestartSpec, ServiceKind, ServiceSpec};

/// Where a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Nobody wants it to run.
    Stopped,
    /// A service that it requires is not ready.
    Waiting,
    /// Its process runs and has not yet answered a probe well.
    Starting,
    /// It takes requests.
    Ready,
    /// It was ready, and its last probes were bad.
    Unhealthy,
    /// It had no request for its idle timeout; the next one starts it.
    Idle,
    /// It ended by itself and waits to be started again.
    Backoff,
    /// It ended by itself too often, or cannot be started at all.
    Failed,
    /// It is told to stop, and finishes requests that are under way.
    Stopping,
}

impl ServiceState {
    /// The name, as on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Idle => "idle",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
        }
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Whether the answer was good.
    pub ok: bool,
    /// The HTTP status, when there was one.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub latency_us: u64,
    /// What was wrong.
    pub error: Option<String>,
}

/// One process of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instance {
    /// Its session.
    pub session_id: String,
    /// Where the session stands.
    pub state: SessionState,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// Whether it takes requests.
    pub ready: bool,
    /// Requests that are under way through the gateway.
    pub requests: u64,
}

/// One service, as `service_list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceInfo {
    /// Its name: that of its folder.
    pub name: String,
    /// One sentence.
    pub description: Option<String>,
    /// Where the gateway serves it.
    pub prefix: String,
    /// How it takes requests.
    pub kind: ServiceKind,
    /// Where it stands.
    pub state: ServiceState,
    /// Why it stands there, when that needs a word.
    pub reason: Option<String>,
    /// When it is started again, in milliseconds since the Unix epoch; in `backoff` only.
    pub next_try_at: Option<u64>,
    /// Through the gateway.
    pub url: Option<String>,
    /// The address that the module listens on.
    pub address: Option<String>,
    /// The module's name or digest.
    pub module: String,
    /// The number of the deployed version that serves; none where nothing was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Its processes.
    pub instances: Vec<Instance>,
    /// How often it was started again after it ended by itself, since the server started.
    pub restarts: u64,
    /// Since when it is ready, in milliseconds since the Unix epoch.
    pub ready_since: Option<u64>,
    /// The last probe.
    pub last_probe: Option<Probe>,
    /// Limit of its memory in MiB.
    pub memory_limit_mb: Option<u32>,
    /// Requests through the gateway since the server started.
    pub requests: u64,
    /// How many schedules it has.
    pub schedules: u32,
}

/// One end of a process of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceEnd {
    /// Its session.
    pub session_id: String,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// How it ended, in words.
    pub reason: String,
}

/// What `service_get` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceDetail {
    /// As in the list.
    pub service: ServiceInfo,
    /// The file that declares it.
    pub file: String,
    /// What the file says, with all defaults.
    pub spec: ServiceSpec,
    /// The last probes, oldest first.
    pub probes: Vec<Probe>,
    /// The last ends of its processes, oldest first.
    pub ends: Vec<ServiceEnd>,
}

/// A declaration that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceProblem {
    /// The service's folder name.
    pub name: String,
    /// The file.
    pub file: String,
    /// The key in the file, where one is at fault.
    pub key: Option<String>,
    /// Why.
    pub reason: String,
}

/// What `service_list` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceList {
    /// The services by name.
    pub services: Vec<ServiceInfo>,
    /// Declarations that were refused; the services of before stay as they are.
    pub problems: Vec<ServiceProblem>,
    /// The gateway's address, `http://127.0.0.1:14000`.
    pub gateway: Option<String>,
}

/// Names one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRef {
    /// Its name.
    pub name: String,
}

/// What `service_reload` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceReload {
    /// Only this service; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What `service_deploy` asks for: a declaration, and its module if it is to be another one. It returns when the new service
/// is ready, or says why it is not; then the one of before goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceDeploy {
    /// Its name.
    pub name: String,
    /// What its `service.json` is to say.
    pub spec: ServiceSpec,
    /// The module in base64, to be registered under the name that the declaration gives. Large ones go to
    /// `POST /modules/{name}` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_base64: Option<String>,
}

/// A version of a service that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceVersion {
    /// Its number, from 1.
    pub version: u64,
    /// The package's own word for it.
    pub label: Option<String>,
    /// When it came, in milliseconds since the Unix epoch.
    pub deployed_at: u64,
    /// Whether it is the one that serves.
    pub current: bool,
    /// The SHA-256 of the package as it was uploaded, in hexadecimal.
    pub sha256: String,
    /// The size of the package's files, in bytes.
    pub size: u64,
    /// Its module's content, `sha256:…`.
    pub digest: String,
}

/// What `service_versions` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceVersions {
    /// The versions, newest first.
    pub versions: Vec<ServiceVersion>,
}

/// What `service_rollback` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRollback {
    /// The service's name.
    pub name: String,
    /// The version; by default the newest one before the one that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// What an upload of a package answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// The version that it has become.
    pub version: ServiceVersion,
    /// The service, ready.
    pub service: ServiceInfo,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_its_name_on_the_wire() {
        for state in
            [ServiceState::Stopped, ServiceState::Waiting, ServiceState::Unhealthy, ServiceState::Backoff]
        {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}

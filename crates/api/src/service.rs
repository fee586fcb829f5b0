//! Services: long-lived sessions that speak HTTP, and what a `service.json` says of one.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::permission::Permissions;
use crate::schedule::Schedule;
use crate::session::{DirGrant, SessionState};

/// What `services/<name>/config/service.json` says. `prefix` and, for a listener, one of `url` and `port` are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Where the gateway serves it: `/<prefix>/…`. One or several segments of `a-z A-Z 0-9 . _ ~ -`.
    pub prefix: String,
    /// The address that the module listens on, `http://127.0.0.1:<port>`. Instead of `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The port of 127.0.0.1 that the module listens on, or `"auto"`: one that is free, which the module finds in `PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// How it takes requests.
    #[serde(default)]
    pub kind: ServiceKind,
    /// The module: a registered name or a digest; the service's own name by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// One sentence for whoever reads the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is started with the server.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// Limit of its linear memory in MiB, as WebAssembly pages, and with some room for the engine as a cgroup's limit where
    /// there are cgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mb: Option<u32>,
    /// What is called on it, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Arguments after the program's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Host folders that it may use; a relative path starts at the service's own folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<DirGrant>,
    /// What it may do outside of itself.
    #[serde(default, skip_serializing_if = "Permissions::is_nothing")]
    pub permissions: Permissions,
    /// How it is probed.
    #[serde(default)]
    pub health: HealthSpec,
    /// When it is started again.
    #[serde(default)]
    pub restart: RestartSpec,
    /// Names of services that have to be ready before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// A listener that had no request for so long, in seconds, is stopped; the next request starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_secs: Option<u64>,
    /// For a listener, how many processes take its requests, 1 by default; for a handler, how many requests run at once at
    /// most, 64 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub instances: Option<u32>,
    /// The longest that a request to a handler may take, in milliseconds; 30000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long requests that are under way may take when it is stopped, and then again how long after SIGTERM it is
    /// killed, in milliseconds; the server's `grace_ms` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

/// How a service takes requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceKind {
    /// The module listens on its port and answers all requests in one process.
    #[default]
    Listener,
    /// The module answers one request per session: the request comes in its environment and on standard input (CGI/1.1), the
    /// answer goes to standard output.
    Handler,
}

/// A port, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// One that is free.
    Auto,
    /// This one.
    Number(u16),
}

impl Serialize for Port {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Number(number) => serializer.serialize_u16(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "port is a number from 1 to 65535 or \"auto\"")]
        enum Written {
            Number(u16),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) if number > 0 => Ok(Self::Number(number)),
            Written::Text(text) if text == "auto" => Ok(Self::Auto),
            _ => Err(serde::de::Error::custom("port is a number from 1 to 65535 or \"auto\"")),
        }
    }
}

impl JsonSchema for Port {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A port of 127.0.0.1, or `auto`: one that is free.",
            "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "const": "auto" }]
        })
    }
}

/// How a service is probed: `GET <path>`, where a status below 400 is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSpec {
    /// The path.
    pub path: String,
    /// From one probe to the next, in seconds.
    #[schemars(range(min = 1))]
    pub interval_secs: u64,
    /// The longest that a probe may take, in milliseconds.
    #[schemars(range(min = 1))]
    pub timeout_ms: u64,
    /// After so many bad probes in a row it is started again.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// How long it may take to its first good probe, in seconds.
    #[schemars(range(min = 1))]
    pub start_period_secs: u64,
}

impl Default for HealthSpec {
    fn default() -> Self {
        Self {
            path: "/health".to_owned(),
            interval_secs: 5,
            timeout_ms: 2000,
            failures: 3,
            start_period_secs: 30,
        }
    }
}

/// When a service is started again that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartSpec {
    /// When.
    pub policy: RestartPolicy,
    /// So many restarts within the period are allowed; with one more it is `failed`.
    pub intensity: u32,
    /// The period in seconds.
    pub period_secs: u64,
    /// The waits before restarts.
    pub backoff: Backoff,
}

impl Default for RestartSpec {
    fn default() -> Self {
        Self { policy: RestartPolicy::Always, intensity: 8, period_secs: 60, backoff: Backoff::default() }
    }
}

/// When a service is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// However it ended.
    #[default]
    Always,
    /// When it did not end with exit code 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// The waits before restarts: the first, doubled with every restart up to the largest; after a good probe that follows
/// the largest wait's length of running, the first again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The first wait, in milliseconds.
    pub initial_ms: u64,
    /// The largest wait, in milliseconds.
    pub max_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial_ms: 100, max_ms: 30_000 }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_example_works_as_it_stands() {
        let text = r#"{ "prefix": "hello", "url": "http://127.0.0.1:15001", "memory_limit_mb": 64,
                        "schedules": [ { "endpoint": "/hello", "interval_secs": 60 } ] }"#;
        let spec: ServiceSpec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.prefix, "hello");
        assert!(spec.enabled);
        assert_eq!(spec.health.interval_secs, 5);
        assert_eq!(spec.schedules[0].interval_secs, Some(60));
        let again: ServiceSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn a_state_has_its_name_on_the_wire() {
        for state in
            [ServiceState::Stopped, ServiceState::Waiting, ServiceState::Unhealthy, ServiceState::Backoff]
        {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = serde_json::from_str::<ServiceSpec>(r#"{"prefix":"a","prot":1}"#).unwrap_err();
        assert!(error.to_string().contains("prot"), "{error}");
    }

    #[test]
    fn a_port_is_a_number_or_auto() {
        let read = |text: &str| serde_json::from_str::<Port>(text);
        assert_eq!(read("8080").unwrap(), Port::Number(8080));
        assert_eq!(read("\"auto\"").unwrap(), Port::Auto);
        for wrong in ["0", "70000", "\"8080\"", "null"] {
            let error = read(wrong).unwrap_err();
            assert!(error.to_string().contains("auto"), "{wrong}: {error}");
        }
    }
}

//! What a `service.json` says.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::manifest::LimitSpec;
use crate::permission::Permissions;
use crate::retry::{Ready, Retries};
use crate::schedule::Schedule;
use crate::session::{DirGrant, EngineKind};

/// What `services/<name>/config/service.json` says. `prefix` and, for a listener, one of `url` and `port` are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Where the schema is, for editors; it is not looked at.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
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
    /// A file of the package, relative to its folder, that is the module; instead of `module`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// A module that takes over when the first one cannot be loaded or keeps failing: a registered name, a digest, or a file of
    /// the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// The engine; by default the module's header decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<EngineKind>,
    /// The service's name, for a package; it has to be the folder's where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The package's own word for its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it may use; `memory_mb` and `timeout_ms` are another way to say `memory_limit_mb` and `timeout_ms`.
    #[serde(default, skip_serializing_if = "LimitSpec::is_default")]
    pub limits: LimitSpec,
    /// Another way to say `restart`: `max` is its intensity, `backoff` its backoff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// What else has to come before its first probe. By default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// For a handler that is a `wasi:http` component: after so many requests its process is replaced, give or take a tenth.
    /// 1 by default: no request ever sees another's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_requests: Option<u32>,
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
    /// answer goes to standard output. A component exports `wasi:http/incoming-handler` instead.
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

//! Manifests: what a package says of itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::permission::Permissions;
use crate::retry::{Ready, Retries};
use crate::session::EngineKind;

/// What a package says of itself: a `.qyv` file (YAML) beside its modules. The same keys can stand in `config/service.json`.
/// What is not permitted is denied.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Where the schema is, for editors; it is not looked at.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name: 1 to 64 of `a-z 0-9 _ . -`.
    pub name: String,
    /// Its version, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// One sentence for whoever reads the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The module or component that is run: a file of the package, relative to the manifest; `app.wasm` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// The engine; by default the file's header decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<EngineKind>,
    /// What it may do outside of itself.
    #[serde(default, skip_serializing_if = "Permissions::is_nothing")]
    pub permissions: Permissions,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Arguments after the program's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// What it may use.
    #[serde(default, skip_serializing_if = "LimitSpec::is_default")]
    pub limits: LimitSpec,
    /// What happens when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// A file of the package that takes over when the entrypoint cannot be loaded or keeps failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// When it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// What makes it a service: the other keys of `service.json`, `prefix` among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What a program may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSpec {
    /// Limit of its linear memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub memory_mb: Option<u32>,
    /// Wall-clock limit of a session, or of a request to a handler, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
    /// Output kept of a session, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
}

impl LimitSpec {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

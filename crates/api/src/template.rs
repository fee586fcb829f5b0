//! Templates: modules that stand ready in memory, so that sessions start by a fork.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::session::{DirGrant, EngineKind};

/// How far a module runs in a template before sessions are forked from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Warm {
    /// Not at all: it is loaded and instantiated. A session has its own arguments, environment and folders.
    #[default]
    Instantiate,
    /// An exported function of this name has returned. A session has its own arguments, environment and folders.
    Export(String),
    /// The program has come to its first read of standard input. Each session goes on from there with a standard input of
    /// its own; arguments, environment and folders are the template's.
    Stdin,
}

const EXPORT: &str = "export:";

impl fmt::Display for Warm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instantiate => f.write_str("instantiate"),
            Self::Export(name) => write!(f, "{EXPORT}{name}"),
            Self::Stdin => f.write_str("stdin"),
        }
    }
}

impl FromStr for Warm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix(EXPORT)) {
            ("instantiate", _) => Ok(Self::Instantiate),
            ("stdin", _) => Ok(Self::Stdin),
            (_, Some(name)) if !name.is_empty() && !name.contains('\0') => Ok(Self::Export(name.to_owned())),
            _ => Err(format!("{text:?} is not instantiate, stdin or export:NAME")),
        }
    }
}

impl Serialize for Warm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Warm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Warm {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Warm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(instantiate|stdin|export:.+)$",
            "description": "How far the module runs before sessions are forked from it: `instantiate` (not at all), \
                `export:NAME` (that exported function has returned), or `stdin` (up to its first read of standard input)."
        })
    }
}

/// How a script gets into its interpreter, which waits at its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScriptPass {
    /// The script is the whole standard input. It has no arguments, no environment and no standard input of its own.
    Stdin,
    /// The first line of standard input is a JSON object with `name`, `args`, `env` and `source`; the rest is the script's
    /// own standard input.
    Envelope,
}

/// What makes a template a runtime for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// How a script gets in.
    pub pass: ScriptPass,
    /// File extensions of its scripts, without the dot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Names of interpreters after `#!`, besides the runtime's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interpreters: Vec<String>,
}

/// What `template_create` asks for, and what a file of templates lists. It stays until `template_remove`, also across
/// restarts; one of the same name is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateCreate {
    /// The template's name; the module's name by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A registered name or a digest. When the name gets another content, new sessions get that.
    pub module: String,
    /// How far the module runs before sessions begin.
    #[serde(default)]
    pub warm: Warm,
    /// Arguments after the program's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Host folders that the module may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<DirGrant>,
    /// Which engine runs it; by default the file's header decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineKind>,
    /// Limit of linear memory in MiB, of the template and of its sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mb: Option<u32>,
    /// Workers that stand ready at least; the server's setting by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_spare: Option<u32>,
    /// Workers that stand ready at most; the server's setting by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_spare: Option<u32>,
    /// After this many seconds without a session the process goes; the next session starts it again. Without it, the
    /// template is there again from the server's next start on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Makes it a runtime for scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
}

/// Names one template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateRef {
    /// The template's name.
    pub name: String,
}

/// Who asked for a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemplateOrigin {
    /// `template_create`.
    Created,
    /// The file of the setting `templates_file`.
    File,
    /// It comes with the server.
    Builtin,
    /// The server itself, for a module that is used often.
    Automatic,
}

/// Where a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemplateState {
    /// Its process runs the module up to where sessions begin.
    Warming,
    /// Sessions are forked from it.
    Warm,
    /// It has no process; the next session starts one.
    Idle,
    /// It did not become warm, or it died; `why` says more. It is tried again.
    Failed,
}

/// One template, as `template_get` and `template_list` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateInfo {
    /// Its name; that of the module for one that the server made by itself.
    pub name: String,
    /// What was asked for.
    pub spec: TemplateCreate,
    /// Who asked for it.
    pub origin: TemplateOrigin,
    /// Where it stands.
    pub state: TemplateState,
    /// Why it failed, the last time that it did.
    pub why: Option<String>,
    /// When it is tried again after a failure, in milliseconds from now.
    pub retry_in_ms: Option<u64>,
    /// The content of the module that stands in memory, `sha256:…`.
    pub digest: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// How long it took to become warm, in milliseconds.
    pub warm_ms: Option<u64>,
    /// Its proportional share of memory and that of its parked workers, in KiB, when it was last measured.
    pub pss_kb: Option<u64>,
    /// Workers that stand ready.
    pub parked: u64,
    /// Sessions that run on its workers.
    pub running: u64,
    /// Sessions that were started from it since the server's start.
    pub sessions_total: u64,
    /// How often it failed in a row.
    pub failures: u32,
}

/// The reply to `template_list`, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateList {
    /// The templates.
    pub templates: Vec<TemplateInfo>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_warmth_survive_as_text() {
        for text in ["instantiate", "stdin", "export:wizer-initialize"] {
            assert_eq!(text.parse::<Warm>().unwrap().to_string(), text);
        }
        for text in ["", "export:", "warm", "Stdin"] {
            assert!(text.parse::<Warm>().unwrap_err().contains("export:NAME"));
        }
    }
}

//! How a server is governed while it runs: its settings, its drain, its log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the value of a setting comes from, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettingSource {
    /// Nobody has set it.
    Default,
    /// The file with settings.
    File,
    /// A variable of the environment.
    Environment,
    /// A flag of the command line.
    Flag,
}

impl SettingSource {
    /// The name, as on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Its name: the key in the file; `HERO_RUNNER_<KEY>` in the environment, `--<key>` with dashes as a flag.
    pub key: String,
    /// The value that holds, in the type of the file. A secret is `***` where there is one, and empty where there is none.
    pub value: serde_json::Value,
    /// Where it comes from.
    pub source: SettingSource,
    /// Which one: the path of the file, the name of the variable, or the flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What it is for, in one sentence.
    pub description: String,
}

/// The reply to `server_settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerSettings {
    /// The file with settings that was read, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
    /// Every setting, in the order of the documentation.
    pub settings: Vec<Setting>,
}

/// What `server_drain` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerDrain {
    /// True: new sessions are refused with `draining`. False: they are taken again.
    pub on: bool,
}

/// The reply to `server_drain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drained {
    /// Whether new sessions are refused now.
    pub draining: bool,
    /// Sessions that still run or wait for a worker, without the processes of services.
    pub running: u64,
}

/// What `log_level` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// What is to be logged from now on: off, error, warn, info, debug or trace, or target=level pairs with commas between
    /// them. Nothing is changed without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// The reply to `log_level`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLevelSet {
    /// What is logged.
    pub level: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_name_on_the_wire() {
        for source in
            [SettingSource::Default, SettingSource::File, SettingSource::Environment, SettingSource::Flag]
        {
            assert_eq!(serde_json::to_value(source).unwrap(), source.name());
        }
    }
}

//! `--print-config` and `server_settings`: what holds and why.

use std::fmt::Write as _;

use api::admin::{ServerSettings, Setting, SettingSource};
use serde_json::{Map, json};

use super::{Origin, ROWS, Resolved};

/// How the settings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines of the file's own syntax, with the source as a comment.
    Text,
    /// An object by name, with `value` and `from`.
    Json,
}

impl Resolved {
    /// Every setting with its value and its source.
    #[must_use]
    pub fn show(&self, format: Format) -> String {
        let values = self.settings.values();
        match format {
            Format::Text => {
                let rows: Vec<(String, String)> = values
                    .into_iter()
                    .map(|(name, value)| (format!("{name} = {value}"), self.origin(name).to_string()))
                    .collect();
                let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
                let mut text = String::new();
                for (left, origin) in rows {
                    let _ = writeln!(text, "{left:width$}  # {origin}");
                }
                text
            }
            Format::Json => {
                let object: Map<String, serde_json::Value> = values
                    .into_iter()
                    .map(|(name, value)| {
                        (name.to_owned(), json!({ "value": value, "from": self.origin(name).to_string() }))
                    })
                    .collect();
                format!("{:#}\n", serde_json::Value::Object(object))
            }
        }
    }

    /// The same as `server_settings` answers it.
    #[must_use]
    pub fn listed(&self) -> ServerSettings {
        let rows = self.settings.values().into_iter().zip(ROWS);
        let settings = rows.map(|((key, value), row)| {
            let (source, origin) = match self.origin(key) {
                Origin::Default => (SettingSource::Default, None),
                Origin::File(path) => (SettingSource::File, Some(path.display().to_string())),
                Origin::Environment(name) => (SettingSource::Environment, Some(name)),
                Origin::Flag(name) => (SettingSource::Flag, Some(name)),
            };
            Setting { key: key.to_owned(), value, source, origin, description: row.doc.trim().to_owned() }
        });
        ServerSettings {
            config_file: self.file.as_ref().map(|path| path.display().to_string()),
            settings: settings.collect(),
        }
    }
}

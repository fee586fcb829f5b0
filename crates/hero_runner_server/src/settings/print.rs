//! `--print-config`: what holds and why.

use std::fmt::Write as _;

use serde_json::{Map, json};

use super::Resolved;

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
}

//! The types that a setting can have, and how they are read and shown.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::json;

/// The type of a setting.
pub trait Value: Sized {
    /// What a value looks like, in capitals, for the help.
    const HINT: &'static str;
    /// Whether there can be several.
    const IS_LIST: bool = false;
    /// Reads a variable or a flag.
    fn from_text(text: &str) -> Result<Self, String>;
    /// Reads a key of the file.
    fn from_toml(value: &toml::Value) -> Result<Self, String>;
    /// Joins the values of a flag that was given several times.
    fn joined(values: Vec<Self>) -> Option<Self> {
        values.into_iter().last()
    }
    /// Shows it.
    fn to_json(&self) -> serde_json::Value;
}

macro_rules! whole_number {
    ($($ty:ty),*) => {$(
        impl Value for $ty {
            const HINT: &'static str = "NUMBER";

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("`{text}` is not a whole number from 0 to {}", Self::MAX))
            }

            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                value
                    .as_integer()
                    .and_then(|number| Self::try_from(number).ok())
                    .ok_or_else(|| format!("`{value}` is not a whole number from 0 to {}", Self::MAX))
            }

            fn to_json(&self) -> serde_json::Value {
                json!(self)
            }
        }
    )*};
}

whole_number!(u32, u64);

impl Value for bool {
    const HINT: &'static str = "BOOL";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("`{value}` is neither true nor false"))
    }

    fn to_json(&self) -> serde_json::Value {
        json!(self)
    }
}

impl Value for PathBuf {
    const HINT: &'static str = "PATH";

    fn from_text(text: &str) -> Result<Self, String> {
        no_tilde(text)?;
        // The server may change its folder later; what the caller meant is fixed here.
        std::path::absolute(text).map_err(|error| format!("`{text}` is not a path: {error}"))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(|| format!("`{value}` is not a path in quotes"))?;
        no_tilde(text)?;
        // A file has no current folder that its writer could have meant.
        if !Path::new(text).is_absolute() {
            return Err(format!("`{text}` does not begin with a slash"));
        }
        Ok(text.into())
    }

    fn to_json(&self) -> serde_json::Value {
        json!(self.to_string_lossy())
    }
}

fn no_tilde(text: &str) -> Result<(), String> {
    if text.starts_with('~') {
        return Err(format!("`{text}`: a tilde means something to the shell only; write the folder out"));
    }
    Ok(())
}

impl Value for Vec<PathBuf> {
    const HINT: &'static str = "PATH";
    const IS_LIST: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        text.split(':').filter(|part| !part.is_empty()).map(PathBuf::from_text).collect()
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let list = value.as_array().ok_or_else(|| format!("`{value}` is not a list of paths in brackets"))?;
        list.iter().map(PathBuf::from_toml).collect()
    }

    fn joined(values: Vec<Self>) -> Option<Self> {
        Some(values.into_iter().flatten().collect())
    }

    fn to_json(&self) -> serde_json::Value {
        self.iter().map(Value::to_json).collect()
    }
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door(pub Option<SocketAddr>);

impl Default for Door {
    fn default() -> Self {
        Self(Some((Ipv4Addr::LOCALHOST, 14000).into()))
    }
}

impl Value for Door {
    const HINT: &'static str = "ADDRESS";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse();
        address
            .map(|address| Self(Some(address)))
            .map_err(|_| format!("`{text}` is neither ADDRESS:PORT nor off"))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or_else(|| format!("`{value}` is not an address in quotes"))?)
    }

    fn to_json(&self) -> serde_json::Value {
        json!(self.0.map_or_else(|| "off".to_owned(), |address| address.to_string()))
    }
}

/// Words with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl Value for Words {
    const HINT: &'static str = "WORDS";

    fn from_text(text: &str) -> Result<Self, String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(Self(words.map(str::to_ascii_lowercase).collect()))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or_else(|| format!("`{value}` is not a list of words in quotes"))?)
    }

    fn to_json(&self) -> serde_json::Value {
        json!(self.0.join(","))
    }
}

/// A secret of whoever may deploy; it is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub Option<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Secret(***)" } else { "Secret(none)" })
    }
}

impl Secret {
    /// The fewest characters: what is shorter can be tried out.
    pub const MIN: usize = 16;
}

impl Value for Secret {
    const HINT: &'static str = "TOKEN";

    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        // What is wrong with it is told, and it is not.
        if text.len() < Self::MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("a token has {} or more visible ASCII characters", Self::MIN));
        }
        Ok(Self(Some(text.to_owned())))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or("a token stands in quotes")?)
    }

    fn to_json(&self) -> serde_json::Value {
        // Too short to be read back as a token.
        json!(if self.0.is_some() { "***" } else { "" })
    }
}

/// What is logged, in the words of `tracing_subscriber::EnvFilter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl Value for LogLevel {
    const HINT: &'static str = "LEVEL";

    fn from_text(text: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        // A bare word that is no level would be taken as a target, and silence the log.
        if let Some(word) = text.split(',').find(|word| !word.contains('=') && !LEVELS.contains(&word.trim()))
        {
            return Err(format!("`{word}` is not one of {}", LEVELS.join(", ")));
        }
        match tracing_subscriber::EnvFilter::builder().parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("`{text}` cannot be read: {error}")),
        }
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_text(value.as_str().ok_or_else(|| format!("`{value}` is not a level in quotes"))?)
    }

    fn to_json(&self) -> serde_json::Value {
        json!(self.0)
    }
}

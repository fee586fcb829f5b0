//! Permissions: what a guest may do outside of itself.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What a guest may do outside of itself. What is not granted is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Which hosts and ports it may connect to.
    #[serde(default, skip_serializing_if = "Net::is_nothing")]
    pub net: Net,
    /// Which folders it may use.
    #[serde(default, skip_serializing_if = "Fs::is_nothing")]
    pub fs: Fs,
    /// Whether it may start the programs that the server's settings list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exec: bool,
}

impl Permissions {
    /// Whether nothing is granted.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.net.is_nothing() && self.fs.is_nothing() && !self.exec
    }
}

/// Which folders a guest may use: `none`; `read` or `read-write`, which are the package's own folder, seen as `/`; or lists
/// of folders. A folder is a path of the host, with `::` and the guest's name for it where that is another one; a relative
/// path starts at the package's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Fs {
    /// The package's own.
    Own(OwnFolder),
    /// These. Empty lists are none.
    Listed(Folders),
}

/// What a guest may do in its package's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnFolder {
    /// Nothing.
    None,
    /// Look and read.
    Read,
    /// Also create, change and remove.
    ReadWrite,
}

/// Folders by what a guest may do in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Folders {
    /// Look and read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Also create, change and remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_write: Vec<String>,
}

impl Default for Fs {
    fn default() -> Self {
        Self::Own(OwnFolder::None)
    }
}

impl Fs {
    /// Whether no folder is granted.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Own(own) => *own == OwnFolder::None,
            Self::Listed(folders) => folders.read.is_empty() && folders.read_write.is_empty(),
        }
    }
}

// Written out, so that a fault inside of it is told at its own place.
impl<'de> Deserialize<'de> for Fs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Fs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("none, read, read-write, or { read: [folders], read-write: [folders] }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Fs, E> {
                OwnFolder::deserialize(text.into_deserializer()).map(Fs::Own)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fs, A::Error> {
                Folders::deserialize(MapAccessDeserializer::new(map)).map(Fs::Listed)
            }
        }

        deserializer.deserialize_any(Written)
    }
}

/// Which hosts and ports a guest may connect to: `false` (none), `true` (all), or a list of `host:port`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Net {
    /// None.
    #[default]
    Nothing,
    /// All.
    Anything,
    /// These. An empty list is none.
    Listed(Vec<Destination>),
}

impl Net {
    /// Whether no connection is granted.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Anything => false,
            Self::Listed(list) => list.is_empty(),
        }
    }
}

/// A host and a port: `example.org:443`, `127.0.0.1:15001`, `[::1]:80`; the port `*` stands for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// A name or an address, in lower case; IPv6 without brackets.
    pub host: String,
    /// The port; 0 stands for all.
    pub port: u16,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not host:port, for example example.org:443 or example.org:*");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = match port {
            "*" => 0,
            number => number.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        };
        let bare = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').filter(|inner| inner.contains(':')).ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':');
        if bare.is_empty() || !bare.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Self { host: bare.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:", self.host)?,
            false => write!(f, "{}:", self.host)?,
        }
        match self.port {
            0 => f.write_str("*"),
            port => write!(f, "{port}"),
        }
    }
}

impl Serialize for Net {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_bool(false),
            Self::Anything => serializer.serialize_bool(true),
            Self::Listed(list) => serializer.collect_seq(list.iter().map(Destination::to_string)),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

// Written out, so that a fault in the list is told with its place in it.
impl<'de> Deserialize<'de> for Net {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Net;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("false, true or a list of host:port")
            }

            fn visit_bool<E: de::Error>(self, all: bool) -> Result<Net, E> {
                Ok(if all { Net::Anything } else { Net::Nothing })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Net, A::Error> {
                let mut listed = Vec::new();
                while let Some(destination) = list.next_element()? {
                    listed.push(destination);
                }
                Ok(Net::Listed(listed))
            }
        }

        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Net {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Net".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which hosts and ports it may connect to: `false` (none), `true` (all), or a list of `host:port`, \
                where the port `*` stands for all.",
            "anyOf": [
                { "type": "boolean" },
                { "type": "array", "items": { "type": "string", "pattern": "^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+):([0-9]{1,5}|\\*)$" } }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn net_is_a_switch_or_a_list() {
        let read = |text: &str| serde_json::from_str::<Net>(text);
        assert!(read("false").unwrap().is_nothing());
        assert!(read("[]").unwrap().is_nothing());
        assert_eq!(read("true").unwrap(), Net::Anything);
        let listed = read(r#"["Example.org:443","[::1]:80","10.0.0.1:*"]"#).unwrap();
        assert_eq!(serde_json::to_string(&listed).unwrap(), r#"["example.org:443","[::1]:80","10.0.0.1:*"]"#);
        for wrong in
            [r#"["example.org"]"#, r#"["::1:80"]"#, r#"["a:0"]"#, r#"["a b:1"]"#, r#"["a:99999"]"#, "1"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fs_is_a_word_or_lists() {
        let read = |text: &str| serde_json::from_str::<Fs>(text);
        assert_eq!(read(r#""read-write""#).unwrap(), Fs::Own(OwnFolder::ReadWrite));
        assert!(read(r#""none""#).unwrap().is_nothing() && read(r#"{"read":[]}"#).unwrap().is_nothing());
        let lists = read(r#"{"read":["a"],"read-write":["b::/b"]}"#).unwrap();
        assert_eq!(serde_json::to_string(&lists).unwrap(), r#"{"read":["a"],"read-write":["b::/b"]}"#);
        for (wrong, why) in [
            (r#""all""#, "unknown variant `all`"),
            (r#"{"write":["a"]}"#, "unknown field `write`"),
            ("true", "expected none, read, read-write"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}

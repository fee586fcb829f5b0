//! The four layers: default, file, environment, flags. What comes later wins; what nobody knows is an error.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{Place, ROWS, Resolved, Row, Settings, Value};

/// What the names of our environment variables begin with.
pub(super) const PREFIX: &str = "HERO_RUNNER_";

/// Variables with our prefix that are not settings: the first names the file, the next two are
/// the command line's, the others belong to the build.
const ELSEWHERE: [&str; 6] = [
    "HERO_RUNNER_CONFIG",
    "HERO_RUNNER_TOKEN",
    "HERO_RUNNER_UI_LISTEN",
    "HERO_RUNNER_CACHE_DIR",
    "HERO_RUNNER_WASMEDGE_LIB",
    "HERO_RUNNER_WASMEDGE_RUNTIME",
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table.
    Default,
    /// The file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A setting that cannot be used: which, where it was said, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("setting `{key}` ({origin}): {problem}")]
pub struct Error {
    /// The key.
    pub key: String,
    /// Where it was said.
    pub origin: Origin,
    /// What is wrong.
    pub problem: String,
}

impl Error {
    pub(super) fn new(key: impl Into<String>, origin: Origin, problem: impl Into<String>) -> Self {
        Self { key: key.into(), origin, problem: problem.into() }
    }
}

/// A value as it was said.
#[derive(Debug, Clone)]
pub(super) enum Given {
    Texts(Vec<String>),
    Toml(toml::Value),
}

impl Given {
    pub(super) fn read<T: Value>(&self, key: &str, origin: &Origin) -> Result<T, Error> {
        let read = match self {
            Self::Toml(value) => T::from_toml(value),
            Self::Texts(texts) => texts
                .iter()
                .map(|text| T::from_text(text))
                .collect::<Result<_, _>>()
                .and_then(|values| T::joined(values).ok_or_else(|| "has no value".to_owned())),
        };
        read.map_err(|problem| Error::new(key, origin.clone(), problem))
    }
}

/// What the layers are read from. The file is read anew with every [`Sources::resolve`].
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// The flags that were given, by the name of their row.
    pub flags: BTreeMap<&'static str, Vec<String>>,
    /// The file that was named by the flag `--config`.
    pub config: Option<PathBuf>,
}

impl Sources {
    /// The environment of this process. Empty variables count as not set; those that are not UTF-8 are left out,
    /// except that one of ours is an error.
    pub fn from_process() -> Result<Self, Error> {
        let mut env = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) if !value.is_empty() => {
                    env.insert(name, value);
                }
                (Ok(name), Err(_)) if name.starts_with(PREFIX) => {
                    return Err(Error::new(&name, Origin::Environment(name.clone()), "is not UTF-8"));
                }
                _ => {}
            }
        }
        Ok(Self { env, ..Self::default() })
    }

    fn lookup(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    /// Reads all layers and checks the result.
    pub fn resolve(&self) -> Result<Resolved, Error> {
        let mut given: BTreeMap<&'static str, (Given, Origin)> = BTreeMap::new();
        for (name, value) in self.env.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            match ROWS.iter().find(|row| row.variable() == **name) {
                Some(row) => {
                    let origin = Origin::Environment(name.clone());
                    given.insert(row.name, (Given::Texts(vec![value.clone()]), origin));
                }
                None if ELSEWHERE.contains(&name.as_str()) => {}
                None => return Err(Error::new(name, Origin::Environment(name.clone()), UNKNOWN)),
            }
        }
        for row in ROWS {
            if let Some(texts) = self.flags.get(row.name) {
                let origin = Origin::Flag(format!("--{}", row.flag()));
                given.insert(row.name, (Given::Texts(texts.clone()), origin));
            }
        }
        // The file lies in the state folder by default, so the folder has to be known before the file.
        let lookup = |name: &str| self.lookup(name);
        let state_dir = match given.get("state_dir") {
            Some((value, origin)) => value.read::<PathBuf>("state_dir", origin)?,
            None => api::paths::state_dir(&lookup),
        };
        let named = self.config.clone().or_else(|| self.lookup("HERO_RUNNER_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| state_dir.join("config.toml"));
        let read = read_file(&path, named.is_some())?;
        let file = read.is_some().then(|| path.clone());
        for (row, value) in read.into_iter().flatten() {
            let origin = Origin::File(path.clone());
            if row.name == "state_dir" && named.is_none() {
                let problem = "this file was found through the state folder and cannot move it";
                return Err(Error::new("state_dir", origin, problem));
            }
            given.entry(row.name).or_insert((Given::Toml(value), origin));
        }
        let state_dir = match given.get("state_dir") {
            Some((value, origin)) => value.read::<PathBuf>("state_dir", origin)?,
            None => state_dir,
        };
        let settings = Settings::assemble(&given, Place { env: &lookup, state_dir: &state_dir })?;
        let origins = given.into_iter().map(|(name, (_, origin))| (name, origin)).collect();
        let resolved = Resolved { settings, origins, file };
        resolved.check()?;
        Ok(resolved)
    }
}

const UNKNOWN: &str = "no setting has this name; --help lists them";

/// What the file says; `None` when there is none and it need not be there.
fn read_file(path: &Path, must_exist: bool) -> Result<Option<Vec<(&'static Row, toml::Value)>>, Error> {
    let origin = Origin::File(path.to_owned());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(None),
        Err(error) => return Err(Error::new("config", origin, format!("cannot be read: {error}"))),
    };
    let table: toml::Table = text
        .parse()
        .map_err(|error| Error::new("config", origin.clone(), format!("is not TOML: {error}")))?;
    table
        .into_iter()
        .map(|(key, value)| match ROWS.iter().find(|row| row.name == key) {
            Some(row) => Ok((row, value)),
            None => Err(Error::new(key, origin.clone(), UNKNOWN)),
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

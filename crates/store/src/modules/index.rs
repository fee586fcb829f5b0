//! What is known about modules, in memory: the hot path of every session start.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::error::{Error, ErrorCode};
use api::module::{ArtifactState, ModuleInfo, ModuleKind};
use api::session::EngineKind;

use crate::Result;
use crate::database::now_ms;

/// The engines that there may be artifacts for.
pub(super) const ENGINES: [EngineKind; 2] = [EngineKind::Wasmedge, EngineKind::Wasmtime];

/// What was compiled of a content for one engine.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) path: Arc<Path>,
    pub(super) state: ArtifactState,
}

impl Code {
    pub(super) fn compiled(&self) -> Option<&Arc<Path>> {
        matches!(self.state, ArtifactState::Compiled { .. }).then_some(&self.path)
    }
}

/// The engine that runs a content where nothing else is asked for.
pub(super) fn engine_of(kind: ModuleKind) -> EngineKind {
    match kind {
        ModuleKind::Core => EngineKind::Wasmedge,
        ModuleKind::Component => EngineKind::Wasmtime,
    }
}

/// One content.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) digest: Arc<str>,
    pub(super) path: Arc<Path>,
    pub(super) kind: ModuleKind,
    pub(super) size: u64,
    pub(super) created_at: u64,
    /// It was uploaded without a name and is wanted as such.
    pub(super) anonymous: bool,
    /// Its file is there.
    pub(super) present: bool,
    /// In the order of [`ENGINES`].
    pub(super) codes: [Code; 2],
    /// What it imports and nobody offers.
    pub(super) missing: Arc<[String]>,
    /// When it was last resolved, in milliseconds since the Unix epoch.
    pub(super) used: AtomicU64,
    /// Shared with everybody who resolved it.
    pub(super) hold: Arc<()>,
}

impl Content {
    pub(super) fn touch(&self) {
        self.used.store(now_ms(), Relaxed);
    }

    pub(super) fn is_held(&self) -> bool {
        Arc::strong_count(&self.hold) > 1
    }

    pub(super) fn code(&self, engine: EngineKind) -> &Code {
        &self.codes[engine as usize]
    }

    pub(super) fn code_mut(&mut self, engine: EngineKind) -> &mut Code {
        &mut self.codes[engine as usize]
    }

    pub(super) fn info(&self, name: &str, created_at: u64) -> ModuleInfo {
        ModuleInfo {
            name: name.to_owned(),
            digest: self.digest.to_string(),
            kind: self.kind,
            size: self.size,
            created_at,
            artifact: self.code(engine_of(self.kind)).state.clone(),
        }
    }
}

/// A registered name.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) digest: Arc<str>,
    pub(super) created_at: u64,
}

/// All names and contents.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) names: BTreeMap<Arc<str>, Name>,
    pub(super) contents: HashMap<Arc<str>, Content>,
}

impl Index {
    /// A content by name or digest, with the name when it was found by one.
    pub(super) fn find(&self, name_or_digest: &str) -> Result<(Arc<str>, &Content)> {
        let unknown = || Error::new(ErrorCode::ModuleNotFound, format!("no module {name_or_digest:?}"));
        if let Some((name, entry)) = self.names.get_key_value(name_or_digest) {
            return Ok((Arc::clone(name), self.contents.get(&entry.digest).ok_or_else(unknown)?));
        }
        let content = match hex(name_or_digest) {
            Some(_) if name_or_digest.starts_with(PREFIX) => self.contents.get(name_or_digest),
            Some(hex) => self.contents.get(format!("{PREFIX}{hex}").as_str()),
            None => None,
        };
        Ok((Arc::default(), content.ok_or_else(unknown)?))
    }

    /// What a list shows of a name.
    pub(super) fn named(&self, name: &str) -> Option<ModuleInfo> {
        let (name, entry) = self.names.get_key_value(name)?;
        Some(self.contents.get(&entry.digest)?.info(name, entry.created_at))
    }

    pub(super) fn names_of(&self, digest: &str) -> Vec<Arc<str>> {
        let named = self.names.iter().filter(|(_, entry)| &*entry.digest == digest);
        named.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Contents without a name, the most recently used first.
    pub(super) fn unnamed(&self) -> Vec<&Content> {
        let named: std::collections::HashSet<&str> =
            self.names.values().map(|entry| &*entry.digest).collect();
        let mut unnamed: Vec<_> =
            self.contents.values().filter(|content| !named.contains(&*content.digest)).collect();
        unnamed.sort_by_key(|content| {
            std::cmp::Reverse((content.used.load(Relaxed), Arc::clone(&content.digest)))
        });
        unnamed
    }
}

/// What a digest begins with.
pub(super) const PREFIX: &str = "sha256:";

/// The 64 digits of a digest with or without its prefix.
pub(super) fn hex(digest: &str) -> Option<&str> {
    let digits = digest.strip_prefix(PREFIX).unwrap_or(digest);
    let fits = digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fits.then_some(digits)
}

/// Refuses what cannot be a name: a name is also a word of the command line, a file's stem and a part of a URL.
pub fn check_name(name: &str) -> Result<()> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b));
    if first && rest && name.len() <= 64 && hex(name).is_none() {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Error::new(ErrorCode::NameInvalid, format!("{shown:?} cannot be the name of a module")))
}

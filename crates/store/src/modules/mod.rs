//! Modules by content: uploads, names, what they are, and their compiled artifacts.
//!
//! A content is a file `modules/<sha256>.wasm`, checked once before it gets that name and never changed. Names
//! point to contents. [`Modules::resolve`] is on the path of every session start and works from memory alone;
//! everything else may touch the disk.

mod artifact;
mod check;
mod component;
mod folder;
mod index;
mod opening;
mod registry;
mod upload;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use api::error::{Error, ErrorCode};
use api::module::{ModuleDetail, ModuleInfo, ModuleKind};
use api::session::EngineKind;
use rusqlite::Connection;

pub use folder::{Found, Registration};
pub use index::check_name;
use index::{Index, engine_of};
pub use upload::Upload;

use crate::Result;
use crate::database::{Database, sql_error};

/// How much is taken and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Names what artifacts depend on beside the content: the engine's version and the CPU.
    pub engine_tag: String,
    /// The same for Wasmtime.
    pub wasmtime_tag: String,
    /// The largest module, in bytes.
    pub max_bytes: u64,
    /// How many contents without a name are kept: the most recently used ones.
    pub anonymous_keep: usize,
    /// How large they may be together, in bytes.
    pub anonymous_bytes: u64,
}

impl Settings {
    /// The defaults: 256 MiB for a module; 64 contents without a name, 1 GiB together.
    #[must_use]
    pub fn new(engine_tag: impl Into<String>) -> Self {
        Self {
            engine_tag: engine_tag.into(),
            wasmtime_tag: "wasmtime".to_owned(),
            max_bytes: 256 << 20,
            anonymous_keep: 64,
            anonymous_bytes: 1 << 30,
        }
    }
}

/// A module that can be run. While a `Resolved` (or a clone) lives, its content is not removed by uploads that
/// need room; keep it until the engine has opened the files.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The content, `sha256:` and 64 hexadecimal digits.
    pub digest: Arc<str>,
    /// The registered name that was asked for; empty when a digest was.
    pub name: Arc<str>,
    /// Core module or component.
    pub kind: ModuleKind,
    /// The module's file.
    pub path: Arc<Path>,
    /// What it imports and nobody offers; only a component can be here with such.
    pub missing: Arc<[String]>,
    artifacts: [Option<Arc<Path>>; 2],
    _hold: Arc<()>,
}

impl Resolved {
    /// The engine that runs it where nothing else is asked for.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        engine_of(self.kind)
    }

    /// The artifact's file, when the module is compiled for this engine and CPU.
    #[must_use]
    pub fn artifact(&self, engine: EngineKind) -> Option<&Arc<Path>> {
        self.artifacts[engine as usize].as_ref()
    }

    /// Refuses a component that imports what nobody offers; `named` is for the message.
    ///
    /// # Errors
    /// `module_import_missing`, with the names.
    pub fn complete(&self, named: &str) -> Result<()> {
        component::complete(named, &self.missing)
    }
}

/// The store of modules. Cloning it is cheap; all clones are one store.
#[derive(Debug, Clone)]
pub struct Modules {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    /// The engines' tags as they stand in file names, in the order of [`index::ENGINES`].
    tags: [String; 2],
    modules_dir: PathBuf,
    artifacts_dir: PathBuf,
    /// Held through every change of files, rows and index, so that they agree.
    registry: Mutex<Connection>,
    index: RwLock<Index>,
    problems: Vec<String>,
}

impl Shared {
    fn tag(&self, engine: EngineKind) -> &str {
        &self.tags[engine as usize]
    }
}

impl Modules {
    /// Opens the store, removes what a crash left behind, and reads the registry. Touches the disk.
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the folders or the registry cannot be used.
    pub fn open(database: &Database, settings: Settings) -> Result<Self> {
        opening::open(database, settings)
    }

    /// What was not in order when the store was opened, one sentence each: for example a name whose file is gone.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.shared.problems
    }

    /// Finds a module by its registered name, by `sha256:…`, or by the 64 digits alone. Touches no disk.
    ///
    /// # Errors
    /// `module_not_found`.
    pub fn resolve(&self, name_or_digest: &str) -> Result<Resolved> {
        let index = self.index();
        let (name, content) = index.find(name_or_digest)?;
        if !content.present {
            return Err(Error::new(
                ErrorCode::ModuleNotFound,
                format!("the file of module {name_or_digest:?} is gone from the store: register it again"),
            ));
        }
        content.touch();
        Ok(Resolved {
            digest: Arc::clone(&content.digest),
            name,
            kind: content.kind,
            path: Arc::clone(&content.path),
            missing: Arc::clone(&content.missing),
            artifacts: content.codes.each_ref().map(|code| code.compiled().map(Arc::clone)),
            _hold: Arc::clone(&content.hold),
        })
    }

    /// The registered names with their modules, sorted. Touches no disk.
    #[must_use]
    pub fn list(&self) -> Vec<ModuleInfo> {
        let index = self.index();
        index.names.keys().filter_map(|name| index.named(name)).collect()
    }

    /// The contents without a name, the most recently used first; their name is empty. Touches no disk.
    #[must_use]
    pub fn anonymous(&self) -> Vec<ModuleInfo> {
        let index = self.index();
        index.unnamed().into_iter().map(|content| content.info("", content.created_at)).collect()
    }

    /// One module in full. Reads the registry.
    ///
    /// # Errors
    /// `module_not_found`; `internal` when the registry fails.
    pub fn detail(&self, name_or_digest: &str) -> Result<ModuleDetail> {
        self.detail_by(&self.registry(), name_or_digest)
    }

    fn detail_by(&self, sql: &Connection, name_or_digest: &str) -> Result<ModuleDetail> {
        let (info, digest, missing) = {
            let index = self.index();
            let (name, content) = index.find(name_or_digest)?;
            let info = index.named(&name).unwrap_or_else(|| content.info("", content.created_at));
            (info, Arc::clone(&content.digest), content.missing.to_vec())
        };
        let (imports, exports) = registry::interface(sql, &digest).map_err(|e| sql_error(&e))?;
        Ok(ModuleDetail { info, imports, exports, missing })
    }

    /// Removes a name, and its content with its artifact when nothing else names it; or, by digest, a content
    /// that has no name. `in_use` tells whether sessions use a digest. Touches the disk.
    ///
    /// # Errors
    /// `module_not_found`; `module_in_use` when the content would go and is used; `invalid_state` for the digest of
    /// a content that has names; `internal` when the registry fails.
    pub fn remove(&self, name_or_digest: &str, in_use: impl Fn(&str) -> bool) -> Result<()> {
        let sql = self.registry();
        let (name, digest, others) = {
            let index = self.index();
            let (name, content) = index.find(name_or_digest)?;
            let names = index.names_of(&content.digest);
            let others: Vec<Arc<str>> = names.into_iter().filter(|other| *other != name).collect();
            (name, Arc::clone(&content.digest), others)
        };
        if name.is_empty() && !others.is_empty() {
            let message = format!("{digest} has names: remove {} instead", others.join(", "));
            return Err(Error::new(ErrorCode::InvalidState, message));
        }
        if others.is_empty() && in_use(&digest) {
            let message = format!("module {name_or_digest:?} is used by sessions that run");
            return Err(Error::new(ErrorCode::ModuleInUse, message));
        }
        if !name.is_empty() {
            registry::remove_name(&sql, &name).map_err(|e| sql_error(&e))?;
            self.index_mut().names.remove(&name);
        }
        if others.is_empty() {
            self.forget(&sql, &digest)?;
        }
        Ok(())
    }

    /// Removes contents that nothing wants any more and nobody holds: without a name, and either replaced or
    /// beyond what is kept of anonymous ones.
    fn sweep(&self, sql: &Connection) -> Result<()> {
        let settings = &self.shared.settings;
        let mut going = Vec::new();
        {
            let index = self.index();
            let (mut count, mut bytes) = (0, 0);
            for content in index.unnamed() {
                if content.anonymous && content.present {
                    count += 1;
                    bytes += content.size;
                    if count <= settings.anonymous_keep && bytes <= settings.anonymous_bytes {
                        continue;
                    }
                }
                going.push(Arc::clone(&content.digest));
            }
        }
        for digest in going {
            // Who resolved it in between holds it, because resolving and this take the same lock.
            let free = {
                let mut index = self.index_mut();
                index.contents.get_mut(&digest).is_some_and(|content| {
                    let free = !content.is_held();
                    content.present &= !free;
                    free
                })
            };
            if free {
                self.forget(sql, &digest)?;
            }
        }
        Ok(())
    }

    /// Removes a content: first its rows, then its files, so that a crash between leaves files that the next
    /// open removes, and no row without a file.
    fn forget(&self, sql: &Connection, digest: &str) -> Result<()> {
        registry::remove_content(sql, digest).map_err(|e| sql_error(&e))?;
        let Some(content) = self.index_mut().contents.remove(digest) else { return Ok(()) };
        // A file that cannot be removed now is removed by the next open.
        let _ = std::fs::remove_file(&content.path);
        for code in &content.codes {
            let _ = std::fs::remove_file(&code.path);
        }
        Ok(())
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.shared.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.shared.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry(&self) -> MutexGuard<'_, Connection> {
        self.shared.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

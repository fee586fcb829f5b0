//! Opening the store: folders, leftovers of a crash, and the index from the registry.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use api::error::{Error, ErrorCode};
use api::module::ModuleKind;
use sha2::{Digest, Sha256};

use super::index::{Index, Name, PREFIX, hex};
use super::upload::hex_of;
use super::{Modules, Settings, Shared, artifact, check, component, registry, upload};
use crate::Result;
use crate::database::{Database, io_error, sql_error};

pub(super) fn open(database: &Database, settings: Settings) -> Result<Modules> {
    let modules_dir = database.state_dir().join("modules");
    let artifacts_dir = database.state_dir().join("artifacts");
    for folder in [&modules_dir, &artifacts_dir] {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| io_error(folder, &e))?;
    }
    let sql = database.connect().map_err(|e| sql_error(&e))?;
    let tags = [&settings.engine_tag, &settings.wasmtime_tag].map(|tag| artifact::file_tag(tag));
    let mut modules = Modules {
        shared: Arc::new(Shared {
            settings,
            tags,
            modules_dir,
            artifacts_dir,
            registry: Mutex::new(sql),
            index: RwLock::new(Index::default()),
            problems: Vec::new(),
        }),
    };
    let mut problems = Vec::new();
    modules.read_registry(&mut problems)?;
    // The registry of a fresh database knows nothing, and the files are all that is left of what was.
    let adopt = database.quarantined().is_some();
    modules.tidy_modules(adopt, &mut problems)?;
    modules.tidy_artifacts()?;
    {
        let sql = modules.registry();
        modules.sweep(&sql)?;
    }
    if let Some(shared) = Arc::get_mut(&mut modules.shared) {
        shared.problems = problems;
    }
    Ok(modules)
}

impl Modules {
    fn read_registry(&self, problems: &mut Vec<String>) -> Result<()> {
        let sql = self.registry();
        let mut index = self.index_mut();
        for row in registry::contents(&sql).map_err(|e| sql_error(&e))? {
            let file = fs::metadata(self.content_path(&row.digest));
            let present = file.is_ok_and(|file| file.is_file() && file.len() == row.size);
            let missing = match row.kind {
                ModuleKind::Core => Vec::new(),
                ModuleKind::Component => {
                    let (imports, _) = registry::interface(&sql, &row.digest).map_err(|e| sql_error(&e))?;
                    component::missing(&imports)
                }
            };
            let content = self.content(&sql, &row, present, missing)?;
            index.contents.insert(Arc::clone(&content.digest), content);
        }
        for (name, digest, created_at) in registry::names(&sql).map_err(|e| sql_error(&e))? {
            match index.contents.get(digest.as_str()) {
                Some(content) if content.present => {}
                Some(_) => {
                    problems
                        .push(format!("module {name:?}: its file ({digest}) is gone or has another size"));
                }
                None => {
                    problems.push(format!(
                        "module {name:?}: its content ({digest}) is not registered; the name is dropped"
                    ));
                    registry::remove_name(&sql, &name).map_err(|e| sql_error(&e))?;
                    continue;
                }
            }
            index.names.insert(name.into(), Name { digest: digest.into(), created_at });
        }
        Ok(())
    }

    /// Removes unfinished uploads and contents that the registry does not know; after the loss of the registry
    /// these are checked and taken in by digest instead.
    fn tidy_modules(&self, adopt: bool, problems: &mut Vec<String>) -> Result<()> {
        for (path, name) in files(&self.shared.modules_dir)? {
            if name.starts_with(upload::TEMPORARY) {
                let _ = fs::remove_file(&path);
            }
            let Some(digits) = name.strip_suffix(".wasm").and_then(hex) else { continue };
            let digest = format!("{PREFIX}{digits}");
            if self.index().contents.contains_key(digest.as_str()) {
                continue;
            }
            if adopt {
                match self.adopt(&path, &digest) {
                    Ok(()) => problems.push(format!("{digest}: found again, its name is lost")),
                    Err(error) => problems.push(format!("{digest}: {error}; left alone")),
                }
            } else {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn adopt(&self, path: &Path, digest: &str) -> Result<()> {
        let bytes = fs::read(path).map_err(|e| io_error(path, &e))?;
        if hex(digest) != Some(hex_of(&Sha256::digest(&bytes)).as_str()) {
            return Err(Error::new(
                ErrorCode::DigestMismatch,
                "the file does not have the digest of its name",
            ));
        }
        let facts = check::check(&bytes)?;
        self.accept(&self.registry(), path, digest, bytes.len() as u64, &facts, true)
    }

    /// Removes unfinished artifacts, those of other engine versions and CPUs, and those without a module.
    fn tidy_artifacts(&self) -> Result<()> {
        let wanted: HashSet<_> = {
            let index = self.index();
            let codes = index.contents.values().flat_map(|content| &content.codes);
            codes.map(|code| Arc::clone(&code.path)).collect()
        };
        for (path, name) in files(&self.shared.artifacts_dir)? {
            let ours = name.starts_with(artifact::TEMPORARY) || name.ends_with(".aot");
            if ours && !wanted.contains(path.as_path()) {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }
}

/// The files of a folder whose names are text; ours are.
fn files(folder: &Path) -> Result<Vec<(std::path::PathBuf, String)>> {
    let failed = |e: std::io::Error| io_error(folder, &e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}

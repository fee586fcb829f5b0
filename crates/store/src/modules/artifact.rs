//! Artifacts: what was compiled from a content for an engine and this CPU, and how compiling ended. A core module may have
//! one for each engine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::error::{Error, ErrorCode};
use api::module::ArtifactState;
use api::session::EngineKind;
use sha2::{Digest, Sha256};

use super::index::hex;
use super::upload::hex_of;
use super::{Modules, registry};
use crate::Result;
use crate::database::{io_error, sql_error};

/// What the name of an artifact in the making begins with.
pub(super) const TEMPORARY: &str = ".compile-";

/// The longest reason that is kept, in bytes.
const MAX_WHY: usize = 2000;

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Modules {
    /// Where the artifact of a content for an engine is, or will be. Touches no disk.
    ///
    /// # Errors
    /// `module_not_found`.
    pub fn artifact_path(&self, digest: &str, engine: EngineKind) -> Result<PathBuf> {
        Ok(self.index().find(digest)?.1.code(engine).path.to_path_buf())
    }

    /// The state of a content's artifact for an engine. Touches no disk.
    ///
    /// # Errors
    /// `module_not_found`.
    pub fn artifact_state(&self, digest: &str, engine: EngineKind) -> Result<ArtifactState> {
        Ok(self.index().find(digest)?.1.code(engine).state.clone())
    }

    /// A fresh path beside it to compile to; [`Self::commit_artifact`] takes it from there, and the next open
    /// removes it if that never comes. Touches no disk.
    ///
    /// # Errors
    /// `module_not_found`.
    pub fn artifact_temp_path(&self, digest: &str) -> Result<PathBuf> {
        let digest = std::sync::Arc::clone(&self.index().find(digest)?.1.digest);
        let number = NEXT.fetch_add(1, Relaxed);
        let hex = hex(&digest).unwrap_or_default();
        let name = format!("{TEMPORARY}{}-{number}-{hex}.aot", std::process::id());
        Ok(self.shared.artifacts_dir.join(name))
    }

    /// Makes a compiled file the artifact of a content: synced, renamed, noted. New sessions use it from then on.
    /// Touches the disk.
    ///
    /// # Errors
    /// `module_not_found` when the content was removed meanwhile (the file is removed too); `internal` when the
    /// file is empty or cannot be moved; `resource_exhausted` when the disk is full.
    pub fn commit_artifact(
        &self,
        digest: &str,
        engine: EngineKind,
        temporary: &Path,
        compile_ms: u64,
    ) -> Result<ArtifactState> {
        let moved = self.move_artifact(digest, engine, temporary, compile_ms);
        if moved.is_err() {
            let _ = fs::remove_file(temporary);
        }
        moved
    }

    fn move_artifact(
        &self,
        digest: &str,
        engine: EngineKind,
        temporary: &Path,
        compile_ms: u64,
    ) -> Result<ArtifactState> {
        let failed = |e: std::io::Error| io_error(temporary, &e);
        let file = File::open(temporary).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size == 0 {
            return Err(Error::new(ErrorCode::Internal, format!("{} is empty", temporary.display())));
        }
        file.sync_all().map_err(failed)?;
        let sql = self.registry();
        let path = self.artifact_path(digest, engine)?;
        fs::rename(temporary, &path).map_err(|e| io_error(&path, &e))?;
        let folder = &self.shared.artifacts_dir;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| io_error(folder, &e))?;
        let state = ArtifactState::Compiled { size, compile_ms };
        self.note_artifact(&sql, digest, engine, state.clone())?;
        Ok(state)
    }

    /// Notes the state of a content's artifact. `Compiling` lives in memory only: after a crash it is
    /// `Interpreted` again. `Failed` is remembered for this engine and CPU. Touches the disk.
    ///
    /// # Errors
    /// `module_not_found`; `internal` or `resource_exhausted` when the registry fails.
    pub fn set_artifact(&self, digest: &str, engine: EngineKind, state: ArtifactState) -> Result<()> {
        let sql = self.registry();
        self.note_artifact(&sql, digest, engine, state)
    }

    fn note_artifact(
        &self,
        sql: &rusqlite::Connection,
        digest: &str,
        engine: EngineKind,
        mut state: ArtifactState,
    ) -> Result<()> {
        if let ArtifactState::Failed { why } = &mut state
            && why.len() > MAX_WHY
        {
            why.truncate(why.floor_char_boundary(MAX_WHY));
        }
        let digest = std::sync::Arc::clone(&self.index().find(digest)?.1.digest);
        if state != ArtifactState::Compiling {
            let tag = self.shared.tag(engine);
            registry::set_artifact(sql, &digest, tag, &state).map_err(|e| sql_error(&e))?;
        }
        if let Some(content) = self.index_mut().contents.get_mut(&digest) {
            content.code_mut(engine).state = state;
        }
        Ok(())
    }

    /// The state of an artifact by what is on disk and in the registry.
    pub(super) fn found_artifact(
        &self,
        sql: &rusqlite::Connection,
        digest: &str,
        engine: EngineKind,
    ) -> Result<ArtifactState> {
        let tag = self.shared.tag(engine);
        let row = registry::artifact(sql, digest, tag).map_err(|e| sql_error(&e))?;
        let path = self.shared.artifacts_dir.join(file_name(hex(digest).unwrap_or_default(), tag));
        let size = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
        let state = match (size, row) {
            (None, Some(row)) if row.why.is_some() => {
                return Ok(ArtifactState::Failed { why: row.why.unwrap_or_default() });
            }
            (None, None) => return Ok(ArtifactState::Interpreted),
            (Some(size), Some(row)) if row.why.is_none() && row.size == size => {
                return Ok(ArtifactState::Compiled { size, compile_ms: row.compile_ms });
            }
            // The crash came between the rename and the row; what was renamed was whole.
            (Some(size), None) => ArtifactState::Compiled { size, compile_ms: 0 },
            // The file is gone, or is not what was noted.
            (None | Some(_), Some(_)) => {
                let _ = fs::remove_file(&path);
                ArtifactState::Interpreted
            }
        };
        registry::set_artifact(sql, digest, tag, &state).map_err(|e| sql_error(&e))?;
        Ok(state)
    }
}

/// The name of an artifact's file.
pub(super) fn file_name(hex: &str, tag: &str) -> String {
    format!("{hex}-{tag}.aot")
}

/// An engine's tag as it can stand in a file name. A tag that had to be changed gets a piece of its hash, so that
/// two tags never become one.
pub(super) fn file_tag(tag: &str) -> String {
    let clean: String = tag
        .chars()
        .take(80)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+') { c } else { '_' })
        .collect();
    if clean == tag && !tag.is_empty() {
        return clean;
    }
    format!("{clean}-{}", &hex_of(&Sha256::digest(tag.as_bytes()))[..12])
}

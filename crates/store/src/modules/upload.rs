//! Uploads: streamed to a file beside the store while they are hashed, checked, and only then named.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::error::{Error, ErrorCode};
use api::module::{ArtifactState, ModuleDetail};
use sha2::{Digest, Sha256};

use super::check::{self, Facts};
use super::index::{Code, Content, ENGINES, Name, PREFIX, check_name, hex};
use super::registry::{self, ContentRow};
use super::{Modules, artifact, component};
use crate::Result;
use crate::database::{io_error, now_ms, sql_error};

/// What the name of a file in the making begins with.
pub(super) const TEMPORARY: &str = ".upload-";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// An upload in progress. Dropping it discards what came so far.
#[derive(Debug)]
pub struct Upload {
    modules: Modules,
    name: Option<String>,
    file: File,
    path: PathBuf,
    hasher: Sha256,
    size: u64,
}

impl Modules {
    /// Begins an upload that will be registered under `name`, or kept for a while by digest alone. Touches the
    /// disk.
    ///
    /// # Errors
    /// `name_invalid`; `resource_exhausted` or `internal` when no file can be made.
    pub fn upload(&self, name: Option<&str>) -> Result<Upload> {
        if let Some(name) = name {
            check_name(name)?;
        }
        let number = NEXT.fetch_add(1, Relaxed);
        let path = self.shared.modules_dir.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| io_error(&path, &e))?;
        Ok(Upload {
            modules: self.clone(),
            name: name.map(str::to_owned),
            file,
            path,
            hasher: Sha256::new(),
            size: 0,
        })
    }
}

impl Upload {
    /// Takes the next piece. After an error the upload is of no use. Touches the disk.
    ///
    /// # Errors
    /// `too_large`; `resource_exhausted` or `internal` when the disk does not take it.
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.size += piece.len() as u64;
        let limit = self.modules.shared.settings.max_bytes;
        if self.size > limit {
            return Err(Error::new(ErrorCode::TooLarge, format!("the module is larger than {limit} bytes")));
        }
        self.hasher.update(piece);
        self.file.write_all(piece).map_err(|e| io_error(&self.path, &e))
    }

    /// Checks the digest (64 hexadecimal digits, `sha256:` may stand before them), the header, the code and the
    /// interface, and registers the module. It is on disk when this returns.
    ///
    /// # Errors
    /// `digest_mismatch`, `module_invalid`, `module_unsupported`, `module_import_missing`; `resource_exhausted` or
    /// `internal` when disk or registry fail.
    pub fn finish(mut self, expected_sha256: Option<&str>) -> Result<ModuleDetail> {
        let digits = hex_of(&std::mem::take(&mut self.hasher).finalize());
        if let Some(expected) = expected_sha256 {
            let expected = expected.trim().to_ascii_lowercase();
            if hex(&expected) != Some(digits.as_str()) {
                let message =
                    format!("the bytes that came have SHA-256 {digits}, and {expected:?} was announced");
                return Err(Error::new(ErrorCode::DigestMismatch, message));
            }
        }
        let digest = format!("{PREFIX}{digits}");
        let known = self.modules.index().contents.get(digest.as_str()).is_some_and(|content| content.present);
        // Checked before the lock is taken: it takes seconds for a large file.
        let facts = if known { None } else { Some(self.check()?) };
        let modules = self.modules.clone();
        let sql = modules.registry();
        // What was known may have been removed in between, what was not may have come.
        let known = modules.index().contents.get(digest.as_str()).is_some_and(|content| content.present);
        let facts = match facts {
            None if !known => Some(self.check()?),
            facts => facts.filter(|_| !known),
        };
        if let Some(facts) = facts {
            modules.accept(&sql, &self.path, &digest, self.size, &facts, self.name.is_none())?;
        } else if self.name.is_none() {
            registry::set_anonymous(&sql, &digest).map_err(|e| sql_error(&e))?;
            if let Some(content) = modules.index_mut().contents.get_mut(digest.as_str()) {
                content.anonymous = true;
                content.touch();
            }
        }
        if let Some(name) = &self.name {
            modules.set_name(&sql, name, &digest)?;
        }
        // Before the lock is given back: afterwards the name may be somebody else's.
        let detail = modules.detail_by(&sql, self.name.as_deref().unwrap_or(&digest))?;
        modules.sweep(&sql)?;
        Ok(detail)
    }

    fn check(&mut self) -> Result<Facts> {
        self.file.sync_all().map_err(|e| io_error(&self.path, &e))?;
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| {
            // The length is known, so the buffer grows once.
            bytes.reserve_exact(usize::try_from(self.size).unwrap_or(0) + 1);
            self.file.read_to_end(&mut bytes)
        });
        read.map_err(|e| io_error(&self.path, &e))?;
        check::check(&bytes)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // After a successful finish the file has its final name, and there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

impl Modules {
    /// Gives a checked file its final name, then a row, then a place in the index.
    pub(super) fn accept(
        &self,
        sql: &rusqlite::Connection,
        file: &Path,
        digest: &str,
        size: u64,
        facts: &Facts,
        anonymous: bool,
    ) -> Result<()> {
        let path = self.content_path(digest);
        if file != path {
            fs::rename(file, &path).map_err(|e| io_error(&path, &e))?;
            let folder = &self.shared.modules_dir;
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| io_error(folder, &e))?;
        }
        let created_at = now_ms();
        let row = ContentRow { digest: digest.to_owned(), kind: facts.kind, size, anonymous, created_at };
        if let Err(failure) = registry::add_content(sql, &row, facts) {
            let _ = fs::remove_file(&path);
            return Err(sql_error(&failure));
        }
        // A file that was lost and came back may still have its artifact.
        let content = self.content(sql, &row, true, component::missing_of(facts))?;
        self.index_mut().contents.insert(Arc::clone(&content.digest), content);
        Ok(())
    }

    pub(super) fn content(
        &self,
        sql: &rusqlite::Connection,
        row: &ContentRow,
        present: bool,
        missing: Vec<String>,
    ) -> Result<Content> {
        let hex = hex(&row.digest).unwrap_or_default();
        let [wasmedge, wasmtime] = ENGINES.map(|engine| -> Result<Code> {
            let name = artifact::file_name(hex, self.shared.tag(engine));
            let state = match present {
                true => self.found_artifact(sql, &row.digest, engine)?,
                false => ArtifactState::Interpreted,
            };
            Ok(Code { path: self.shared.artifacts_dir.join(name).into(), state })
        });
        Ok(Content {
            digest: row.digest.as_str().into(),
            path: self.content_path(&row.digest).into(),
            codes: [wasmedge?, wasmtime?],
            missing: missing.into(),
            kind: row.kind,
            size: row.size,
            created_at: row.created_at,
            anonymous: row.anonymous,
            present,
            used: AtomicU64::new(row.created_at),
            hold: Arc::new(()),
        })
    }

    pub(super) fn content_path(&self, digest: &str) -> PathBuf {
        self.shared.modules_dir.join(format!("{}.wasm", hex(digest).unwrap_or_default()))
    }

    /// Points a name to a content; a name that already does keeps its time.
    pub(super) fn set_name(&self, sql: &rusqlite::Connection, name: &str, digest: &str) -> Result<()> {
        if self.index().names.get(name).is_some_and(|entry| &*entry.digest == digest) {
            return Ok(());
        }
        let created_at = now_ms();
        registry::set_name(sql, name, digest, created_at).map_err(|e| sql_error(&e))?;
        self.index_mut().names.insert(name.into(), Name { digest: digest.into(), created_at });
        Ok(())
    }
}

pub(super) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
        text
    })
}

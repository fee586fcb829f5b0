//! `module_put`, `module_list`, `module_get`, `module_remove`, and uploads

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use api::error::{Error, ErrorCode};
use api::module::{ArtifactState, ModuleDetail, ModuleKind, ModuleList, ModulePut};
use api::session::{Done, EngineKind};
use base64::Engine as _;
use bytes::Bytes;
use store::modules::{Resolved, Upload};

use crate::core::Shared;
use crate::read::blocking;
use crate::session::lock;
use crate::{Result, Supervisor};

impl Supervisor {
    /// Registers a module from bytes.
    ///
    /// # Errors
    /// When name, digest, header, imports or exports are not as they have to be, or there is no room.
    pub async fn module_put(&self, request: ModulePut) -> Result<ModuleDetail> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(&request.base64).map_err(|error| {
            Error::new(ErrorCode::InvalidParams, format!("base64 is not base64: {error}"))
        })?;
        let mut upload = self.module_upload(Some(&request.name), request.sha256).await?;
        upload.write(Bytes::from(bytes)).await?;
        upload.finish().await
    }

    /// Begins a streaming upload, under a name or addressed by its digest alone.
    ///
    /// # Errors
    /// When the name cannot be one, or there is no room.
    pub async fn module_upload(&self, name: Option<&str>, sha256: Option<String>) -> Result<ModuleUpload> {
        let (shared, name) = (Arc::clone(&self.shared), name.map(str::to_owned));
        let inner = {
            let shared = Arc::clone(&shared);
            blocking(move || shared.modules.upload(name.as_deref())).await?
        };
        Ok(ModuleUpload { shared, inner: Some(inner), sha256 })
    }

    /// Lists the registered modules.
    ///
    /// # Errors
    /// None today.
    pub async fn module_list(&self) -> Result<ModuleList> {
        Ok(ModuleList { modules: self.shared.modules.list() })
    }

    /// Whether a module waits to be compiled, or is at it.
    #[must_use]
    pub fn module_is_compiling(&self, digest: &str) -> bool {
        self.shared.compile.is_queued(digest)
    }

    /// Shows one module.
    ///
    /// # Errors
    /// When there is no such module.
    pub async fn module_get(&self, name: &str) -> Result<ModuleDetail> {
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        blocking(move || shared.modules.detail(&name)).await
    }

    /// Finds a module's file, which stays for as long as what is returned. Touches no disk.
    ///
    /// # Errors
    /// When there is no such module.
    pub fn module(&self, name: &str) -> Result<Resolved> {
        self.shared.modules.resolve(name)
    }

    /// What kind of module a name or digest stands for, and its digest. Touches no disk.
    ///
    /// # Errors
    /// When there is no such module.
    pub fn module_kind(&self, name: &str) -> Result<(ModuleKind, Arc<str>)> {
        let module = self.shared.modules.resolve(name)?;
        Ok((module.kind, module.digest))
    }

    /// Removes a name, and the content with its last name.
    ///
    /// # Errors
    /// When there is no such module, or a session that has not ended uses it.
    pub async fn module_remove(&self, name: &str) -> Result<Done> {
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        blocking(move || {
            let in_use = |digest: &str| {
                let core = lock(&shared.core);
                core.sessions.values().any(|session| {
                    let info = lock(&session.info);
                    !info.state.is_final() && info.digest == digest
                })
            };
            shared.modules.remove(&name, in_use)?;
            lock(&shared.core).files.clear();
            shared.refresh_all();
            Ok(Done { ok: true })
        })
        .await
    }
}

/// An upload in progress. Dropping it discards what came so far.
#[derive(Debug)]
pub struct ModuleUpload {
    shared: Arc<Shared>,
    inner: Option<Upload>,
    sha256: Option<String>,
}

impl ModuleUpload {
    /// Takes the next piece.
    ///
    /// # Errors
    /// When it is too large or the disk is full; the upload is over then.
    pub async fn write(&mut self, piece: Bytes) -> Result<()> {
        let Some(mut upload) = self.inner.take() else { return Err(over()) };
        let upload = blocking(move || {
            upload.write(&piece)?;
            Ok(upload)
        })
        .await?;
        self.inner = Some(upload);
        Ok(())
    }

    /// Checks digest, header, imports and exports, and registers the module.
    ///
    /// # Errors
    /// When one of them is not as it has to be.
    pub async fn finish(mut self) -> Result<ModuleDetail> {
        let Some(upload) = self.inner.take() else { return Err(over()) };
        let sha256 = self.sha256.take();
        let detail = blocking(move || upload.finish(sha256.as_deref())).await?;
        match detail.info.kind {
            ModuleKind::Component => self.shared.prepare_components(),
            ModuleKind::Core if detail.info.artifact == ArtifactState::Interpreted => {
                self.shared.compile.want(&detail.info.digest, EngineKind::Wasmedge);
            }
            ModuleKind::Core => {}
        }
        // A template may have waited for it, or have to follow its name to the new content.
        self.shared.refresh_all();
        Ok(detail)
    }
}

fn over() -> Error {
    Error::new(ErrorCode::InvalidState, "the upload has failed before")
}

/// Modules that sessions named by a path: what the file looked like, and its digest.
#[derive(Debug, Default)]
pub(crate) struct ByPath {
    known: Mutex<HashMap<std::path::PathBuf, (Looks, Arc<str>)>>,
}

type Looks = (u64, i64, i64, u64);

impl ByPath {
    /// The module that is at this path now. A file that looks as it did before is not read again.
    pub(crate) fn resolve(&self, shared: &Shared, path: &Path) -> Result<Resolved> {
        use std::io::Read;
        use std::os::unix::fs::MetadataExt;
        let failed = |error: std::io::Error| {
            Error::new(ErrorCode::PathNotAllowed, format!("{}: {error}", path.display()))
        };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        let looks = (facts.len(), facts.mtime(), facts.mtime_nsec(), facts.ino());
        let known = lock(&self.known)
            .get(path)
            .filter(|(before, _)| *before == looks)
            .map(|(_, digest)| Arc::clone(digest));
        if let Some(found) = known.and_then(|digest| shared.modules.resolve(&digest).ok()) {
            return Ok(found);
        }
        let mut upload = shared.modules.upload(None)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                got => upload.write(&buffer[..got])?,
            }
        }
        let digest: Arc<str> = upload.finish(None)?.info.digest.into();
        lock(&self.known).insert(path.to_owned(), (looks, Arc::clone(&digest)));
        shared.modules.resolve(&digest)
    }
}

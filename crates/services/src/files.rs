//! Modules that are files of a service's folder: found when its declaration is read, given to the server when it starts.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use api::error::{Error, ErrorCode};
use api::service::ServiceSpec;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::declaration::{Declaration, Fault};
use crate::upload::blocking;
use crate::{Inner, Result};

/// The modules of a declaration that are files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// The digest of the entrypoint.
    pub(crate) entrypoint: Option<String>,
    /// That of the fallback, or what else names it.
    pub(crate) fallback: Option<String>,
    /// The files, by their digests.
    paths: BTreeMap<String, PathBuf>,
}

impl Files {
    /// Finds the files that a declaration names, in its folder.
    pub(crate) fn find(spec: &ServiceSpec, folder: &Path) -> Result<Self, Fault> {
        let mut files = Self::default();
        let bare = || folder.join(package::folder::BARE).is_file().then_some(package::folder::BARE);
        let entrypoint = match &spec.module {
            Some(_) => None,
            None => spec.entrypoint.as_deref().or_else(bare),
        };
        if let Some(path) = entrypoint {
            files.entrypoint = Some(files.add("entrypoint", folder, path)?);
        }
        if let Some(named) = &spec.fallback {
            let file = !named.starts_with("sha256:") && (named.contains('/') || named.ends_with(".wasm"));
            files.fallback = Some(if file { files.add("fallback", folder, named)? } else { named.clone() });
        }
        Ok(files)
    }

    fn add(&mut self, key: &str, folder: &Path, path: &str) -> Result<String, Fault> {
        let wrong = |reason: String| (Some(key.to_owned()), reason);
        let file = package::folder::inner(folder, path).map_err(|(_, reason)| wrong(reason))?;
        let digest = digest(&file).map_err(|error| wrong(format!("{path:?}: {error}")))?;
        self.paths.insert(digest.clone(), file);
        Ok(digest)
    }
}

fn digest(file: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut File::open(file)?, &mut hasher)?;
    let digits: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{digits}"))
}

/// Gives the server the files of a declaration that it does not have.
///
/// # Errors
/// `module_load` with the file's name for what is no module that could run; when one has changed since it was found.
pub(crate) async fn bring(inner: &Inner, declaration: &Declaration) -> Result<()> {
    let module = declaration.module();
    let Some(path) = declaration.files.paths.get(module) else { return Ok(()) };
    if inner.supervisor.module_get(module).await.is_ok() {
        return Ok(());
    }
    let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |error: Error| {
        let code = match error.code {
            ErrorCode::ModuleInvalid | ErrorCode::ModuleUnsupported | ErrorCode::ModuleImportMissing => {
                ErrorCode::ModuleLoad
            }
            code => code,
        };
        Error::new(code, format!("{shown}: {}", error.message))
    };
    let place = path.clone();
    let bytes = blocking(move || {
        std::fs::read(&place).map_err(|error| Error::new(ErrorCode::WasmNotFound, error.to_string()))
    });
    let bytes = bytes.await.map_err(failed)?;
    let digits = module.strip_prefix("sha256:").map(str::to_owned);
    let mut upload = inner.supervisor.module_upload(None, digits).await.map_err(failed)?;
    upload.write(Bytes::from(bytes)).await.map_err(failed)?;
    upload.finish().await.map_err(failed)?;
    Ok(())
}

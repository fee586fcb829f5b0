//! A package on its way to this server: to a file beside the versions, hashed while it comes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use api::error::{Error, ErrorCode};
use api::service::Deployed;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use crate::declaration::is_name;
use crate::release;
use crate::versions::{Staged, failed};
use crate::{Result, Services};

/// What has been done of an upload, for whoever watches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// The archive is here, whole.
    Received {
        /// Its size.
        bytes: u64,
        /// Its SHA-256, in hexadecimal.
        sha256: String,
    },
    /// Its files are on the disk.
    Unpacked {
        /// Files and folders.
        files: u64,
        /// Their size together.
        bytes: u64,
    },
    /// Its modules are registered and, where this server compiles, compiled.
    Compiled {
        /// Their digests.
        modules: Vec<String>,
    },
    /// The new version is started beside the one that serves.
    Starting {
        /// The service.
        service: String,
        /// The number that the version will have.
        version: u64,
    },
    /// The new version takes the requests.
    Ready {
        /// The service.
        service: String,
        /// The version.
        version: u64,
    },
}

impl Stage {
    /// Its name, as in the events of an upload.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Received { .. } => "received",
            Self::Unpacked { .. } => "unpacked",
            Self::Compiled { .. } => "compiled",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
        }
    }
}

/// What came of an upload.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// The version that serves, and the service.
    pub deployed: Deployed,
    /// Whether it served before, because the same package had been deployed.
    pub unchanged: bool,
}

/// A package that is being uploaded. Dropping it discards what came so far.
#[derive(Debug)]
pub struct PackageUpload {
    pub(crate) services: Services,
    /// The service's name, if it is to be another than the manifest's.
    pub(crate) name: Option<String>,
    pub(crate) staged: Staged,
    pub(crate) size: u64,
    file: Option<File>,
    hasher: Sha256,
    sha256: Option<String>,
    _place: OwnedSemaphorePermit,
}

impl Services {
    /// Begins an upload. `name` is the service's, if it is to be another than the manifest's; `sha256` are the 64 hexadecimal
    /// digits that the archive has to have.
    ///
    /// # Errors
    /// `name_invalid`; `invalid_params` for a wrong digest; `queue_full` when as many uploads are under way as may be;
    /// `resource_exhausted` when the disk is full.
    pub async fn package_upload(
        &self,
        name: Option<String>,
        sha256: Option<String>,
    ) -> Result<PackageUpload> {
        if let Some(name) = name.as_deref().filter(|name| !is_name(name)) {
            return Err(Error::new(ErrorCode::NameInvalid, format!("{name:?} cannot be a service's name")));
        }
        let is_digest =
            |text: &String| text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if sha256.as_ref().is_some_and(|text| !is_digest(text)) {
            let message = "the package's SHA-256 is not 64 hexadecimal digits";
            return Err(Error::new(ErrorCode::InvalidParams, message));
        }
        let busy =
            || Error::new(ErrorCode::QueueFull, "as many packages are being uploaded as may be at once");
        let place = self.inner.uploads.clone().try_acquire_owned().map_err(|_| busy())?;
        let versions = self.inner.versions.clone();
        let (staged, file) = blocking(move || {
            let staged = versions.stage()?;
            let path = staged.dir.join("archive");
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
            Ok((staged, file.map_err(|error| failed(&path, &error))?))
        })
        .await?;
        Ok(PackageUpload {
            services: self.clone(),
            name,
            staged,
            size: 0,
            file: Some(file),
            hasher: Sha256::new(),
            sha256: sha256.map(|text| text.to_ascii_lowercase()),
            _place: place,
        })
    }
}

impl PackageUpload {
    /// Takes the next piece.
    ///
    /// # Errors
    /// `too_large` beyond `max_package_mb`; `resource_exhausted` when the disk is full. The upload is over then.
    pub async fn write(&mut self, piece: Bytes) -> Result<()> {
        let limit = self.services.inner.config.max_package_bytes;
        self.size += piece.len() as u64;
        if self.size > limit {
            let message = format!("the package is larger than {limit} bytes (max_package_mb)");
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        self.hasher.update(&piece);
        let mut file = self.archive()?;
        let path = self.staged.dir.join("archive");
        let file = blocking(move || {
            file.write_all(&piece).map_err(|error| failed(&path, &error))?;
            Ok(file)
        });
        self.file = Some(file.await?);
        Ok(())
    }

    pub(crate) fn archive(&mut self) -> Result<File> {
        let over = || Error::new(ErrorCode::InvalidState, "the upload has failed before");
        self.file.take().ok_or_else(over)
    }

    /// Makes the package a new version of its service, and tells `tell` how far that is. It goes on to its end when the
    /// caller goes away.
    ///
    /// # Errors
    /// `digest_mismatch`; `too_large`, `deploy_error`, `manifest_invalid`, `wasm_not_found` and `module_load` for what is
    /// wrong with the package; `deploy_error` when the version does not become ready. Then all is as before.
    pub async fn finish(mut self, tell: impl Fn(Stage) + Send + Sync + 'static) -> Result<Release> {
        let digest = std::mem::take(&mut self.hasher).finalize();
        let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(expected) = self.sha256.as_ref().filter(|expected| **expected != sha256) {
            let message = format!("the bytes that came have SHA-256 {sha256}, and {expected} was announced");
            return Err(Error::new(ErrorCode::DigestMismatch, message));
        }
        tell(Stage::Received { bytes: self.size, sha256: sha256.clone() });
        let runtime = self.services.inner.runtime.clone();
        let released = runtime.spawn(release::release(self, sha256, tell)).await;
        released.map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?
    }
}

/// Does what touches the disk, off the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::new(ErrorCode::Internal, error.to_string())))
}

//! From an archive to a version that serves: unpacked, compiled, ready, and only then current.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::error::{Error, ErrorCode};
use api::service::{Deployed, ServiceSpec, ServiceState, ServiceVersion};
use package::Package;
use package::archive::{self, Limits, unpack};

use crate::declaration::Fault;
use crate::deploy::{Kept, unmet_or_clash};
use crate::pins;
use crate::service::{Order, lock};
use crate::upload::{PackageUpload, Release, Stage, blocking};
use crate::versions::{Record, Versions};
use crate::{Inner, Result, Services};

/// How often to look whether a module has been compiled, and for how long. What takes longer is started interpreted, if it
/// can be, and replaced later.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(120));

/// The folder for a package that has no name of its own yet: one that no service can have.
const NAMELESS: &str = "_";

/// A package that was unpacked and read.
struct Read {
    name: String,
    spec: ServiceSpec,
    folder: PathBuf,
    entrypoint: String,
    fallback: Option<String>,
}

pub(crate) async fn release(
    mut upload: PackageUpload,
    sha256: String,
    tell: impl Fn(Stage) + Send + Sync + 'static,
) -> Result<Release> {
    let services = upload.services.clone();
    let inner = &services.inner;
    let mut archive = upload.archive()?;
    let folder = upload.staged.dir.join(upload.name.as_deref().unwrap_or(NAMELESS));
    let limits = Limits::of(inner.config.max_package_bytes);
    let into = folder.clone();
    let unpacked = blocking(move || {
        std::fs::create_dir(&into).map_err(|error| crate::versions::failed(&into, &error))?;
        unpack(&mut archive, &into, limits).map_err(|error| unreadable(&error))
    });
    let unpacked = unpacked.await?;
    tell(Stage::Unpacked { files: unpacked.files, bytes: unpacked.bytes });
    let name = upload.name.clone();
    let read = blocking(move || read(folder, name)).await?;
    if let Some(release) = services.unchanged(&read.name, &sha256) {
        return Ok(release);
    }
    let modules = pins::pin_all(inner, &read.files()).await?;
    compiled(inner, modules.keys()).await;
    tell(Stage::Compiled { modules: modules.keys().cloned().collect() });

    let _changing = inner.changing.lock().await;
    // Somebody may have deployed the same meanwhile.
    if let Some(release) = services.unchanged(&read.name, &sha256) {
        return Ok(release);
    }
    let released = services.take_into_service(&upload, read, modules, (sha256, unpacked.bytes), &tell).await;
    // Of the versions that were too many, or of the one that failed.
    pins::unpin(inner).await;
    released
}

impl Services {
    /// The version that serves, when it was made of the same package and does serve.
    fn unchanged(&self, name: &str, sha256: &str) -> Option<Release> {
        let service = lock(&self.inner.services).get(name).cloned()?;
        let serves = !matches!(service.state(), ServiceState::Failed | ServiceState::Backoff);
        let version = service.declaration().version.filter(|_| serves)?;
        let record = self.inner.versions.list(name).into_iter().find(|one| one.version.version == version)?;
        let version = Some(record.version).filter(|version| version.sha256 == sha256)?;
        let service = self.info(name).ok()?;
        Some(Release { deployed: Deployed { version, service }, unchanged: true })
    }

    async fn take_into_service(
        &self,
        upload: &PackageUpload,
        read: Read,
        modules: BTreeMap<String, String>,
        (sha256, size): (String, u64),
        tell: &impl Fn(Stage),
    ) -> Result<Release> {
        let inner = &self.inner;
        // What another one let go of meanwhile comes back.
        pins::pin_all(inner, &read.files()).await?;
        let Read { name, mut spec, folder, entrypoint, fallback } = read;
        let digest_of =
            |file: &str| modules.iter().find(|(_, one)| *one == file).map(|(digest, _)| digest.clone());
        let digest = digest_of(&entrypoint).unwrap_or_default();
        spec.module = Some(digest.clone());
        spec.fallback = fallback.as_deref().and_then(digest_of);
        let label = spec.version.clone();
        let (versions, staged, of) = (inner.versions.clone(), upload.staged.dir.clone(), name.clone());
        let number = blocking(move || versions.place(&staged, &folder, &of, &spec)).await?;
        let placed = Placed { versions: &inner.versions, name: &name, number, stays: false };
        tell(Stage::Starting { service: name.clone(), version: number });
        let version = ServiceVersion {
            version: number,
            label,
            deployed_at: crate::probe::now_ms(),
            current: true,
            sha256,
            size,
            digest,
        };
        let record = Record { version: version.clone(), modules };
        let (versions, of) = (inner.versions.clone(), name.clone());
        let record = blocking(move || versions.prepare_record(&of, &record)).await?;
        self.switch(&name, number, Some(record)).await?;
        placed.stay();
        tell(Stage::Ready { service: name.clone(), version: number });
        tracing::info!(service = name, version = number, "deployed");
        let (versions, keep, of) = (inner.versions.clone(), inner.config.keep_versions, name.clone());
        blocking(move || {
            prune(&versions, &of, keep);
            Ok(())
        })
        .await?;
        Ok(Release { deployed: Deployed { version, service: self.info(&name)? }, unchanged: false })
    }

    /// Starts a version, moves the traffic to it when it is ready, and only then makes it the current one.
    pub(crate) async fn switch(&self, name: &str, number: u64, record: Option<Kept>) -> Result<()> {
        let inner = &self.inner;
        let declared = inner.versions.declared(name, number).and_then(|declared| {
            let fits = unmet_or_clash(inner, &declared);
            fits.map_err(|fault| (declared.file.clone(), fault)).map(|()| declared)
        });
        let declared = declared.map_err(|(_, (key, reason)): (PathBuf, Fault)| {
            let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
            Error::new(ErrorCode::ManifestInvalid, format!("service {name:?}: {key}{reason}"))
        })?;
        // Written before anything starts: what cannot be kept does not run either.
        let (versions, of) = (inner.versions.clone(), name.to_owned());
        let current = blocking(move || versions.prepare_current(&of, number)).await?;
        let before = lock(&inner.services).get(name).map(|service| service.declared());
        let service = self.try_out(name, declared).await.map_err(|error| match error.code {
            ErrorCode::ServiceFailed => {
                let message = format!("version {number} was not taken into service: {}", error.message);
                Error::new(ErrorCode::DeployError, message)
            }
            _ => error,
        })?;
        let kept = blocking(move || record.map_or(Ok(()), Kept::keep).and_then(|()| current.keep())).await;
        if let Err(error) = kept {
            // After a restart the one of before would serve; so it does now.
            match before {
                Some(before) => service.order(|reply| Order::Replace(Some(before), reply)).await?,
                None => inner.drop_service(&service).await?,
            }
            return Err(error);
        }
        lock(&inner.problems).retain(|problem| problem.name != name);
        Ok(())
    }
}

/// Removes the oldest versions, beyond those that are kept.
fn prune(versions: &Versions, name: &str, keep: usize) {
    let old = versions.list(name).into_iter().filter(|record| !record.version.current);
    for record in old.skip(keep) {
        versions.remove_one(name, record.version.version);
    }
}

/// A version that lies in its place; without having been ready it does not stay there.
struct Placed<'a> {
    versions: &'a Versions,
    name: &'a str,
    number: u64,
    stays: bool,
}

impl Placed<'_> {
    fn stay(mut self) {
        self.stays = true;
    }
}

impl Drop for Placed<'_> {
    fn drop(&mut self) {
        if !self.stays {
            self.versions.remove_one(self.name, self.number);
        }
    }
}

impl Read {
    /// The files that are modules.
    fn files(&self) -> BTreeMap<String, PathBuf> {
        let files = std::iter::once(&self.entrypoint).chain(&self.fallback);
        files.map(|file| (file.clone(), self.folder.join(file))).collect()
    }
}

fn unreadable(error: &archive::Error) -> Error {
    let code = match error {
        archive::Error::TooLarge(_) => ErrorCode::TooLarge,
        archive::Error::Io { .. } => ErrorCode::ResourceExhausted,
        archive::Error::Refused { .. } | archive::Error::Broken(_) => ErrorCode::DeployError,
    };
    Error::new(code, error.to_string())
}

/// Reads the manifest of an unpacked package.
fn read(folder: PathBuf, name: Option<String>) -> Result<Read> {
    let invalid = |reason: String| Error::new(ErrorCode::ManifestInvalid, reason);
    // Where this server keeps it says nothing to who sent it.
    let place = format!("{}/", folder.display());
    let package = Package::open(&folder).map_err(|faults| {
        let error = Error::from(faults);
        Error::new(
            error.code,
            error.message.replace(&place, "").replace(place.trim_end_matches('/'), "the package"),
        )
    })?;
    let name = name.unwrap_or_else(|| package.manifest.name.clone());
    let spec = package::service::spec(&package.manifest).map_err(invalid)?;
    let Some(mut spec) = spec else {
        return Err(invalid(format!(
            "package {name:?} is no service: its manifest has no `service` with a `prefix`"
        )));
    };
    if spec.module.is_some() {
        return Err(invalid(
            "service.module: a package brings its module: name a file in `entrypoint`".to_owned(),
        ));
    }
    (spec.entrypoint, spec.fallback) = (None, None);
    spec.name = Some(name.clone());
    let inner = |path: &Path| {
        let inner = path.strip_prefix(&package.folder).ok().and_then(Path::to_str);
        inner.map(str::to_owned).ok_or_else(|| invalid(format!("{} is not in the package", path.display())))
    };
    let entrypoint = inner(&package.entrypoint)?;
    let fallback = package.fallback.as_deref().map(inner).transpose()?;
    Ok(Read { name, spec, folder, entrypoint, fallback })
}

/// Waits until modules are compiled, or will not be.
async fn compiled(inner: &Arc<Inner>, digests: impl Iterator<Item = &String>) {
    let all = async {
        for digest in digests {
            while inner.supervisor.module_is_compiling(digest) {
                tokio::time::sleep(LOOK.0).await;
            }
        }
    };
    let _ = tokio::time::timeout(LOOK.1, all).await;
}

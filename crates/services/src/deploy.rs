//! `service_deploy`: another version of a service, or a new one. Nothing of it stays if it does not become ready.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::error::{Error, ErrorCode};
use api::module::ModulePut;
use api::service::{ServiceDeploy, ServiceDetail, ServiceKind, ServiceSpec, ServiceState};
use base64::Engine as _;
use bytes::Bytes;

use crate::declaration::{Declaration, FILE, Fault, check, clash, is_name, unmet_one};
use crate::service::{Order, Service, lock};
use crate::trial::answers;
use crate::{Inner, Result, Services};

/// How long after its start period a service has to have come to something.
const SLACK: Duration = Duration::from_secs(5);

impl Services {
    /// Declares a service or another version of it, and returns when that is ready.
    ///
    /// # Errors
    /// When the declaration or the module is wrong, or it does not become ready; then all is as before.
    pub async fn deploy(&self, request: ServiceDeploy) -> Result<ServiceDetail> {
        let inner = &self.inner;
        let _changing = inner.changing.lock().await;
        let dir = &inner.config.services_dir;
        let file = dir.join(&request.name).join(FILE);
        let declared = declaration(inner, &request.name, &file, request.spec.clone())?;
        let module = declared.module().to_owned();
        let mut trial = declared.clone();
        let mut kept = Vec::new();
        match &request.module_base64 {
            Some(_) if !is_name(&module) => {
                let message = format!("a module that is sent needs a name, and {module:?} is none");
                return Err(Error::new(ErrorCode::NameInvalid, message));
            }
            Some(text) => {
                let bytes = decoded(text)?;
                // Until it is ready, the name of the module stands for what it stood for.
                trial.spec.module = Some(self.upload(bytes.clone()).await?);
                kept.push(Kept::write(&dir.join(format!("{module}.wasm")), &bytes)?);
            }
            None => _ = inner.supervisor.module_get(&module).await?,
        }
        // Written before anything starts: what cannot be kept does not run either.
        kept.push(Kept::write(&file, text(&request.spec)?.as_bytes())?);
        let service = self.try_out(&request.name, trial).await?;
        if let Some(base64) = request.module_base64 {
            inner.supervisor.module_put(ModulePut { name: module, base64, sha256: None }).await?;
        }
        for kept in kept {
            kept.keep()?;
        }
        // What was written by hand holds from now on, not a version that was uploaded before.
        inner.versions.forget_current(&request.name)?;
        service.change(|view| view.declare(Arc::new(declared), true));
        lock(&inner.problems).retain(|problem| problem.name != request.name);
        self.get(&request.name)
    }

    /// Runs a declaration until it is ready; otherwise all is as before.
    pub(crate) async fn try_out(&self, name: &str, trial: Declaration) -> Result<Arc<Service>> {
        let inner = &self.inner;
        let trial = Arc::new(trial);
        if trial.spec.kind == ServiceKind::Handler {
            answers(inner, &trial).await?;
        }
        let found = lock(&inner.services).get(name).cloned();
        let Some(service) = found else {
            let service = inner.add((*trial).clone());
            service.order(Order::Start).await?;
            if let Err(error) = ready(&service).await {
                inner.drop_service(&service).await?;
                return Err(error);
            }
            return Ok(service);
        };
        let (before, state, reason) = {
            let view = lock(&service.view);
            (Arc::clone(&view.declaration), view.state, view.reason.clone())
        };
        service.order(|reply| Order::Replace(Some(trial), reply)).await?;
        // When nothing ran before, the order has only begun to start it.
        service.order(Order::Start).await?;
        if let Err(error) = ready(&service).await {
            service.order(Order::Stop).await?;
            service.order(|reply| Order::Replace(Some(before), reply)).await?;
            if state == ServiceState::Failed {
                service.set(state, reason);
            }
            return Err(error);
        }
        Ok(service)
    }

    /// Takes a module without a name; its digest.
    async fn upload(&self, bytes: Bytes) -> Result<String> {
        let mut upload = self.inner.supervisor.module_upload(None, None).await?;
        upload.write(bytes).await?;
        Ok(upload.finish().await?.info.digest)
    }
}

fn decoded(text: &str) -> Result<Bytes> {
    let wrong = |error| Error::new(ErrorCode::InvalidParams, format!("module_base64 is not base64: {error}"));
    base64::engine::general_purpose::STANDARD.decode(text).map(Bytes::from).map_err(wrong)
}

fn text(spec: &ServiceSpec) -> Result<String> {
    let text = serde_json::to_string_pretty(spec);
    text.map(|text| text + "\n").map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))
}

fn declaration(inner: &Inner, name: &str, file: &Path, spec: ServiceSpec) -> Result<Declaration> {
    let wrong = |(key, reason): Fault| {
        let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
        Error::new(ErrorCode::ServiceInvalid, format!("service {name:?}: {key}{reason}"))
    };
    let declared = check(name, file, spec).map_err(wrong)?;
    unmet_or_clash(inner, &declared).map_err(wrong)?;
    Ok(declared)
}

/// Whether a declaration wants what another service has, or requires what there is not.
pub(crate) fn unmet_or_clash(inner: &Inner, declared: &Declaration) -> Result<(), Fault> {
    let mut others = std::collections::BTreeMap::new();
    for service in lock(&inner.services).values() {
        others.insert(service.name.clone(), (*service.declaration()).clone());
    }
    clash(declared, &others, inner.config.gateway)?;
    match unmet_one(declared, &others) {
        Some(reason) => Err((Some("requires".to_owned()), reason)),
        None => Ok(()),
    }
}

/// Waits until a service that was told to start takes requests.
///
/// # Errors
/// `service_failed` with the reason when it ends, fails, or takes longer than its start period.
async fn ready(service: &Service) -> Result<()> {
    use ServiceState::{Backoff, Failed, Ready, Stopped};
    let period = Duration::from_secs(service.declaration().spec.health.start_period_secs) + SLACK;
    let mut changes = service.changed.subscribe();
    let settled = async {
        // One end is enough: nobody has asked for this version to be tried again and again.
        while !matches!(service.state(), Ready | Failed | Stopped | Backoff)
            && changes.changed().await.is_ok()
        {}
    };
    let _ = tokio::time::timeout(period, settled).await;
    let (state, reason) = {
        let view = lock(&service.view);
        (view.state, view.reason.clone().unwrap_or_else(|| "it did not answer a probe".to_owned()))
    };
    if state == Ready {
        return Ok(());
    }
    let message = format!(
        "service {:?} did not become ready ({}), all is as before: {reason}",
        service.name,
        state.name()
    );
    Err(Error::new(ErrorCode::ServiceFailed, message))
}

/// A file that is written beside its place. It is there when it is kept, whole and on the disk; else nothing of it is.
#[derive(Debug)]
pub(crate) struct Kept {
    part: PathBuf,
    file: PathBuf,
    /// Folders that were made for it, the outermost first.
    made: Vec<PathBuf>,
}

impl Kept {
    pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<Self> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let folder = file.parent().unwrap_or(file);
        let mut missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
        missing.reverse();
        let mut kept =
            Self { part: folder.join(format!(".{name}.part")), file: file.to_owned(), made: Vec::new() };
        let write = || {
            for folder in missing {
                fs::create_dir(folder)?;
                kept.made.push(folder.to_owned());
            }
            let mut part = File::create(&kept.part)?;
            part.write_all(bytes)?;
            part.sync_all()
        };
        let written = write();
        written.map_err(|error| kept.failed(&error))?;
        Ok(kept)
    }

    pub(crate) fn keep(mut self) -> Result<()> {
        fs::rename(&self.part, &self.file).map_err(|error| self.failed(&error))?;
        self.made.clear();
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::new(ErrorCode::ResourceExhausted, format!("cannot write {}: {error}", self.file.display()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What was kept is gone from here; a folder with something in it stays.
        let _ = fs::remove_file(&self.part);
        for folder in self.made.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

//! `service_deploy`: another version of a service, or a new one. Nothing of it stays if it does not become ready.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::error::{Error, ErrorCode};
use api::service::{ServiceDeploy, ServiceDetail, ServiceSpec, ServiceState};
use base64::Engine as _;
use bytes::Bytes;

use crate::declaration::{Declaration, FILE, check, clash, unmet_one};
use crate::service::{Order, Service, lock};
use crate::{Inner, Result, Services};

impl Services {
    /// Declares a service or another version of it, and returns when that is ready.
    ///
    /// # Errors
    /// When the declaration or the module is wrong, or it does not become ready; then all is as before.
    pub async fn deploy(&self, request: ServiceDeploy) -> Result<ServiceDetail> {
        let inner = &self.inner;
        let _changing = inner.changing.lock().await;
        let file = inner.config.services_dir.join(&request.name).join(FILE);
        let declared = declaration(inner, &request.name, &file, request.spec.clone())?;
        let digest = match &request.module_base64 {
            Some(text) => Some(self.upload(text).await?),
            None => {
                inner.supervisor.module_get(declared.module()).await?;
                None
            }
        };
        // Until it is ready, the name of the module stands for what it stood for.
        let mut trial = declared.clone();
        if let Some(digest) = &digest {
            trial.spec.module = Some(digest.clone());
        }
        let before = lock(&inner.services).get(&request.name).cloned();
        let service = match before {
            Some(service) => {
                service.order(|reply| Order::Replace(Some(Arc::new(trial)), reply)).await?;
                service
            }
            None => first(inner, trial).await?,
        };
        if let Some(text) = &request.module_base64 {
            let name = declared.module().to_owned();
            let put = api::module::ModulePut { name, base64: text.clone(), sha256: None };
            inner.supervisor.module_put(put).await?;
        }
        write(&file, &request.spec).map_err(|error| {
            Error::new(ErrorCode::ResourceExhausted, format!("cannot write {}: {error}", file.display()))
        })?;
        service.change(|view| view.declaration = Arc::new(declared));
        lock(&inner.problems).retain(|problem| problem.name != request.name);
        self.get(&request.name)
    }

    /// Takes a module without a name; its digest.
    async fn upload(&self, text: &str) -> Result<String> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| {
            Error::new(ErrorCode::InvalidParams, format!("module_base64 is not base64: {error}"))
        })?;
        let mut upload = self.inner.supervisor.module_upload(None, None).await?;
        upload.write(Bytes::from(bytes)).await?;
        Ok(upload.finish().await?.info.digest)
    }
}

fn declaration(inner: &Inner, name: &str, file: &Path, spec: ServiceSpec) -> Result<Declaration> {
    let wrong = |(key, reason): (Option<String>, String)| {
        let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
        Error::new(ErrorCode::ServiceInvalid, format!("service {name:?}: {key}{reason}"))
    };
    let declared = check(name, file, spec).map_err(wrong)?;
    let mut others = std::collections::BTreeMap::new();
    for service in lock(&inner.services).values() {
        others.insert(service.name.clone(), (*service.declaration()).clone());
    }
    clash(&declared, &others, inner.config.gateway).map_err(wrong)?;
    match unmet_one(&declared, &others) {
        Some(reason) => Err(wrong((Some("requires".to_owned()), reason))),
        None => Ok(declared),
    }
}

/// Starts a service that was not there, and waits until it is ready.
async fn first(inner: &Arc<Inner>, declared: Declaration) -> Result<Arc<Service>> {
    let period = Duration::from_secs(declared.spec.health.start_period_secs);
    let service = inner.add(declared);
    service.order(Order::Start).await?;
    let mut changes = service.changed.subscribe();
    let settled = tokio::time::timeout(period, async {
        while !matches!(service.state(), ServiceState::Ready | ServiceState::Failed | ServiceState::Stopped)
            && changes.changed().await.is_ok()
        {}
    });
    let _ = settled.await;
    if service.state() == ServiceState::Ready {
        return Ok(service);
    }
    let (state, reason) = {
        let view = lock(&service.view);
        (view.state, view.reason.clone().unwrap_or_else(|| "it did not answer a probe".to_owned()))
    };
    inner.drop_service(&service).await?;
    let message = format!(
        "service {:?} did not become ready ({}), nothing of it was kept: {reason}",
        service.name,
        state.name()
    );
    Err(Error::new(ErrorCode::ServiceFailed, message))
}

/// Writes a declaration whole or not at all.
fn write(file: &Path, spec: &ServiceSpec) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder)?;
    let part = folder.join(".service.json.part");
    let mut text = serde_json::to_string_pretty(spec)?;
    text.push('\n');
    std::fs::write(&part, text)?;
    std::fs::rename(&part, file)
}

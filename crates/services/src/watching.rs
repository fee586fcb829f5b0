//! Watching the services folder: a change is taken up as by `service_reload`.

use std::time::Duration;

use api::service::ServiceReload;
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::Services;

/// How long nothing more must change before it is taken up: a build writes several files.
const QUIET: Duration = Duration::from_millis(300);

impl Services {
    /// Takes up changes in the services folder from now on.
    ///
    /// # Errors
    /// When the kernel does not watch it.
    pub fn watch(&self) -> Result<(), notify::Error> {
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // A new folder is told, and what was in it by then is not.
            let matters = |event: &notify::Event| {
                matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_))
            };
            // An error may mean that events were lost.
            if event.as_ref().map_or(true, matters) {
                let _ = tell.send(());
            }
        })?;
        watcher.watch(&self.inner.config.services_dir, RecursiveMode::Recursive)?;
        let services = self.clone();
        tokio::spawn(async move {
            let _watcher = watcher;
            while told.recv().await.is_some() {
                while let Ok(Some(())) = tokio::time::timeout(QUIET, told.recv()).await {}
                if let Err(error) = services.reload(ServiceReload::default()).await {
                    tracing::error!(%error, "the services folder cannot be read again");
                }
            }
        });
        Ok(())
    }
}

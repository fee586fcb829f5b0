//! How a running server is governed: its settings and its log level, shown and changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::ErrorCode;
use api::admin::{LogLevelSet, ServerSettings};
use api::error::Error;

use crate::log_output::Level;
use crate::settings::{LogLevel, Resolved, Value as _};

/// What can be said and changed about the server itself. All clones are about one server.
#[derive(Debug, Clone)]
pub struct Admin {
    settings: Arc<Mutex<Resolved>>,
    level: Level,
}

impl Admin {
    /// The server with these settings and this log.
    #[must_use]
    pub fn new(settings: Resolved, level: Level) -> Self {
        Self { settings: Arc::new(Mutex::new(settings)), level }
    }

    fn settings(&self) -> MutexGuard<'_, Resolved> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers `server_settings`.
    #[must_use]
    pub fn list(&self) -> ServerSettings {
        self.settings().listed()
    }

    /// Answers `log_level`.
    ///
    /// # Errors
    /// When the level is none.
    pub fn log_level(&self, request: &api::admin::LogLevel) -> Result<LogLevelSet, Error> {
        if let Some(text) = &request.level {
            let level = LogLevel::from_text(text)
                .map_err(|why| Error::new(ErrorCode::InvalidParams, format!("level: {why}")))?;
            self.level.set(&level);
            tracing::info!(log_level = level.as_str(), "the log level was changed");
        }
        Ok(LogLevelSet { level: self.level.get().as_str().to_owned() })
    }

    /// Takes over what can change in a running server, which is the log level; tells what else differs.
    pub fn reload(&self, newer: &Resolved) -> Vec<&'static str> {
        self.level.set(&newer.settings.log_level);
        let mut settings = self.settings();
        settings.set_log_level(newer);
        settings.changes(newer)
    }
}

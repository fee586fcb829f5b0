//! The server's own log: to standard error, in colour only on a terminal, with a level that can change.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Registry, fmt};

use crate::settings::LogLevel;

/// Shows and changes the level of a log that is in use.
#[derive(Debug, Clone)]
pub struct Level {
    filter: reload::Handle<EnvFilter, Registry>,
    current: Arc<Mutex<LogLevel>>,
}

impl Level {
    /// Sets the level.
    pub fn set(&self, level: &LogLevel) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match self.filter.reload(EnvFilter::new(level.as_str())) {
            Ok(()) => current.clone_from(level),
            Err(error) => tracing::error!(%error, "the log level cannot be changed"),
        }
    }

    /// The level that holds.
    #[must_use]
    pub fn get(&self) -> LogLevel {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts the log of this process.
pub fn start(level: &LogLevel) -> Result<Level, TryInitError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::new(level.as_str()));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(Level { filter: handle, current: Arc::new(Mutex::new(level.clone())) })
}

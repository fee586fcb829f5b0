//! The supervisor: the pool of workers, the sessions and their logs. It knows no engine and runs no guest code.

pub mod logs;
pub mod pool;

use std::sync::Arc;

use api::{error::Error, log, module, session, stats};
use futures_util::Stream;

/// The result of every call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The running core. Cloning it is cheap; all clones are one supervisor.
#[derive(Debug, Clone)]
pub struct Supervisor {
    _shared: Arc<()>,
}

impl Supervisor {
    /// Starts a session.
    pub async fn session_start(&self, _request: session::SessionStart) -> Result<session::SessionStarted> {
        todo!()
    }
    /// Stops a session and waits until it ended.
    pub async fn session_stop(&self, _request: session::SessionStop) -> Result<session::Done> {
        todo!()
    }
    /// Lists sessions.
    pub async fn session_list(&self, _request: session::SessionList) -> Result<session::SessionPage> {
        todo!()
    }
    /// Shows one session.
    pub async fn session_get(&self, _session_id: &str) -> Result<session::SessionInfo> {
        todo!()
    }
    /// Reads log lines.
    pub async fn session_logs(&self, _request: log::SessionLogs) -> Result<log::LogPage> {
        todo!()
    }
    /// The result, or `None` while the session runs.
    pub async fn session_result(&self, _session_id: &str) -> Result<Option<session::SessionResult>> {
        todo!()
    }
    /// Waits for the end.
    pub async fn session_wait(
        &self,
        _request: session::SessionWait,
    ) -> Result<Option<session::SessionResult>> {
        todo!()
    }
    /// Writes to standard input.
    pub async fn session_stdin(&self, _request: session::SessionStdin) -> Result<session::Done> {
        todo!()
    }
    /// Follows a session's log: from the history after `after_seq` (from its beginning with `None`), then live, without
    /// a hole that is not announced as a gap; the last event is `End`.
    pub async fn subscribe(
        &self,
        _session_id: &str,
        _after_seq: Option<u64>,
    ) -> Result<impl Stream<Item = logs::LogEvent> + Send + 'static + use<>> {
        Ok(futures_util::stream::empty())
    }
    /// Registers a module from bytes (the RPC method; uploads stream through [`Self::modules`]).
    pub async fn module_put(&self, _request: module::ModulePut) -> Result<module::ModuleDetail> {
        todo!()
    }
    /// Begins a streaming upload.
    pub async fn module_upload(&self, _name: &str, _sha256: Option<String>) -> Result<ModuleUpload> {
        todo!()
    }
    /// Lists modules.
    pub async fn module_list(&self) -> Result<module::ModuleList> {
        todo!()
    }
    /// Shows one module.
    pub async fn module_get(&self, _name: &str) -> Result<module::ModuleDetail> {
        todo!()
    }
    /// Removes a name.
    pub async fn module_remove(&self, _name: &str) -> Result<session::Done> {
        todo!()
    }
    /// Numbers about the server.
    pub async fn stats(&self) -> stats::Stats {
        todo!()
    }
    /// Whether all is well, and what is not.
    pub async fn health(&self) -> stats::Health {
        todo!()
    }
    /// Accepts nothing new, waits up to `grace` for sessions to end, stops the rest, flushes the history.
    pub async fn drain(&self, _grace: std::time::Duration) {
        todo!()
    }
}

/// An upload in progress. Dropping it discards what came so far.
#[derive(Debug)]
pub struct ModuleUpload {}

impl ModuleUpload {
    /// Takes the next piece; an error ends the upload (too large, disk full).
    pub async fn write(&mut self, _piece: bytes::Bytes) -> Result<()> {
        todo!()
    }
    /// Checks digest, header and imports, and registers the module.
    pub async fn finish(self) -> Result<module::ModuleDetail> {
        todo!()
    }
}

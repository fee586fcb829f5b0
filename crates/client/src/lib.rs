//! A typed asynchronous client of hero_runner over its Unix socket.
//!
//! ```no_run
//! use api::{method, session::SessionStart};
//! use futures_util::StreamExt;
//!
//! # async fn example() -> Result<(), client::Error> {
//! let client = client::Client::new(api::paths::rpc_socket(&api::paths::process_env));
//! let request = SessionStart { module: Some("hello".into()), ..SessionStart::default() };
//! let session = client.call::<method::SessionStartMethod>(request).await?;
//! let mut events = client.follow(&session.session_id, None);
//! while let Some(event) = events.next().await {
//!     if let client::LogEvent::Line(line) = event? {
//!         println!("{}", line.line);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is cheap to clone; clones share their idle connections. Nothing is sent twice unless it is
//! certain that the server never saw it, so a `session_start` that fails has started at most one session.

mod call;
mod connection;
pub mod deploy;
mod error;
mod follow;
mod peer;
mod sse;
mod upload;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{Error, Result};
pub use follow::{LogEvent, LogStream};
pub use peer::Peer;

/// A client of the server behind one socket.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Arc<connection::Pool>,
}

impl Client {
    /// A client for the server that listens on this socket. Nothing is connected before the first call.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { pool: Arc::new(connection::Pool::new(socket.into())) }
    }

    /// The socket of the server.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.pool.path()
    }
}

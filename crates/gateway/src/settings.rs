//! What the gateway is told by who owns it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the gateway listens, and how much of what it takes from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The TCP address to listen on; port 0 takes a free one.
    pub tcp: Option<SocketAddr>,
    /// The Unix socket to listen on; its folder has to exist.
    pub unix: Option<PathBuf>,
    /// The most connections of clients that may be open, tunnels among them. Further ones are answered with 503.
    pub max_connections: usize,
    /// How long the head of a request may take from its first byte on.
    pub head_timeout: Duration,
    /// How long a request's body may stand still while the gateway waits for more of it.
    pub body_timeout: Duration,
    /// How long a connection between two requests, a tunnel, or a client that does not read may go without a byte.
    pub idle_timeout: Duration,
    /// How long an upstream may take from the request's last byte to the head of its response; also how long a
    /// connection to it may take.
    pub response_timeout: Duration,
    /// The largest head of a request, in bytes.
    pub max_head_bytes: usize,
    /// The largest body of a request, in bytes.
    pub max_body_bytes: u64,
    /// The Unix socket of the UI, which has `/` and what lies under `/-/`.
    pub panel: Option<PathBuf>,
    /// Names beside `localhost`, `127.0.0.1` and `[::1]` that `Host` may have in a request to the UI.
    pub hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tcp: None,
            unix: None,
            max_connections: 4096,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            response_timeout: Duration::from_secs(60),
            max_head_bytes: 32 * 1024,
            max_body_bytes: 64 * 1024 * 1024,
            panel: None,
            hosts: Vec::new(),
        }
    }
}

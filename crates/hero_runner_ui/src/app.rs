//! What every request sees.

use std::sync::Arc;

use client::Client;

use crate::assets::Assets;

/// The dashboard: whom it asks, and what it is made of.
#[derive(Debug)]
pub struct App {
    /// The server.
    pub server: Client,
    /// Scripts, styles, icons.
    pub assets: Assets,
    /// Where the door for browsers is, `http://127.0.0.1:14001/`, if it is open.
    pub address: Option<String>,
}

/// Shared by all connections.
pub type Shared = Arc<App>;

impl App {
    /// The dashboard over this server, with its own files and without a door for browsers.
    #[must_use]
    pub fn new(server: Client) -> Self {
        Self { server, assets: Assets::embedded(), address: None }
    }
}

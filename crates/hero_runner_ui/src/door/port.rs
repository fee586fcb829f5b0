//! The open door for browsers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::guard::Guard;
use super::origin::Hosts;
use super::place::Place;
use super::token::Tokens;

/// A port that listens, who is let in, and where that is told.
#[derive(Debug)]
pub struct Port {
    /// The listener, in non-blocking mode.
    pub listener: std::net::TcpListener,
    /// Who may do what.
    pub guard: Arc<Guard>,
    /// Its URL without the token.
    pub address: String,
    place: Place,
    valid: Duration,
}

impl Port {
    /// Listens, makes a token, and writes the URL beside the socket. `hosts` are further names for this place; a token is
    /// good for so long.
    ///
    /// # Errors
    /// When the port cannot be had, or the URL cannot be told.
    pub fn open(address: SocketAddr, hosts: &[String], valid: Duration, socket: &Path) -> Result<Self> {
        let listener = std::net::TcpListener::bind(address).context("the port cannot be had")?;
        listener.set_nonblocking(true).context("the port cannot be made non-blocking")?;
        let own = listener.local_addr().context("the port does not tell its number")?;
        let guard = Arc::new(Guard { hosts: Hosts::new(own.port(), hosts), tokens: Tokens::default() });
        let port =
            Self { listener, guard, address: format!("http://{own}/"), place: Place::beside(socket), valid };
        port.renew()?;
        Ok(port)
    }

    fn renew(&self) -> Result<()> {
        let token = self.guard.tokens.renew()?;
        self.place.tell(&format!("{}#token={token}", self.address))
    }

    /// Makes a new token whenever one has expired, for as long as it is awaited.
    pub(crate) async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(self.valid).await;
            match self.renew() {
                Ok(()) => {
                    tracing::info!("the token has expired; `hero_runner ui` prints the URL with a new one");
                }
                Err(error) => tracing::warn!("there is no new token: {error:#}"),
            }
        }
    }
}

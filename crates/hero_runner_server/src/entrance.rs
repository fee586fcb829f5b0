//! The gateway beside the rest of the server: on a thread and a runtime of its own, so that neither its traffic nor a flood
//! of sessions holds up the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use api::stats::GatewayStats;
use gateway::{Counters, Gateway, Routes};
use tokio::sync::oneshot;

use crate::settings::Settings;

/// The gateway, while it serves.
#[derive(Debug)]
pub struct Entrance {
    /// Where it listens for HTTP, unless that is off.
    pub url: Option<String>,
    /// Its numbers.
    pub counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// A socket beside the server's own.
#[must_use]
pub fn beside(socket: &Path, name: &str) -> PathBuf {
    socket.with_file_name(format!("{name}.sock"))
}

impl Entrance {
    /// Opens the gateway. A port that somebody else has is told in the log, and the Unix socket serves alone: sessions are
    /// worth having without it.
    ///
    /// # Errors
    /// When its Unix socket cannot be made, or the thread.
    pub async fn open(settings: &Settings, routes: Routes) -> Result<Self> {
        let (told, heard) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let mut wanted = gateway_settings(settings);
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(told.send(Err(error))),
            };
            runtime.block_on(async move {
                let mut bound = Gateway::bind(wanted.clone(), routes.clone()).await;
                if let (Err(error), Some(address)) = (&bound, wanted.tcp) {
                    tracing::error!(%error, %address, "the gateway serves its Unix socket only; see the setting gateway_listen");
                    wanted.tcp = None;
                    bound = Gateway::bind(wanted, routes).await;
                }
                match bound {
                    Ok(gateway) => {
                        let _ = told.send(Ok((gateway.tcp_address(), gateway.counters())));
                        gateway.serve(async { _ = stopped.await }).await;
                    }
                    Err(error) => drop(told.send(Err(error))),
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(100));
        };
        let thread =
            std::thread::Builder::new().name("gateway".to_owned()).spawn(serve).context("no thread")?;
        let heard = heard.await.context("the gateway's thread ended")?;
        let (address, counters) = heard.context("the gateway cannot listen")?;
        let url = address.map(|address| format!("http://{address}"));
        tracing::info!(url = url.as_deref().unwrap_or("off"), "the gateway listens");
        Ok(Self { url, counters, stop, thread })
    }

    /// Takes no new connections, lets requests end for a few seconds, and returns when it is gone.
    pub async fn close(self) {
        let _ = self.stop.send(());
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        let _ = joined.await;
    }
}

fn gateway_settings(settings: &Settings) -> gateway::Settings {
    let millis = Duration::from_millis;
    gateway::Settings {
        tcp: settings.gateway_listen.0,
        unix: Some(beside(&settings.socket, "gateway")),
        max_connections: usize::try_from(settings.gateway_max_connections).unwrap_or(usize::MAX),
        head_timeout: millis(settings.gateway_head_timeout_ms),
        body_timeout: millis(settings.gateway_body_timeout_ms),
        idle_timeout: millis(settings.gateway_idle_timeout_ms),
        response_timeout: millis(settings.gateway_response_timeout_ms),
        max_head_bytes: 64 << 10,
        max_body_bytes: settings.gateway_body_max_bytes,
        panel: Some(beside(&settings.socket, "ui")),
        hosts: settings.gateway_hosts.0.clone(),
    }
}

/// The gateway's numbers as the API shows them.
#[must_use]
pub fn shown(counters: &Counters) -> GatewayStats {
    GatewayStats {
        connections: counters.open_connections(),
        connections_refused_total: counters.refused_connections(),
        responses_total: (1..=5).map(|class| (format!("{class}xx"), counters.requests(class))).collect(),
        durations: counters.durations(),
        duration_us_total: counters.duration_us(),
        upstream_connects_total: counters.upstream_connects(),
        upstream_reused_total: counters.upstream_reused(),
    }
}

//! The notifications that systemd asks for with `Type=notify`; without systemd each of them does nothing.
//!
//! `NOTIFY_SOCKET` stays in the environment, because taking it out is not safe once there are threads. Nothing inherits
//! it: the zygote and the compile process are started with environments of their own.

use std::path::Path;
use std::time::Duration;

use sd_notify::NotifyState;

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd did not take a notification");
    }
}

/// The server answers on this socket.
pub fn ready(socket: &Path) {
    let status = format!("listening on {}", socket.display());
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The server has begun to stop.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("waiting for sessions to end")]);
}

/// The loop of the server turns.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is due: half of what `WatchdogSec` allows.
#[must_use]
pub fn beat() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(1)))
}

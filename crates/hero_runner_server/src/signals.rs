//! Signals as orders to the server's loop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What the server is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Drain and stop; given a second time, stop at once.
    Stop,
    /// Read the settings again.
    Reload,
}

/// Turns SIGTERM and SIGINT into [`Order::Stop`] and SIGHUP into [`Order::Reload`].
pub fn orders() -> std::io::Result<mpsc::Receiver<Order>> {
    let (sender, receiver) = mpsc::channel(8);
    for (kind, order) in [
        (SignalKind::terminate(), Order::Stop),
        (SignalKind::interrupt(), Order::Stop),
        (SignalKind::hangup(), Order::Reload),
    ] {
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(order).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

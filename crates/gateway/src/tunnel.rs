//! What remains of a connection after both sides agreed on another protocol: bytes in both directions.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use crate::client::{Busy, Client};
use crate::socket::Socket;
use crate::target::Lease;

/// The buffer of each direction, in bytes.
const BUFFER: usize = 16 * 1024;

/// Waits for the client's side and carries bytes until one end closes, nothing passes for the idle timeout, or the
/// gateway ends.
pub(crate) fn begin(
    client: Arc<Client>,
    upgrade: OnUpgrade,
    upstream: (Socket, Bytes),
    lease: Lease,
    busy: Option<Busy>,
) {
    tokio::spawn(async move {
        let cut = client.core.cut.clone();
        let result = tokio::select! {
            result = carry(upgrade, upstream) => result,
            () = quiet(&client) => Err(io::ErrorKind::TimedOut.into()),
            () = cut.cancelled() => Ok(()),
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a tunnel ended early");
        }
        drop((lease, busy));
    });
}

async fn carry(upgrade: OnUpgrade, (mut upstream, early): (Socket, Bytes)) -> io::Result<()> {
    let mut client = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
    client.write_all(&early).await?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await?;
    Ok(())
}

/// Ends when no byte has passed for the idle timeout. The guard sees the bytes of both directions.
async fn quiet(client: &Client) {
    loop {
        let deadline = client.last_byte() + client.core.settings.idle_timeout;
        if deadline <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(deadline.into()).await;
    }
}

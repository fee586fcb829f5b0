//! Writing to a guest's standard input: as fast as the guest reads, and no faster.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::net::unix::pipe;

use crate::session::Session;

/// Fills a session's standard input with what the request brought, and keeps it open if the session wants more.
pub(crate) fn feed(session: &Arc<Session>, stdin: OwnedFd, mut bytes: Bytes, keep_open: bool) {
    let mut file = File::from(stdin);
    // What the pipe takes at once is most often all.
    while !bytes.is_empty()
        && let Ok(written) = file.write(&bytes)
    {
        bytes.advance(written);
    }
    if bytes.is_empty() && !keep_open {
        return;
    }
    let Ok(mut sender) = pipe::Sender::from_file_unchecked(file) else { return };
    // Held until all is written, so that nobody writes before.
    let Ok(mut place) = Arc::clone(&session.stdin).try_lock_owned() else { return };
    if bytes.is_empty() {
        *place = Some(sender);
        return;
    }
    tokio::spawn(async move {
        // A guest that has closed its end or is gone reads no more.
        let written = write_all(&mut sender, &bytes).await;
        if keep_open && written.is_ok() {
            *place = Some(sender);
        }
    });
}

/// Writes all bytes, waiting for the guest where it has to.
///
/// # Errors
/// `EPIPE` when the guest reads no more.
pub(crate) async fn write_all(sender: &mut pipe::Sender, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        sender.writable().await?;
        match sender.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

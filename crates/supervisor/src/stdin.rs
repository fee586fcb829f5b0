//! Writing to a guest's standard input: as fast as the guest reads, and no faster.

use std::io;

use tokio::net::unix::pipe;

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

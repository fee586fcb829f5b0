//! Our standard input, forwarded to the session's.

use std::io::{self, IsTerminal};
use std::time::Duration;

use api::method::{SessionGetMethod, SessionStdinMethod};
use api::session::{SessionRef, SessionStdin};
use api::{ErrorCode, SessionState};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use client::{Client, Error};
use tokio::io::AsyncReadExt;

/// How much is sent at once; in base64 it stays far below the server's limit on a request.
const CHUNK: usize = 256 << 10;

/// Whether there is anything to forward: not from a terminal unless told so, not from the void.
pub(crate) fn is_wanted(interactive: bool) -> bool {
    interactive || (!io::stdin().is_terminal() && !is_void())
}

/// Whether standard input is `/dev/null` (or closed): forwarding it would only cost a call to say that it ended.
fn is_void() -> bool {
    match (rustix::fs::fstat(io::stdin()), rustix::fs::stat("/dev/null")) {
        (Ok(own), Ok(null)) => own.st_rdev == null.st_rdev && own.st_rdev != 0,
        (Err(_), _) => true,
        _ => false,
    }
}

/// Forwards standard input until it ends or the session no longer reads.
pub(crate) async fn forward(client: Client, session_id: String) {
    if let Err(error) = pump(&client, &session_id).await {
        eprintln!("hero_runner: standard input is no longer forwarded: {error}");
    }
}

async fn pump(client: &Client, session_id: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = stdin.read(&mut buffer).await?;
        let request = SessionStdin {
            session_id: session_id.to_owned(),
            data: None,
            base64: (count > 0).then(|| BASE64_STANDARD.encode(&buffer[..count])),
            close: count == 0,
        };
        if !send(client, request).await? || count == 0 {
            return Ok(());
        }
    }
}

/// Sends a piece; false when the session takes no more.
async fn send(client: &Client, request: SessionStdin) -> Result<bool, Error> {
    loop {
        match client.call::<SessionStdinMethod>(request.clone()).await {
            Ok(_) => return Ok(true),
            Err(error) if error.code() == Some(ErrorCode::InvalidState) => {
                let reference = SessionRef { session_id: request.session_id.clone() };
                let session = client.call::<SessionGetMethod>(reference).await?;
                if session.state != SessionState::Pending {
                    return Ok(false);
                }
                // It still waits for a worker, and nobody holds the other end yet.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

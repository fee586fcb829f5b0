//! `session_request`

use api::error::{Error, ErrorCode};
use api::session::SessionStart;

use crate::read::Found;
use crate::{Result, Supervisor};

/// The longest request that is kept, in bytes of JSON.
const MAX_KEPT: usize = 64 << 10;

/// A request as it is kept beside its session: in memory only, for its environment may hold what nobody wants on a disk.
/// `None` when it is too long for that.
pub(super) fn kept(request: &SessionStart) -> Option<Box<str>> {
    // What makes requests long, before anything is written.
    let texts = [&request.script, &request.stdin, &request.stdin_base64];
    if texts.into_iter().flatten().map(String::len).sum::<usize>() > MAX_KEPT {
        return None;
    }
    let text = match request.wait_ms {
        None => serde_json::to_string(request),
        // How long somebody waited for the answer is no part of what is run.
        Some(_) => serde_json::to_string(&SessionStart { wait_ms: None, ..request.clone() }),
    }
    .ok()?;
    (text.len() <= MAX_KEPT).then(|| text.into_boxed_str())
}

impl Supervisor {
    /// What `session_start` was asked for when this session was started.
    ///
    /// # Errors
    /// When there is no such session, it is a process of a service, or its request is not kept any more.
    pub async fn session_request(&self, session_id: &str) -> Result<SessionStart> {
        let found = self.shared.find(session_id).await?;
        let kept = match &found {
            Found::Live(session) => session.request.get(),
            Found::Past(_) => None,
        };
        kept.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| {
            let id = found.info().session_id;
            let why = "requests are kept in memory: while the session runs and for a while after its end, up to 64 KiB";
            Error::new(ErrorCode::InvalidState, format!("the request of {id} is not kept: {why}"))
        })
    }
}

//! `session_result` and `session_wait`

use std::time::Duration;

use api::session::{SessionReady, SessionResult, SessionWait, WaitFor, Waited};
use api::{LogKind, Outcome};

use crate::read::Found;
use crate::session::lock;
use crate::{Result, Supervisor};

/// The most of each stream that a result holds, in bytes. `session_logs` has the rest.
const MAX_STREAM: usize = 1 << 20;

/// How long `session_wait` waits, by default and at most.
const WAIT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));

impl Supervisor {
    /// The result, or `None` while the session runs.
    ///
    /// # Errors
    /// When there is no such session, or the history cannot be read.
    pub async fn session_result(&self, session_id: &str) -> Result<Option<SessionResult>> {
        let found = self.shared.find(session_id).await?;
        self.result(&found).await
    }

    /// Waits for the end, or until the session is ready; `None` when the wait ran out first.
    ///
    /// # Errors
    /// When there is no such session, or the history cannot be read.
    pub async fn session_wait(&self, request: SessionWait) -> Result<Option<Waited>> {
        let found = self.shared.find(&request.session_id).await?;
        if let Found::Live(session) = &found {
            let wait = request.wait_ms.map_or(WAIT.0, Duration::from_millis).min(WAIT.1);
            let mut changes = session.changed.subscribe();
            let come = || {
                let info = lock(&session.info);
                info.state.is_final() || request.what == WaitFor::Ready && info.ready
            };
            let came = async { while !come() && changes.changed().await.is_ok() {} };
            if tokio::time::timeout(wait, came).await.is_err() {
                return Ok(None);
            }
            if !session.state().is_final() {
                let ready_ms = *lock(&session.ready_ms);
                return Ok(Some(Waited::Ready(SessionReady { ready: true, ready_ms })));
            }
        }
        Ok(self.result(&found).await?.map(Waited::Ended))
    }

    async fn result(&self, found: &Found) -> Result<Option<SessionResult>> {
        let info = found.info();
        let Some(outcome) = info.outcome.clone() else { return Ok(None) };
        let (mut streams, mut full) = ([Vec::new(), Vec::new()], [false; 2]);
        let mut truncated = info.log_dropped > 0;
        let mut seq = 0;
        while seq < info.log_next_seq && full != [true; 2] {
            let chunk = self.shared.read_log(found, seq).await?;
            truncated |= chunk.missed > 0;
            let Some(last) = chunk.batches.last() else { break };
            let next = last.next_seq();
            for batch in &chunk.batches {
                let skip = seq.saturating_sub(batch.first_seq) as usize;
                for line in batch.lines.iter().skip(skip) {
                    let at = match line.kind {
                        LogKind::Stdout => 0,
                        LogKind::Stderr => 1,
                        LogKind::Host => continue,
                    };
                    let stream = &mut streams[at];
                    full[at] |= stream.len() + line.bytes.len() >= MAX_STREAM;
                    if full[at] {
                        truncated = true;
                        continue;
                    }
                    stream.extend_from_slice(&line.bytes);
                    if !line.partial {
                        stream.push(b'\n');
                    }
                }
                seq = batch.next_seq();
            }
            seq = next;
        }
        let [stdout, stderr] = streams.map(text);
        Ok(Some(SessionResult {
            success: outcome.is_success(),
            exit_code: match outcome {
                Outcome::Exited { code } => Some(code),
                _ => None,
            },
            outcome,
            value: info.value,
            attempts: info.attempts,
            stdout,
            stderr,
            truncated,
            started_at: info.started_at,
            duration_ms: info.duration_ms,
            cpu_ms: info.cpu_ms,
            max_rss_kb: info.max_rss_kb,
        }))
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

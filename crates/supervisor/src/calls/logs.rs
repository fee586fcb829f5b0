//! `session_logs`

use std::time::Duration;

use api::error::{Error, ErrorCode};
use api::log::{LogPage, SessionLogs};

use crate::read::Found;
use crate::{Result, Supervisor};

/// Lines of a page, by default and at most.
const PAGE: (u32, u32) = (1000, 10_000);

/// The longest wait.
const WAIT: Duration = Duration::from_secs(60);

/// The most bytes of lines in a page, so that a reply stays one that a client takes.
const MAX_BYTES: usize = 8 << 20;

impl Supervisor {
    /// Reads log lines; waits for them when there are none and the request says so.
    ///
    /// # Errors
    /// When there is no such session, the request contradicts itself, or the history cannot be read.
    pub async fn session_logs(&self, request: SessionLogs) -> Result<LogPage> {
        // Who asks for the last lines wants all of them.
        let limit = request.limit.or(request.tail).unwrap_or(PAGE.0).clamp(1, PAGE.1);
        let found = self.shared.find(&request.session_id).await?;
        let starts = [request.after_seq.is_some(), request.after_ts_ms.is_some(), request.tail.is_some()];
        if starts.iter().filter(|given| **given).count() > 1 {
            let message = "give one of after_seq, after_ts_ms and tail";
            return Err(Error::new(ErrorCode::InvalidParams, message));
        }
        let mut seq = match (request.after_seq, request.tail) {
            (Some(after), _) => after.saturating_add(1),
            (None, Some(tail)) => found.next_seq().0.saturating_sub(u64::from(tail.min(limit))),
            (None, None) => 0,
        };
        let until = tokio::time::Instant::now()
            + request.wait_ms.map_or(Duration::ZERO, Duration::from_millis).min(WAIT);
        let mut changes = match &found {
            Found::Live(session) => Some(session.changed.subscribe()),
            Found::Past(_) => None,
        };
        let mut page = LogPage { next_ts_ms: request.after_ts_ms.unwrap_or(0), ..LogPage::default() };
        loop {
            let (next, ended) = found.next_seq();
            self.fill(&found, &mut page, &mut seq, limit as usize, request.after_ts_ms).await?;
            page.next_seq = seq;
            page.end = ended && seq >= next;
            if !page.lines.is_empty() || page.gap > 0 || ended {
                return Ok(page);
            }
            let Some(changes) = &mut changes else { return Ok(page) };
            match tokio::time::timeout_at(until, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return Ok(page),
            }
        }
    }

    /// Reads on from `seq` until the page is full or there is nothing more.
    async fn fill(
        &self,
        found: &Found,
        page: &mut LogPage,
        seq: &mut u64,
        limit: usize,
        after_ts_ms: Option<u64>,
    ) -> Result<()> {
        let mut bytes = 0;
        while page.lines.len() < limit && bytes < MAX_BYTES {
            let chunk = self.shared.read_log(found, *seq).await?;
            page.gap += chunk.missed;
            *seq += chunk.missed;
            if chunk.batches.is_empty() {
                return Ok(());
            }
            for batch in &chunk.batches {
                let skip = seq.saturating_sub(batch.first_seq) as usize;
                for line in batch.lines.iter().skip(skip) {
                    if page.lines.len() == limit || bytes >= MAX_BYTES {
                        return Ok(());
                    }
                    if after_ts_ms.is_none_or(|after| line.ts_ms > after) {
                        bytes += line.bytes.len();
                        page.next_ts_ms = line.ts_ms;
                        page.lines.push(line.to_api(*seq));
                    }
                    *seq += 1;
                }
            }
        }
        Ok(())
    }
}

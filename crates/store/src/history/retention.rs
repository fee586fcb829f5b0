//! What goes when there is too much: a bounded piece of it with every commit, so that no commit stalls.

use rusqlite::{Connection, OptionalExtension, params};

use super::BLOCK_OVERHEAD;
use super::commit::{Books, Tally};
use crate::database::now_ms;

/// What a commit may delete beside twice what it added: enough to get ahead, too little to be felt.
const FREE_BYTES: u64 = 4 << 20;
const FREE_RECORDS: u64 = 64;

/// Blocks that are looked at in one step.
const STEP: u32 = 256;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What this commit may still delete.
struct Budget {
    bytes: u64,
    records: u64,
}

impl Books {
    /// Deletes what the caps and the age no longer allow, within a budget; `tally.backlog` tells whether more
    /// is left.
    pub(super) fn retain(&mut self, sql: &Connection, tally: &mut Tally) -> rusqlite::Result<()> {
        let mut budget =
            Budget { bytes: FREE_BYTES + 2 * tally.bytes_in, records: FREE_RECORDS + 2 * tally.records_in };
        self.cap_sessions(sql, &mut budget, tally)?;
        self.cap_total(sql, &mut budget, tally)?;
        self.cap_records(sql, &mut budget, tally)
    }

    /// Sessions that grew in this commit beyond their cap lose their oldest blocks.
    fn cap_sessions(
        &mut self,
        sql: &Connection,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> rusqlite::Result<()> {
        let cap = self.settings.session_log_bytes;
        let over: Vec<(u64, u64)> = self
            .logs
            .iter()
            .filter(|(_, kept)| kept.bytes > cap)
            .map(|(no, kept)| (*no, kept.bytes - cap))
            .collect();
        for (no, excess) in over {
            // The excess of a session is at most what this commit added, unless the cap was lowered.
            if self.take_oldest(sql, no, excess.min(budget.bytes), budget, tally)? < excess {
                tally.backlog = true;
            }
        }
        Ok(())
    }

    /// While all logs together are too large, the oldest ended session loses its log; when none has ended, the
    /// oldest running one loses its oldest blocks.
    fn cap_total(
        &mut self,
        sql: &Connection,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> rusqlite::Result<()> {
        let cap = self.settings.total_log_bytes;
        if self.log_bytes_after(tally) <= cap {
            return Ok(());
        }
        while self.log_bytes_after(tally) > cap {
            if budget.bytes == 0 {
                tally.backlog = true;
                break;
            }
            // The index on `logs` has to know what this commit added and took.
            self.store_kept(sql)?;
            let ended: Option<u64> = sql
                .prepare_cached(
                    "SELECT l.no FROM logs l LEFT JOIN records r ON r.no = l.no \
                     WHERE l.bytes > 0 AND (r.no IS NULL OR r.ended_at IS NOT NULL) ORDER BY l.no LIMIT 1",
                )?
                .query_row([], |row| row.get(0))
                .optional()?;
            let excess = self.log_bytes_after(tally) - cap;
            let freed = match ended {
                Some(no) => self.take_oldest(sql, no, u64::MAX, budget, tally)?,
                None => {
                    let running: Option<u64> = sql
                        .prepare_cached("SELECT no FROM logs WHERE bytes > 0 ORDER BY no LIMIT 1")?
                        .query_row([], |row| row.get(0))
                        .optional()?;
                    match running {
                        Some(no) => self.take_oldest(sql, no, excess, budget, tally)?,
                        None => 0,
                    }
                }
            };
            if freed == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Ended sessions that are too old or too many go, records and logs.
    fn cap_records(
        &mut self,
        sql: &Connection,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> rusqlite::Result<()> {
        let cutoff = now_ms().saturating_sub(self.settings.max_age_days.saturating_mul(DAY_MS));
        // One more than may go tells whether something is left.
        let candidates: Vec<(u64, u64, String)> = sql
            .prepare_cached(
                "SELECT no, ended_at, labels FROM records WHERE ended_at IS NOT NULL ORDER BY ended_at, no LIMIT ?1",
            )?
            .query_map(
                [if self.records_after(tally) > self.settings.max_records { budget.records + 1 } else { FREE_RECORDS + 1 }],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?
            .take_while(|row| {
                row.as_ref().map_or(true, |(_, ended_at, _)| {
                    *ended_at < cutoff || self.records_after(tally) > self.settings.max_records
                })
            })
            .collect::<rusqlite::Result<_>>()?;
        for (no, ended_at, labels) in candidates {
            if ended_at >= cutoff && self.records_after(tally) <= self.settings.max_records {
                break;
            }
            if budget.records == 0 {
                tally.backlog = true;
                break;
            }
            self.take_oldest(sql, no, u64::MAX, budget, tally)?;
            if self.kept(sql, no)?.bytes > 0 {
                tally.backlog = true;
                break;
            }
            self.remove_record(sql, no, &labels)?;
            budget.records -= 1;
            tally.records_retired += 1;
        }
        Ok(())
    }

    fn remove_record(&mut self, sql: &Connection, no: u64, labels: &str) -> rusqlite::Result<()> {
        self.logs.remove(&no);
        sql.prepare_cached("DELETE FROM logs WHERE no = ?1")?.execute([no])?;
        sql.prepare_cached("DELETE FROM records WHERE no = ?1")?.execute([no])?;
        let labels: std::collections::BTreeMap<String, String> =
            serde_json::from_str(labels).unwrap_or_default();
        for (name, value) in labels {
            let mut delete = sql.prepare_cached("DELETE FROM labels WHERE label = ?1 AND no = ?2")?;
            delete.execute(params![name, no])?;
            delete.execute(params![format!("{name}={value}"), no])?;
        }
        Ok(())
    }

    /// Deletes the oldest blocks of a session until `want` bytes are free, none is left, or the budget is used
    /// up. Returns the bytes that were freed.
    fn take_oldest(
        &mut self,
        sql: &Connection,
        no: u64,
        want: u64,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> rusqlite::Result<u64> {
        let (mut freed, mut lines) = (0, 0);
        let held = self.kept(sql, no)?.bytes;
        let want = want.min(budget.bytes);
        if held == 0 || want == 0 {
            return Ok(0);
        }
        loop {
            let mut last = None;
            let mut looked = 0;
            {
                let mut select = sql.prepare_cached(
                    "SELECT first_seq, lines, length(body) FROM blocks WHERE no = ?1 ORDER BY first_seq LIMIT ?2",
                )?;
                let mut rows = select.query(params![no, STEP])?;
                while freed < want
                    && let Some(row) = rows.next()?
                {
                    looked += 1;
                    last = Some(row.get::<_, u64>(0)?);
                    lines += row.get::<_, u64>(1)?;
                    freed += row.get::<_, u64>(2)? + BLOCK_OVERHEAD;
                }
            }
            let Some(last) = last else {
                // No block is left. The count should say so too; if it did not, it would be asked for ever.
                freed = held;
                break;
            };
            sql.prepare_cached("DELETE FROM blocks WHERE no = ?1 AND first_seq <= ?2")?
                .execute(params![no, last])?;
            if looked < STEP || freed >= want {
                break;
            }
        }
        budget.bytes = budget.bytes.saturating_sub(freed);
        self.took(sql, no, freed, lines, tally)?;
        Ok(freed)
    }
}

//! One group commit: records, log blocks, what each session keeps, and a bounded piece of retention.

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::writer::Batch;
use super::{BLOCK_OVERHEAD, Block, Record, Settings};

/// Sessions whose numbers stay in memory between commits.
const KEEP_LOGS: usize = 1024;

/// What is kept of one session's log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    pub(super) bytes: u64,
    pub(super) dropped_lines: u64,
    next_seq: u64,
    /// It has a row in `logs`.
    stored: bool,
    /// The row is older than this.
    changed: bool,
}

/// What a commit changed; it counts once the commit succeeded.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) records_in: u64,
    pub(super) records_retired: u64,
    pub(super) lines_retired: u64,
    /// Records that the database refuses whatever happens: their id belongs to another number.
    pub(super) records_refused: u64,
    /// Lines that the database refuses: their numbers are beyond its integers.
    pub(super) lines_refused: u64,
    /// Retention had more to do than it was allowed.
    pub(super) backlog: bool,
}

/// What the writer knows by heart about the database, so that a commit need not ask.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) settings: Settings,
    pub(super) logs: HashMap<u64, Kept>,
    log_bytes: u64,
    records: u64,
    max_no: Option<u64>,
    /// Something failed since this was read.
    stale: bool,
}

impl Books {
    pub(super) fn open(connection: &Connection, settings: Settings) -> rusqlite::Result<Self> {
        let mut books =
            Self { settings, logs: HashMap::new(), log_bytes: 0, records: 0, max_no: None, stale: false };
        books.read(connection)?;
        Ok(books)
    }

    fn read(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.log_bytes =
            connection.query_row("SELECT coalesce(sum(bytes), 0) FROM logs", [], |row| row.get(0))?;
        (self.records, self.max_no) =
            connection.query_row("SELECT count(*), max(no) FROM records", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        self.logs.clear();
        // Otherwise a session that writes no more would never notice that its cap was lowered.
        let over: Vec<u64> = connection
            .prepare_cached("SELECT no FROM logs WHERE bytes > ?1 LIMIT ?2")?
            .query_map(params![self.settings.session_log_bytes, KEEP_LOGS / 2], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for no in over {
            self.kept(connection, no)?;
        }
        self.stale = false;
        Ok(())
    }

    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Log bytes as they will be after this commit.
    pub(super) fn log_bytes_after(&self, tally: &Tally) -> u64 {
        (self.log_bytes + tally.bytes_in).saturating_sub(tally.bytes_out)
    }

    /// Records as they will be after this commit.
    pub(super) fn records_after(&self, tally: &Tally) -> u64 {
        (self.records + tally.records_in).saturating_sub(tally.records_retired)
    }

    /// Writes the batch, or nothing of it.
    pub(super) fn commit(&mut self, connection: &mut Connection, batch: &Batch) -> rusqlite::Result<Tally> {
        let outcome = self.attempt(connection, batch);
        match &outcome {
            Ok(tally) => {
                self.log_bytes = self.log_bytes_after(tally);
                self.records = self.records_after(tally);
                if self.logs.len() > KEEP_LOGS {
                    self.logs.clear();
                }
            }
            // What is known by heart went ahead of the database; the next attempt reads it again.
            Err(_) => self.stale = true,
        }
        outcome
    }

    fn attempt(&mut self, connection: &mut Connection, batch: &Batch) -> rusqlite::Result<Tally> {
        if self.stale {
            self.read(connection)?;
        }
        // Immediate: a lock that another connection holds is waited for here, and not in the middle.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut tally = Tally::default();
        for record in batch.records.values() {
            self.record(&transaction, record, &mut tally)?;
        }
        for (no, block) in &batch.blocks {
            self.block(&transaction, *no, block, &mut tally)?;
        }
        for (no, lines) in &batch.lost {
            let kept = self.kept(&transaction, *no)?;
            kept.dropped_lines += lines;
            kept.changed = true;
        }
        self.retain(&transaction, &mut tally)?;
        self.store_kept(&transaction)?;
        transaction.commit()?;
        Ok(tally)
    }

    fn record(&mut self, sql: &Transaction<'_>, record: &Record, tally: &mut Tally) -> rusqlite::Result<()> {
        let outcome = self.try_record(sql, record, tally);
        if outcome.as_ref().is_err_and(is_hopeless) {
            tally.records_refused += 1;
            return Ok(());
        }
        outcome
    }

    fn try_record(
        &mut self,
        sql: &Transaction<'_>,
        record: &Record,
        tally: &mut Tally,
    ) -> rusqlite::Result<()> {
        let Record { no, info } = record;
        let text = |e: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(e));
        let json = serde_json::to_string(info).map_err(text)?;
        let labels = if info.labels.is_empty() {
            "{}".to_owned()
        } else {
            serde_json::to_string(&info.labels).map_err(text)?
        };
        let state = super::read::state_name(info.state);
        let ended_at = info.state.is_final().then(|| info.ended_at.unwrap_or(info.created_at));
        let known = self.max_no.is_some_and(|max| *no <= max)
            && sql
                .prepare_cached("UPDATE records SET state = ?2, module = ?3, digest = ?4, ended_at = ?5, info = ?6 WHERE no = ?1")?
                .execute(params![no, state, info.module, info.digest, ended_at, json])?
                > 0;
        if known {
            return Ok(());
        }
        sql.prepare_cached(
            "INSERT INTO records (no, id, state, module, digest, created_at, ended_at, labels, info) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            no,
            info.session_id,
            state,
            info.module,
            info.digest,
            info.created_at,
            ended_at,
            labels,
            json
        ])?;
        if self.max_no.is_none_or(|max| *no > max) {
            // A new number has no log yet; knowing it saves a query.
            self.logs.entry(*no).or_default();
            self.max_no = Some(*no);
        }
        for (name, value) in &info.labels {
            let mut insert =
                sql.prepare_cached("INSERT OR IGNORE INTO labels (label, no) VALUES (?1, ?2)")?;
            insert.execute(params![name, no])?;
            insert.execute(params![format!("{name}={value}"), no])?;
        }
        tally.records_in += 1;
        Ok(())
    }

    fn block(
        &mut self,
        sql: &Transaction<'_>,
        no: u64,
        block: &Block,
        tally: &mut Tally,
    ) -> rusqlite::Result<()> {
        if i64::try_from(block.next_seq().max(block.first_ts_ms).max(block.last_ts_ms).max(no)).is_err() {
            tally.lines_refused += u64::from(block.lines);
            return Ok(());
        }
        // A block that is there already (sent twice) stays as it is.
        let added = sql
            .prepare_cached(
                "INSERT OR IGNORE INTO blocks (no, first_seq, lines, first_ts, last_ts, body) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                no,
                block.first_seq,
                block.lines,
                block.first_ts_ms,
                block.last_ts_ms,
                block.body
            ])?;
        if added > 0 {
            let cost = block.body.len() as u64 + BLOCK_OVERHEAD;
            let kept = self.kept(sql, no)?;
            kept.bytes += cost;
            kept.next_seq = kept.next_seq.max(block.next_seq());
            kept.changed = true;
            tally.bytes_in += cost;
        }
        Ok(())
    }

    /// The numbers of a session's log, from memory or from its row.
    pub(super) fn kept(&mut self, sql: &Connection, no: u64) -> rusqlite::Result<&mut Kept> {
        use std::collections::hash_map::Entry;
        match self.logs.entry(no) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let row = sql
                    .prepare_cached("SELECT bytes, next_seq, dropped_lines FROM logs WHERE no = ?1")?
                    .query_row([no], |row| {
                        Ok(Kept {
                            bytes: row.get(0)?,
                            next_seq: row.get(1)?,
                            dropped_lines: row.get(2)?,
                            stored: true,
                            changed: false,
                        })
                    })
                    .optional()?;
                Ok(unknown.insert(row.unwrap_or_default()))
            }
        }
    }

    /// Notes that blocks of a session were deleted.
    pub(super) fn took(
        &mut self,
        sql: &Connection,
        no: u64,
        bytes: u64,
        lines: u64,
        tally: &mut Tally,
    ) -> rusqlite::Result<()> {
        let kept = self.kept(sql, no)?;
        kept.bytes = kept.bytes.saturating_sub(bytes);
        kept.dropped_lines += lines;
        kept.changed = true;
        tally.bytes_out += bytes;
        tally.lines_retired += lines;
        Ok(())
    }

    /// Writes the changed numbers of logs: once before somebody queries the table, and once at the end.
    pub(super) fn store_kept(&mut self, sql: &Connection) -> rusqlite::Result<()> {
        for (no, kept) in self.logs.iter_mut().filter(|(_, kept)| kept.changed) {
            let statement = if kept.stored {
                "UPDATE logs SET bytes = ?2, next_seq = ?3, dropped_lines = ?4 WHERE no = ?1"
            } else {
                "INSERT INTO logs (no, bytes, next_seq, dropped_lines) VALUES (?1, ?2, ?3, ?4)"
            };
            sql.prepare_cached(statement)?.execute(params![
                no,
                kept.bytes,
                kept.next_seq,
                kept.dropped_lines
            ])?;
            kept.stored = true;
            kept.changed = false;
        }
        Ok(())
    }
}

/// Whether an entry would fail again in every attempt, and take all the others of its commit with it.
fn is_hopeless(failure: &rusqlite::Error) -> bool {
    failure.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
        || matches!(failure, rusqlite::Error::ToSqlConversionFailure(_))
}

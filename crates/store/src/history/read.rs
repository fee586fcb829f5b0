//! What is read from the history. Every call here touches the disk and may take milliseconds.

use std::collections::BTreeMap;

use api::error::{Error, ErrorCode};
use api::{SessionInfo, SessionState};
use rusqlite::types::{ToSql, Type};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Block, History, Opened, Record};
use crate::Result;

/// Which records [`History::list`] shows; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only sessions in this state.
    pub state: Option<SessionState>,
    /// Only sessions of this module: the name that was asked for, or a digest (`sha256:…`).
    pub module: Option<String>,
    /// Only sessions with this label: `name` or `name=value`.
    pub label: Option<String>,
    /// Only sessions that have this text in their id, module, template, the value of a label or an argument, whatever the case
    /// of its ASCII letters.
    pub search: Option<String>,
}

/// What is kept of a session's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogExtent {
    /// The sequence number of the first line that is kept; equal to `next_seq` when none is.
    pub first_seq: u64,
    /// The sequence number that follows the last line that was ever committed.
    pub next_seq: u64,
    /// Bytes, as the caps count them.
    pub bytes: u64,
    /// Lines that retention removed or a full disk lost.
    pub dropped_lines: u64,
}

/// The columns of a block, as [`block`] reads them.
const BLOCK: &str = "first_seq, lines, first_ts, last_ts, body";

/// Finds a text in a record. The whole of it is looked through first, which is quick and tells most that do not have the text
/// from those that may.
const SEARCH: &str = " AND r.info LIKE ? ESCAPE '\\' AND (r.id LIKE ? ESCAPE '\\' OR r.module LIKE ? ESCAPE '\\' \
    OR json_extract(r.info, '$.template') LIKE ? ESCAPE '\\' \
    OR EXISTS (SELECT 1 FROM json_each(r.info, '$.args') WHERE value LIKE ? ESCAPE '\\') \
    OR EXISTS (SELECT 1 FROM json_each(r.info, '$.labels') WHERE value LIKE ? ESCAPE '\\'))";

/// A text as patterns of LIKE.
struct Patterns {
    /// As it stands in JSON.
    json: String,
    plain: String,
}

impl Patterns {
    fn of(text: &str) -> Self {
        let pattern =
            |text: &str| format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        let json = serde_json::Value::from(text).to_string();
        Self { json: pattern(&json[1..json.len() - 1]), plain: pattern(text) }
    }
}

impl History {
    /// The record with this id, or with the only id that begins so.
    ///
    /// # Errors
    /// `invalid_state` when several ids begin so, `internal` when the database fails.
    pub fn get(&self, id: &str) -> Result<Option<Record>> {
        if id.is_empty() {
            return Ok(None);
        }
        let mut found = self.read(|sql| {
            let exact = sql
                .prepare_cached("SELECT no, info FROM records WHERE id = ?1")?
                .query_row([id], record)
                .optional()?;
            if let Some(exact) = exact {
                return Ok(vec![exact]);
            }
            // Ids are text; everything that begins with the prefix sorts before the prefix and the last character.
            sql.prepare_cached(
                "SELECT no, info FROM records WHERE id >= ?1 AND id < ?1 || char(1114111) LIMIT 2",
            )?
            .query_map([id], record)?
            .collect()
        })?;
        if found.len() > 1 {
            return Err(Error::new(
                ErrorCode::InvalidState,
                format!("more than one session id begins with {id:?}"),
            ));
        }
        Ok(found.pop())
    }

    /// The records with these numbers, in the order of the numbers; those that are not there are left out.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn get_many(&self, nos: &[u64]) -> Result<Vec<Record>> {
        self.read(|sql| {
            let mut select = sql.prepare_cached("SELECT no, info FROM records WHERE no = ?1")?;
            nos.iter().filter_map(|no| select.query_row([no], record).optional().transpose()).collect()
        })
    }

    /// Up to `limit` records that pass the filter, newest first, only those before `before_no`.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn list(&self, filter: &Filter, before_no: Option<u64>, limit: u32) -> Result<Vec<Record>> {
        let mut sql_text = "SELECT r.no, r.info FROM records r WHERE r.no < ?".to_owned();
        let before = before_no.map_or(i64::MAX, |no| i64::try_from(no).unwrap_or(i64::MAX));
        let state = filter.state.map(state_name);
        let mut values: Vec<&dyn ToSql> = vec![&before];
        if let Some(state) = &state {
            sql_text.push_str(" AND r.state = ?");
            values.push(state);
        }
        if let Some(module) = &filter.module {
            sql_text.push_str(if module.starts_with("sha256:") {
                " AND r.digest = ?"
            } else {
                " AND r.module = ?"
            });
            values.push(module);
        }
        if let Some(label) = &filter.label {
            sql_text.push_str(" AND r.no IN (SELECT no FROM labels WHERE label = ?)");
            values.push(label);
        }
        let search = filter.search.as_deref().map(Patterns::of);
        if let Some(Patterns { json, plain }) = &search {
            sql_text.push_str(SEARCH);
            values.extend([json as &dyn ToSql, plain, plain, plain, plain, plain]);
        }
        sql_text.push_str(" ORDER BY r.no DESC LIMIT ?");
        values.push(&limit);
        self.read(|sql| sql.prepare_cached(&sql_text)?.query_map(values.as_slice(), record)?.collect())
    }

    /// How many records there are in each state; a state without records is left out.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn counts(&self) -> Result<Vec<(SessionState, u64)>> {
        let by_name: BTreeMap<String, u64> = self.read(|sql| {
            sql.prepare_cached("SELECT state, count(*) FROM records GROUP BY state")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        Ok(STATES.into_iter().filter_map(|state| Some((state, *by_name.get(state_name(state))?))).collect())
    }

    /// What is kept of a session's log; all zeros when nothing was ever committed.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn log_extent(&self, no: u64) -> Result<LogExtent> {
        self.read(|sql| {
            let row = sql
                .prepare_cached(
                    "SELECT bytes, next_seq, dropped_lines, \
                     (SELECT min(first_seq) FROM blocks WHERE no = ?1) FROM logs WHERE no = ?1",
                )?
                .query_row([no], |row| {
                    let next_seq = row.get(1)?;
                    Ok(LogExtent {
                        first_seq: row.get::<_, Option<u64>>(3)?.unwrap_or(next_seq),
                        next_seq,
                        bytes: row.get(0)?,
                        dropped_lines: row.get(2)?,
                    })
                })
                .optional()?;
            Ok(row.unwrap_or_default())
        })
    }

    /// Blocks of a session from the one that holds `from_seq` on (or the next that is kept), in order, until
    /// their bodies reach `max_bytes`; at least one when there is one. The first may begin before `from_seq`;
    /// when it begins after it, the lines between are gone.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn blocks(&self, no: u64, from_seq: u64, max_bytes: usize) -> Result<Vec<Block>> {
        self.read(|sql| blocks_from(sql, no, from_seq, max_bytes))
    }

    /// Like [`Self::blocks`], from the first block that holds a line written at `ts_ms` or later. It is found by
    /// halving, so where the clock was set back inside a log, it is one of the places that fit.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn blocks_from_ts(&self, no: u64, ts_ms: u64, max_bytes: usize) -> Result<Vec<Block>> {
        self.read(|sql| {
            let ends: (Option<u64>, Option<u64>) = sql
                .prepare_cached("SELECT (SELECT min(first_seq) FROM blocks WHERE no = ?1), (SELECT max(first_seq) FROM blocks WHERE no = ?1)")?
                .query_row([no], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let (Some(mut low), Some(mut high)) = ends else { return Ok(Vec::new()) };
            let mut at_or_before = sql.prepare_cached(
                "SELECT first_seq, lines, last_ts FROM blocks WHERE no = ?1 AND first_seq <= ?2 \
                 ORDER BY first_seq DESC LIMIT 1",
            )?;
            // Holds: every block before `low` is too old; the block at `high` is the last candidate.
            while low < high {
                let middle = low + (high - low) / 2;
                let (first, lines, last_ts): (u64, u64, u64) =
                    at_or_before.query_row(params![no, middle], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                if last_ts < ts_ms {
                    low = (first + lines.max(1)).max(middle + 1);
                } else {
                    high = first;
                }
            }
            let found = blocks_from(sql, no, low, max_bytes)?;
            // Only the very last block can still be too old: then nothing is new enough.
            let stale = found.first().is_none_or(|block| block.last_ts_ms < ts_ms);
            Ok(if stale { Vec::new() } else { found })
        })
    }

    /// The last blocks of a session that together hold at least `lines` lines, in order; fewer when their bodies
    /// would be more than `max_bytes` (at least one when there is one).
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn last_blocks(&self, no: u64, lines: u64, max_bytes: usize) -> Result<Vec<Block>> {
        self.read(|sql| {
            let text = format!("SELECT {BLOCK} FROM blocks WHERE no = ?1 ORDER BY first_seq DESC");
            let mut select = sql.prepare_cached(&text)?;
            let mut rows = select.query([no])?;
            let (mut found, mut held, mut bytes) = (Vec::new(), 0, 0);
            while held < lines
                && let Some(row) = rows.next()?
            {
                let block = block(row)?;
                bytes += block.body.len();
                if bytes > max_bytes && !found.is_empty() {
                    break;
                }
                held += u64::from(block.lines);
                found.push(block);
            }
            found.reverse();
            Ok(found)
        })
    }
}

fn blocks_from(sql: &Connection, no: u64, from_seq: u64, max_bytes: usize) -> rusqlite::Result<Vec<Block>> {
    let text = format!(
        "SELECT {BLOCK} FROM blocks WHERE no = ?1 AND first_seq >= coalesce( \
         (SELECT CASE WHEN first_seq + lines > ?2 THEN first_seq END FROM blocks \
          WHERE no = ?1 AND first_seq <= ?2 ORDER BY first_seq DESC LIMIT 1), ?2) ORDER BY first_seq"
    );
    let from = i64::try_from(from_seq).unwrap_or(i64::MAX);
    let mut select = sql.prepare_cached(&text)?;
    let mut rows = select.query(params![no, from])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let block = block(row)?;
        bytes += block.body.len();
        found.push(block);
        if bytes >= max_bytes {
            break;
        }
    }
    Ok(found)
}

/// What a new server needs to know.
pub(super) fn opened(sql: &Connection) -> rusqlite::Result<Opened> {
    let unfinished = sql
        .prepare("SELECT no, info FROM records WHERE state IN ('pending', 'running') ORDER BY no")?
        .query_map([], record)?
        .collect::<rusqlite::Result<_>>()?;
    // Log rows count too: a record may have been refused while its log was kept.
    let max_no = sql.query_row(
        "SELECT max(coalesce((SELECT max(no) FROM records), 0), coalesce((SELECT max(no) FROM logs), 0))",
        [],
        |row| row.get(0),
    )?;
    Ok(Opened { unfinished, max_no })
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let json = row.get_ref(1)?.as_str()?;
    let info: SessionInfo = serde_json::from_str(json)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(e)))?;
    Ok(Record { no: row.get(0)?, info })
}

fn block(row: &Row<'_>) -> rusqlite::Result<Block> {
    Ok(Block {
        first_seq: row.get(0)?,
        lines: row.get(1)?,
        first_ts_ms: row.get(2)?,
        last_ts_ms: row.get(3)?,
        body: row.get(4)?,
    })
}

const STATES: [SessionState; 5] = [
    SessionState::Pending,
    SessionState::Running,
    SessionState::Succeeded,
    SessionState::Failed,
    SessionState::Cancelled,
];

/// The state as the database and the wire call it.
pub(super) fn state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Pending => "pending",
        SessionState::Running => "running",
        SessionState::Succeeded => "succeeded",
        SessionState::Failed => "failed",
        SessionState::Cancelled => "cancelled",
    }
}

//! Which schedules are paused, and the last calls of each one, so that both are there again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::error::{Error, ErrorCode};
use api::schedule::ScheduleRun;
use rusqlite::{Connection, params};

use crate::Result;
use crate::database::{Database, now_ms, sql_error};

/// How many calls of each schedule are kept.
pub const RUNS: u32 = 50;

/// How long calls of a schedule are kept that is no longer declared, in milliseconds: 30 days.
const UNDECLARED: u64 = 30 * 24 * 3600 * 1000;

/// The store of schedules. Every call touches the disk.
#[derive(Debug)]
pub struct Schedules {
    sql: Mutex<Connection>,
    /// Which start of a server this is, counted over those that declared a schedule.
    start: i64,
}

/// What is known of schedules from before.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Known {
    /// Those that are paused, by id.
    pub paused: BTreeSet<String>,
    /// The last call of each, by id.
    pub last: BTreeMap<String, ScheduleRun>,
}

impl Schedules {
    /// Opens the store. Calls that are older than 30 days go, unless their schedule was declared when a server ran
    /// last; a disk that is too full for that leaves them to the next time.
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the database cannot be used.
    pub fn open(database: &Database) -> Result<Self> {
        let sql = database.connect().map_err(|e| sql_error(&e))?;
        // Not a time: a clock that was set back would turn declared schedules into forgotten ones.
        let before: i64 = sql
            .query_row("SELECT coalesce(max(declared), 0) FROM schedules", [], |row| row.get(0))
            .map_err(|e| sql_error(&e))?;
        let _ = sweep(&sql, before, now_ms().saturating_sub(UNDECLARED));
        Ok(Self { sql: Mutex::new(sql), start: before + 1 })
    }

    fn sql(&self) -> MutexGuard<'_, Connection> {
        self.sql.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known from before, of schedules that are declared and of others. A call that this build cannot read
    /// is left out: whether a schedule is paused matters more.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn known(&self) -> Result<Known> {
        let sql = self.sql();
        let read = || -> rusqlite::Result<Known> {
            let paused = sql
                .prepare("SELECT id FROM schedules WHERE paused")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let newest = "SELECT id, run FROM schedule_runs \
                          WHERE no IN (SELECT max(no) FROM schedule_runs GROUP BY id)";
            let rows: Vec<(String, String)> = sql
                .prepare(newest)?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let run = |(id, text): (String, String)| Some((id, serde_json::from_str(&text).ok()?));
            Ok(Known { paused, last: rows.into_iter().filter_map(run).collect() })
        };
        read().map_err(|e| sql_error(&e))
    }

    /// Notes that these schedules are declared.
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the database fails.
    pub fn declare(&self, ids: &[String]) -> Result<()> {
        let note = "INSERT INTO schedules (id, paused, declared) VALUES (?1, 0, ?2) \
                    ON CONFLICT (id) DO UPDATE SET declared = ?2";
        let mut sql = self.sql();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = sql.transaction()?;
            for id in ids {
                transaction.prepare_cached(note)?.execute(params![id, self.start])?;
            }
            transaction.commit()
        };
        write().map_err(|e| sql_error(&e))
    }

    /// Keeps whether a schedule is paused.
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the database fails.
    pub fn pause(&self, id: &str, paused: bool) -> Result<()> {
        let note = "INSERT INTO schedules (id, paused, declared) VALUES (?1, ?2, ?3) \
                    ON CONFLICT (id) DO UPDATE SET paused = ?2";
        self.sql().execute(note, params![id, paused, self.start]).map_err(|e| sql_error(&e))?;
        Ok(())
    }

    /// Keeps one call, and of all calls of its schedule the newest [`RUNS`].
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the database fails.
    pub fn record(&self, id: &str, run: &ScheduleRun) -> Result<()> {
        let text = serde_json::to_string(run).map_err(|e| Error::new(ErrorCode::Internal, e.to_string()))?;
        let trim = "DELETE FROM schedule_runs WHERE id = ?1 AND no <= \
                    (SELECT no FROM schedule_runs WHERE id = ?1 ORDER BY no DESC LIMIT 1 OFFSET ?2)";
        let mut sql = self.sql();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = sql.transaction()?;
            transaction
                .prepare_cached("INSERT INTO schedule_runs (id, at, run) VALUES (?1, ?2, ?3)")?
                .execute(params![id, run.at, text])?;
            transaction.prepare_cached(trim)?.execute(params![id, RUNS])?;
            transaction.commit()
        };
        write().map_err(|e| sql_error(&e))
    }

    /// The last calls of these schedules, oldest first, at most so many of each; those without calls are left out.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn runs(&self, ids: &[String], each: u32) -> Result<BTreeMap<String, Vec<ScheduleRun>>> {
        let sql = self.sql();
        let last = "SELECT run FROM schedule_runs WHERE id = ?1 ORDER BY no DESC LIMIT ?2";
        let read = |id: &String| -> rusqlite::Result<Vec<ScheduleRun>> {
            let rows: Vec<String> = sql
                .prepare_cached(last)?
                .query_map(params![id, each], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(rows.iter().rev().filter_map(|text| serde_json::from_str(text).ok()).collect())
        };
        let mut found = BTreeMap::new();
        for id in ids {
            let runs = read(id).map_err(|e| sql_error(&e))?;
            if !runs.is_empty() {
                found.insert(id.clone(), runs);
            }
        }
        Ok(found)
    }
}

/// Removes what nobody will ask for: old calls of schedules that were not declared in the last start, and the notes of
/// such schedules. That one is paused is kept; it may come back.
fn sweep(sql: &Connection, last: i64, oldest: u64) -> rusqlite::Result<()> {
    let declared = "SELECT id FROM schedules WHERE declared = ?1";
    sql.execute(
        &format!("DELETE FROM schedule_runs WHERE at < ?2 AND id NOT IN ({declared})"),
        params![last, oldest],
    )?;
    sql.execute("DELETE FROM schedules WHERE declared < ?1 AND NOT paused", [last])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(at: u64) -> ScheduleRun {
        ScheduleRun {
            at,
            status: Some(200),
            duration_ms: 3,
            body_head: "ü".into(),
            error: None,
            manual: false,
        }
    }

    fn open(folder: &tempfile::TempDir) -> Schedules {
        Schedules::open(&Database::open(folder.path()).expect("a database")).expect("a store")
    }

    fn ats(schedules: &Schedules, id: &str, each: u32) -> Vec<u64> {
        let runs = schedules.runs(&[id.to_owned()], each).expect("runs");
        runs.get(id).map(|runs| runs.iter().map(|run| run.at).collect()).unwrap_or_default()
    }

    #[test]
    fn what_was_kept_is_there_after_the_next_open() {
        let folder = tempfile::tempdir().unwrap();
        let now = now_ms();
        {
            let schedules = open(&folder);
            assert_eq!(schedules.known().unwrap(), Known::default());
            schedules.declare(&["a/x".into(), "a/y".into()]).unwrap();
            schedules.pause("a/x", true).unwrap();
            schedules.pause("a/y", true).unwrap();
            schedules.pause("a/y", false).unwrap();
            schedules.record("a/x", &run(now)).unwrap();
            schedules.record("a/x", &run(now + 1)).unwrap();
        }
        let schedules = open(&folder);
        let known = schedules.known().unwrap();
        assert_eq!(known.paused, BTreeSet::from(["a/x".to_owned()]));
        assert_eq!(known.last, BTreeMap::from([("a/x".to_owned(), run(now + 1))]));
        // To declare one again does not resume it.
        schedules.declare(&["a/x".into()]).unwrap();
        assert!(schedules.known().unwrap().paused.contains("a/x"));
        assert_eq!(ats(&schedules, "a/x", 50), [now, now + 1]);
        assert_eq!(ats(&schedules, "a/x", 1), [now + 1]);
        assert_eq!(schedules.runs(&["a/y".into()], 50).unwrap(), BTreeMap::new());
    }

    #[test]
    fn the_newest_calls_are_kept_of_each_schedule() {
        let folder = tempfile::tempdir().unwrap();
        let schedules = open(&folder);
        let now = now_ms();
        schedules.record("other/x", &run(now)).unwrap();
        // The order is that in which they came, whatever the clock said.
        for back in 0..u64::from(RUNS) + 7 {
            schedules.record("a/x", &run(now - back)).unwrap();
        }
        let kept: Vec<u64> = (7..u64::from(RUNS) + 7).map(|back| now - back).collect();
        assert_eq!(ats(&schedules, "a/x", 1000), kept);
        assert_eq!(ats(&schedules, "other/x", 1000), [now]);
    }

    #[test]
    fn old_calls_go_unless_their_schedule_was_declared_last_time() {
        let folder = tempfile::tempdir().unwrap();
        let now = now_ms();
        let old = now - UNDECLARED - 60_000;
        {
            let schedules = open(&folder);
            schedules.declare(&["yearly/x".into(), "gone/x".into()]).unwrap();
            schedules.pause("gone/x", true).unwrap();
            for id in ["yearly/x", "gone/x"] {
                schedules.record(id, &run(old)).unwrap();
                schedules.record(id, &run(now)).unwrap();
            }
        }
        {
            // A start in which nothing was declared, because it ended too early, does not count.
            assert_eq!(ats(&open(&folder), "gone/x", 50), [old, now]);
            let schedules = open(&folder);
            assert_eq!(ats(&schedules, "gone/x", 50), [old, now]);
            schedules.declare(&["yearly/x".into()]).unwrap();
        }
        let schedules = open(&folder);
        assert_eq!(ats(&schedules, "yearly/x", 50), [old, now]);
        assert_eq!(ats(&schedules, "gone/x", 50), [now]);
        assert!(schedules.known().unwrap().paused.contains("gone/x"));
    }

    #[test]
    fn what_cannot_be_read_does_not_hide_what_is_paused() {
        let folder = tempfile::tempdir().unwrap();
        let schedules = open(&folder);
        schedules.pause("a/x", true).unwrap();
        let strange = "INSERT INTO schedule_runs (id, at, run) VALUES ('a/x', 1, '[]')";
        schedules.sql().execute(strange, []).unwrap();
        let known = schedules.known().unwrap();
        assert!(known.paused.contains("a/x") && known.last.is_empty());
        assert!(schedules.runs(&["a/x".into()], 50).unwrap().is_empty());
    }
}

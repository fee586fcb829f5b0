//! The SQLite database that the module registry and the history share: opened, checked, migrated, or moved aside.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::error::{Error, ErrorCode};
use rusqlite::{Connection, ErrorCode as Sqlite, OpenFlags};

use crate::Result;

const FILE: &str = "hero_runner.db";

/// `user_version` of a database that this build writes. Version 0 is an empty file.
const VERSION: i64 = 3;

/// How long a connection waits for another one's write transaction.
const BUSY: Duration = Duration::from_secs(5);

/// The size of a page in bytes. Larger pages take large blocks of a log faster; smaller ones make small commits
/// cheaper. This is between the two, by measurement.
pub(crate) const PAGE: u32 = 8192;

/// The tables of version 1.
const SCHEMA: &str = include_str!("schema.sql");

/// What version 2 added: templates, each as its request in JSON.
const TEMPLATES: &str = "CREATE TABLE templates (name TEXT PRIMARY KEY, spec TEXT NOT NULL) WITHOUT ROWID;";

/// What version 3 added: schedules, whether each is paused and in which start of the server it was declared last;
/// and their calls, each in JSON.
const SCHEDULES: &str = "
    CREATE TABLE schedules (id TEXT PRIMARY KEY, paused INTEGER NOT NULL, declared INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE schedule_runs (no INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, run TEXT NOT NULL);
    CREATE INDEX schedule_runs_by_id ON schedule_runs (id, no);";

/// What each version added, in order.
const STEPS: [&str; 3] = [SCHEMA, TEMPLATES, SCHEDULES];

/// A database that was opened, checked and brought to this build's schema. Connections are made from it.
#[derive(Debug)]
pub struct Database {
    state_dir: PathBuf,
    path: PathBuf,
    quarantined: Option<PathBuf>,
}

impl Database {
    /// Opens `hero_runner.db` in the state folder and makes both where they are missing (0700, 0600).
    ///
    /// A database that SQLite cannot read is renamed to `hero_runner.db.broken-<seconds>` and a fresh one begun;
    /// [`Self::quarantined`] tells. Touches the disk.
    ///
    /// # Errors
    /// `invalid_state` when a newer build wrote the database, `resource_exhausted` when the disk is full,
    /// `internal` when the folder or the file cannot be used.
    pub fn open(state_dir: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(|e| io_error(state_dir, &e))?;
        let path = state_dir.join(FILE);
        let mut database = Self { state_dir: state_dir.to_owned(), path, quarantined: None };
        let doubted = database.damage_marker().exists();
        match database.prepare() {
            Ok(()) if !doubted => {}
            Ok(()) => database.start_afresh()?,
            Err(Trouble::Sql(failure)) if is_damage(&failure) => database.start_afresh()?,
            Err(trouble) => return Err(database.explain(trouble)),
        }
        Ok(database)
    }

    /// Where a damaged database was moved to when this one was opened.
    #[must_use]
    pub fn quarantined(&self) -> Option<&Path> {
        self.quarantined.as_deref()
    }

    /// The folder that holds the database, the modules and the artifacts.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The database's file; `-wal` and `-shm` lie beside it while it is open.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that can write.
    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        // NORMAL: a commit survives the death of the process; after a power cut the last commits may be missing,
        // but nothing is torn. FULL would pay an fsync for each commit.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    /// A connection that cannot write.
    pub(crate) fn connect_reader(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect()?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// The file whose presence says that a running server met damage: the next open moves the database aside.
    pub(crate) fn damage_marker(&self) -> PathBuf {
        self.path.with_extension("db.damaged")
    }

    fn start_afresh(&mut self) -> Result<()> {
        self.quarantine()?;
        self.prepare().map_err(|trouble| self.explain(trouble))
    }

    fn prepare(&self) -> Result<(), Trouble> {
        let mut connection = self.connect()?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > VERSION {
            return Err(Trouble::Newer(version));
        }
        if version == 0 {
            // These hold only when they are set before the first table is made.
            connection.pragma_update(None, "page_size", PAGE)?;
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        for (to, step) in (1..).zip(STEPS).filter(|(to, _)| *to > version) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", to)?;
            transaction.commit()?;
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600)).map_err(Trouble::File)?;
        look_through(&connection).map_err(Trouble::Sql)
    }

    fn quarantine(&mut self) -> Result<()> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let mut aside = self.path.with_extension(format!("db.broken-{seconds}"));
        let mut attempt = 0;
        while aside.exists() {
            attempt += 1;
            aside = self.path.with_extension(format!("db.broken-{seconds}-{attempt}"));
        }
        // The log goes along under the name that SQLite would look for, so that the pair can be examined.
        for suffix in ["", "-wal", "-shm"] {
            let from = with_suffix(&self.path, suffix);
            match fs::rename(&from, with_suffix(&aside, suffix)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(&from, &e)),
                _ => {}
            }
        }
        let marker = self.damage_marker();
        match fs::remove_file(&marker) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(&marker, &e)),
            _ => {}
        }
        self.quarantined = Some(aside);
        Ok(())
    }

    fn explain(&self, trouble: Trouble) -> Error {
        let path = self.path.display();
        match trouble {
            Trouble::Newer(version) => Error::new(
                ErrorCode::InvalidState,
                format!(
                    "{path} was written by a newer hero_runner (its schema is {version}, this build knows {VERSION})"
                ),
            ),
            Trouble::File(failure) => io_error(&self.path, &failure),
            Trouble::Sql(failure) => {
                let error = sql_error(&failure);
                Error::new(error.code, format!("{path}: {}", error.message))
            }
        }
    }
}

/// Why a database could not be prepared.
enum Trouble {
    /// A newer build wrote it, with this version of the schema.
    Newer(i64),
    File(io::Error),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(failure: rusqlite::Error) -> Self {
        Self::Sql(failure)
    }
}

/// Reads the ends of every table, so that damage shows now and not in the middle of a session. A full check
/// would read the whole file and hold up the start.
fn look_through(connection: &Connection) -> rusqlite::Result<()> {
    for table in ["names", "contents", "artifacts", "sources", "logs", "schedules", "schedule_runs"] {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))?;
    }
    let ends = "SELECT (SELECT info FROM records ORDER BY no LIMIT 1), \
                (SELECT info FROM records ORDER BY no DESC LIMIT 1), \
                (SELECT length(body) FROM blocks ORDER BY no LIMIT 1), \
                (SELECT length(body) FROM blocks ORDER BY no DESC LIMIT 1)";
    connection.query_row(ends, [], |_| Ok(()))
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether SQLite says that the file itself is wrong (and not the disk, a lock or a statement). A table that is
/// missing although the version says that it exists counts too: somebody else's database has our name.
pub(crate) fn is_damage(failure: &rusqlite::Error) -> bool {
    match failure {
        rusqlite::Error::SqliteFailure(code, message) => match code.code {
            Sqlite::DatabaseCorrupt | Sqlite::NotADatabase => true,
            Sqlite::Unknown => message.as_deref().is_some_and(|m| {
                m.starts_with("no such table")
                    || m.starts_with("no such column")
                    || m.contains("already exists")
            }),
            _ => false,
        },
        rusqlite::Error::SqlInputError { msg, .. } => {
            msg.starts_with("no such table") || msg.starts_with("no such column")
        }
        _ => false,
    }
}

/// An error of SQLite as a row of the public table.
pub(crate) fn sql_error(failure: &rusqlite::Error) -> Error {
    let code = match failure.sqlite_error_code() {
        Some(Sqlite::DiskFull | Sqlite::OutOfMemory) => ErrorCode::ResourceExhausted,
        _ => ErrorCode::Internal,
    };
    Error::new(code, format!("the database failed: {failure}"))
}

/// An error of a file as a row of the public table.
pub(crate) fn io_error(path: &Path, failure: &io::Error) -> Error {
    use io::ErrorKind as Kind;
    let code = match failure.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::OutOfMemory => ErrorCode::ResourceExhausted,
        _ => match failure.raw_os_error() {
            // EMFILE and ENFILE: the same numbers on Linux, macOS and the BSDs.
            Some(23 | 24) => ErrorCode::ResourceExhausted,
            _ => ErrorCode::Internal,
        },
    };
    Error::new(code, format!("{}: {failure}", path.display()))
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_database_is_private_and_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("deep/state");
        let first = Database::open(&state).unwrap();
        assert_eq!(first.quarantined(), None);
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Database::open(&state).unwrap().quarantined(), None);
    }

    #[test]
    fn an_older_database_is_brought_here_with_what_it_holds() {
        for version in 1..STEPS.len() {
            let dir = tempfile::tempdir().unwrap();
            let older = Connection::open(dir.path().join(FILE)).unwrap();
            for step in &STEPS[..version] {
                older.execute_batch(step).unwrap();
            }
            older
                .execute("INSERT INTO names (name, digest, created_at) VALUES ('kept', 'd', 1)", [])
                .unwrap();
            older.pragma_update(None, "user_version", version).unwrap();
            drop(older);

            let database = Database::open(dir.path()).unwrap();
            assert_eq!(database.quarantined(), None, "from version {version}");
            let connection = database.connect().unwrap();
            let now: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(now, VERSION);
            let name: String = connection.query_row("SELECT name FROM names", [], |row| row.get(0)).unwrap();
            assert_eq!(name, "kept");
            connection.execute("INSERT INTO templates (name, spec) VALUES ('t', '{}')", []).unwrap();
            connection
                .execute("INSERT INTO schedule_runs (id, at, run) VALUES ('s/r', 1, '{}')", [])
                .unwrap();
        }
    }

    #[test]
    fn a_newer_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = Database::open(dir.path()).unwrap();
        first.connect().unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = Database::open(dir.path()).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidState);
        assert!(error.message.contains("newer hero_runner"), "{error}");
        assert!(first.path().exists());
    }

    #[test]
    fn damage_is_moved_aside_and_never_deleted() {
        let garbage: [&[u8]; 2] = [&[0xA5; 20_000], b"not a database"];
        for content in garbage {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(FILE), content).unwrap();
            let database = Database::open(dir.path()).unwrap();
            let aside = database.quarantined().expect("moved aside");
            assert_eq!(fs::read(aside).unwrap(), content);
            assert_eq!(Database::open(dir.path()).unwrap().quarantined(), None);
        }
    }

    #[test]
    fn the_marker_of_a_running_server_moves_the_database_aside() {
        let dir = tempfile::tempdir().unwrap();
        let first = Database::open(dir.path()).unwrap();
        fs::write(first.damage_marker(), "").unwrap();
        assert!(Database::open(dir.path()).unwrap().quarantined().is_some());
        assert_eq!(Database::open(dir.path()).unwrap().quarantined(), None);
    }

    #[test]
    fn a_database_of_somebody_else_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let other = Connection::open(dir.path().join(FILE)).unwrap();
        other.execute_batch("CREATE TABLE t(x); PRAGMA user_version = 2").unwrap();
        drop(other);
        assert!(Database::open(dir.path()).unwrap().quarantined().is_some());
    }
}

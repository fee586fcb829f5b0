//! Modules from files on this host: a folder of guests is registered again at every start, and read only where
//! something changed.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use api::error::{Error, ErrorCode};
use api::module::ModuleInfo;
use rusqlite::{Connection, OptionalExtension, params};

use super::Modules;
use super::index::check_name;
use crate::Result;
use crate::database::{io_error, now_ms, sql_error};

/// A file that changed less than this ago may change again without its time showing it (a file system's clock
/// is coarse); it is read again next time.
const FRESH_NS: i64 = 2_000_000_000;

/// How a file was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The module under its name.
    pub info: ModuleInfo,
    /// Whether the name points to something else than before.
    pub changed: bool,
}

/// A file of a folder and what came of it.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// How it was registered, or why not.
    pub outcome: Result<Registration>,
}

/// What a file looked like from outside when it was read. The time is that of the last change of anything
/// (ctime), which no program can set.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    size: u64,
    changed_ns: i64,
    device: i64,
    inode: i64,
}

impl Look {
    fn of(file: &Metadata) -> Self {
        Self {
            size: file.len(),
            changed_ns: file.ctime().saturating_mul(1_000_000_000).saturating_add(file.ctime_nsec()),
            // Identities, not quantities: the bits are what counts.
            device: file.dev().cast_signed(),
            inode: file.ino().cast_signed(),
        }
    }
}

impl Modules {
    /// Registers a file of this host under a name. A file that looks as it did the last time is not read.
    /// Touches the disk.
    ///
    /// # Errors
    /// `name_invalid`, `path_not_allowed` when it is no readable file, `too_large`, and all errors of
    /// [`super::Upload::finish`]. Messages begin with the path.
    pub fn put_path(&self, name: &str, path: &Path) -> Result<Registration> {
        self.register(name, path)
            .map_err(|error| Error::new(error.code, format!("{}: {}", path.display(), error.message)))
    }

    /// Registers every `*.wasm` of a folder under its file's stem, in the order of the names. A file that is
    /// refused is reported and does not stop the others. Touches the disk.
    ///
    /// # Errors
    /// `path_not_allowed` when the folder cannot be read.
    pub fn register_dir(&self, folder: &Path) -> Result<Vec<Found>> {
        let failed =
            |e: std::io::Error| Error::new(ErrorCode::PathNotAllowed, format!("{}: {e}", folder.display()));
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                paths.push(path);
            }
        }
        paths.sort();
        let register = |path: PathBuf| {
            // A stem that is not text cannot be a name; the replacement character says so in the message.
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Found { outcome: self.put_path(&stem, &path), path }
        };
        Ok(paths.into_iter().map(register).collect())
    }

    fn register(&self, name: &str, path: &Path) -> Result<Registration> {
        check_name(name)?;
        let unreadable = |e: std::io::Error| Error::new(ErrorCode::PathNotAllowed, e.to_string());
        let before = fs::metadata(path).map_err(unreadable)?;
        if !before.is_file() {
            return Err(Error::new(ErrorCode::PathNotAllowed, "not a file"));
        }
        let before = Look::of(&before);
        let earlier = self.index().names.get(name).map(|entry| entry.digest.clone());
        if let Some(digest) = self.unchanged(path, &before)? {
            {
                let sql = self.registry();
                self.set_name(&sql, name, &digest)?;
                self.sweep(&sql)?;
            }
            return self.registration(name, earlier.as_deref());
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let mut upload = self.upload(Some(name))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = file.read(&mut buffer).map_err(|e| io_error(path, &e))?;
            if length == 0 {
                break;
            }
            upload.write(&buffer[..length])?;
        }
        let detail = upload.finish(None)?;
        let after = Look::of(&file.metadata().map_err(|e| io_error(path, &e))?);
        let now_ns = i64::try_from(now_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        if after == before && now_ns.saturating_sub(after.changed_ns) > FRESH_NS {
            remember(&self.registry(), path, &after, &detail.info.digest).map_err(|e| sql_error(&e))?;
        }
        self.registration(name, earlier.as_deref())
    }

    /// The digest of a file that looks as it did when it was read, if that content is still here.
    fn unchanged(&self, path: &Path, look: &Look) -> Result<Option<String>> {
        let known = recall(&self.registry(), path).map_err(|e| sql_error(&e))?;
        let index = self.index();
        Ok(known
            .filter(|(earlier, _)| earlier == look)
            .map(|(_, digest)| digest)
            .filter(|digest| index.contents.get(digest.as_str()).is_some_and(|content| content.present)))
    }

    fn registration(&self, name: &str, earlier: Option<&str>) -> Result<Registration> {
        let info = self.index().named(name).ok_or_else(|| {
            Error::new(ErrorCode::ModuleNotFound, format!("module {name:?} was removed meanwhile"))
        })?;
        Ok(Registration { changed: earlier != Some(info.digest.as_str()), info })
    }
}

fn recall(sql: &Connection, path: &Path) -> rusqlite::Result<Option<(Look, String)>> {
    sql.prepare_cached("SELECT size, changed_ns, device, inode, digest FROM sources WHERE path = ?1")?
        .query_row([path.as_os_str().as_bytes()], |row| {
            let look =
                Look { size: row.get(0)?, changed_ns: row.get(1)?, device: row.get(2)?, inode: row.get(3)? };
            Ok((look, row.get(4)?))
        })
        .optional()
}

fn remember(sql: &Connection, path: &Path, look: &Look, digest: &str) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "INSERT OR REPLACE INTO sources (path, size, changed_ns, device, inode, digest) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        path.as_os_str().as_bytes(),
        look.size,
        look.changed_ns,
        look.device,
        look.inode,
        digest
    ])
    .map(drop)
}

//! The versions of services that were deployed, on the disk.
//!
//! `versions/<service>/<n>/` has the package's files in `package`, what it declares in `service.json` and, once it has been
//! ready, what is known of it in `version.json`; `versions/<service>/current` has the number of the one that serves. Each
//! of these gets its name when it is whole and on the disk, so whatever moment the server dies at, either the version of
//! before serves after that, or the new one. What has no `version.json`, or begins with a dot, is what was left behind.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::error::{Error, ErrorCode};
use api::service::{ServiceSpec, ServiceVersion};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::declaration::{Declaration, FILE, Fault, check, is_name, parse};
use crate::deploy::Kept;

const FILES: &str = "package";
const DECLARED: &str = "service.json";
const RECORD: &str = "version.json";
const CURRENT: &str = "current";

/// What a version declares, or the file that is wrong and why.
pub(crate) type Declared = Result<Declaration, (PathBuf, Fault)>;

/// What is kept of a version beside its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) version: ServiceVersion,
    /// Its modules by their digests, each with its file in the package.
    pub(crate) modules: BTreeMap<String, String>,
}

/// The folder of all versions.
#[derive(Debug, Clone)]
pub(crate) struct Versions {
    dir: PathBuf,
}

/// A folder in the making; all of it is gone with this, unless it was given its place.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) dir: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub(crate) fn failed(path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::ResourceExhausted,
        _ => ErrorCode::Internal,
    };
    Error::new(code, format!("{}: {error}", path.display()))
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(|error| failed(folder, &error))
}

impl Versions {
    /// Opens the folder and removes what a crash left in it.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub(crate) fn open(state_dir: &Path) -> io::Result<Self> {
        let dir = state_dir.join("versions");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let versions = Self { dir };
        for entry in fs::read_dir(&versions.dir)?.flatten() {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                remove(&entry.path());
            } else if let Some(name) = name.to_str() {
                versions.sweep(name);
            }
        }
        Ok(versions)
    }

    /// Removes what is no version of a service.
    fn sweep(&self, name: &str) {
        let folder = self.dir.join(name);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if hidden || (path.is_dir() && !path.join(RECORD).is_file()) {
                tracing::warn!(path = %path.display(), "a version that was never ready is removed");
                remove(&path);
            }
        }
        // Only when it is empty.
        let _ = fs::remove_dir(&folder);
    }

    /// A folder for a package that is on its way.
    pub(crate) fn stage(&self) -> Result<Staged> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let dir = self.dir.join(format!(".new-{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&dir).map_err(|error| failed(&dir, &error))?;
        Ok(Staged { dir })
    }

    /// Makes a staged package, unpacked in `files`, the next version of a service; it does not serve yet. Its number.
    pub(crate) fn place(&self, staged: &Path, files: &Path, name: &str, spec: &ServiceSpec) -> Result<u64> {
        let folder = self.dir.join(name);
        let next = self.numbers(name).last().map_or(1, |last| last + 1);
        let place = folder.join(next.to_string());
        let version = staged.join("version");
        let move_ = |from: &Path, to: &Path| fs::rename(from, to).map_err(|error| failed(to, &error));
        fs::create_dir(&version).map_err(|error| failed(&version, &error))?;
        move_(files, &version.join(FILES))?;
        let text = serde_json::to_vec_pretty(spec);
        let text = text.map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?;
        Kept::write(&version.join(DECLARED), &text)?.keep()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| failed(&folder, &e))?;
        move_(&version, &place)?;
        sync(&folder)?;
        sync(&self.dir)?;
        Ok(next)
    }

    /// What a version declares. Relative folders are those of its package.
    pub(crate) fn declared(&self, name: &str, version: u64) -> Declared {
        let folder = self.dir.join(name).join(version.to_string());
        let (file, files) = (folder.join(DECLARED), folder.join(FILES));
        let read = || {
            let text = fs::read_to_string(&file).map_err(|error| (None, error.to_string()))?;
            // As if it stood in its package, for the sake of relative folders.
            check(name, &files.join(FILE), parse(&text)?)
        };
        match read() {
            Ok(declaration) => Ok(Declaration { file, version: Some(version), ..declaration }),
            Err(fault) => Err((file, fault)),
        }
    }

    /// What is declared by the versions that serve.
    pub(crate) fn current_ones(&self) -> Vec<(String, Declared)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_name(name))
            .collect();
        names.sort();
        let serving = names.into_iter().filter_map(|name| self.current(&name).map(|version| (name, version)));
        serving.map(|(name, version)| (name.clone(), self.declared(&name, version))).collect()
    }

    /// The number of the version that serves.
    pub(crate) fn current(&self, name: &str) -> Option<u64> {
        fs::read_to_string(self.dir.join(name).join(CURRENT)).ok()?.trim().parse().ok()
    }

    /// Writes that this version serves; it holds when that is kept.
    pub(crate) fn prepare_current(&self, name: &str, version: u64) -> Result<Kept> {
        Kept::write(&self.dir.join(name).join(CURRENT), format!("{version}\n").as_bytes())
    }

    /// Writes what is known of a version; it is one when that is kept.
    pub(crate) fn prepare_record(&self, name: &str, record: &Record) -> Result<Kept> {
        let text = serde_json::to_vec_pretty(record);
        let text = text.map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?;
        Kept::write(&self.dir.join(name).join(record.version.version.to_string()).join(RECORD), &text)
    }

    /// From now on none of the versions serves; they stay.
    pub(crate) fn forget_current(&self, name: &str) -> Result<()> {
        let file = self.dir.join(name).join(CURRENT);
        match fs::remove_file(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&file, &error)),
            Ok(()) => sync(&self.dir.join(name)),
        }
    }

    /// The numbers of all that lies there, in order.
    fn numbers(&self, name: &str) -> Vec<u64> {
        let entries = fs::read_dir(self.dir.join(name)).into_iter().flatten().flatten();
        let mut numbers: Vec<u64> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The versions of a service, newest first.
    pub(crate) fn list(&self, name: &str) -> Vec<Record> {
        if !is_name(name) {
            return Vec::new();
        }
        let current = self.current(name);
        let read = |number: u64| -> Option<Record> {
            let text = fs::read(self.dir.join(name).join(number.to_string()).join(RECORD)).ok()?;
            let mut record: Record = serde_json::from_slice(&text).ok()?;
            record.version.current = current == Some(number);
            Some(record)
        };
        self.numbers(name).into_iter().rev().filter_map(read).collect()
    }

    /// All versions of all services.
    pub(crate) fn all(&self) -> Vec<Record> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.flat_map(|name| self.list(&name)).collect()
    }

    /// A file of a version's package.
    pub(crate) fn file(&self, name: &str, version: u64, inner: &str) -> PathBuf {
        self.dir.join(name).join(version.to_string()).join(FILES).join(inner)
    }

    /// Removes one version; first its name, so that no half of it is taken for a version.
    pub(crate) fn remove_one(&self, name: &str, version: u64) {
        let folder = self.dir.join(name);
        let hidden = folder.join(format!(".gone-{version}"));
        if fs::rename(folder.join(version.to_string()), &hidden).is_ok() {
            remove(&hidden);
        }
        // Only when it was the last one.
        let _ = fs::remove_dir(&folder);
    }

    /// Removes all versions of a service.
    ///
    /// # Errors
    /// When they cannot be taken from their place.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let (folder, hidden) = (self.dir.join(name), self.dir.join(format!(".gone-{name}")));
        match fs::rename(&folder, &hidden) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(&folder, &error)),
            Ok(()) => {}
        }
        sync(&self.dir)?;
        remove(&hidden);
        Ok(())
    }
}

/// What cannot be removed now is removed at the next start.
fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ServiceSpec {
        serde_json::from_value(serde_json::json!({
            "prefix": "a", "port": "auto", "module": "sha256:00", "permissions": { "fs": "read" }
        }))
        .expect("a declaration")
    }

    fn record(version: u64) -> Record {
        let version = ServiceVersion {
            version,
            label: None,
            deployed_at: 1,
            current: false,
            sha256: "00".to_owned(),
            size: 1,
            digest: "sha256:00".to_owned(),
        };
        Record { version, modules: BTreeMap::new() }
    }

    fn placed(versions: &Versions) -> u64 {
        let staged = versions.stage().unwrap();
        let files = staged.dir.join("files");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("x"), "1").unwrap();
        versions.place(&staged.dir, &files, "a", &spec()).unwrap()
    }

    #[test]
    fn a_version_is_one_when_its_record_is_there_and_serves_when_the_current_one_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let versions = Versions::open(dir.path()).unwrap();
        assert_eq!(placed(&versions), 1);
        versions.prepare_record("a", &record(1)).unwrap().keep().unwrap();
        assert!(versions.current_ones().is_empty());
        versions.prepare_current("a", 1).unwrap().keep().unwrap();
        let declared = versions.declared("a", 1).unwrap();
        assert_eq!((declared.version, declared.file.ends_with("a/1/service.json")), (Some(1), true));
        let grant = &declared.spec.dirs[0];
        assert!(grant.host.ends_with("a/1/package") && grant.guest.as_deref() == Some("/"), "{grant:?}");

        // A crash now: the second was not ready yet, and a third is being unpacked.
        assert_eq!(placed(&versions), 2);
        let record_of_2 = versions.prepare_record("a", &record(2)).unwrap();
        let staged = versions.stage().unwrap();
        std::mem::forget((record_of_2, staged));
        let versions = Versions::open(dir.path()).unwrap();
        assert_eq!(versions.numbers("a"), [1]);
        assert!(versions.list("a")[0].version.current);
        let left = fs::read_dir(dir.path().join("versions")).unwrap().count();
        assert_eq!(left, 1, "what was staged is gone");

        assert_eq!(placed(&versions), 2);
        versions.prepare_record("a", &record(2)).unwrap().keep().unwrap();
        versions.prepare_current("a", 2).unwrap().keep().unwrap();
        let listed: Vec<_> =
            versions.list("a").iter().map(|r| (r.version.version, r.version.current)).collect();
        assert_eq!(listed, [(2, true), (1, false)]);
        versions.remove_one("a", 1);
        assert_eq!(versions.numbers("a"), [2]);
        versions.remove("a").unwrap();
        assert!(versions.all().is_empty() && versions.current("a").is_none());
    }
}

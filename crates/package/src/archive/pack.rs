//! Packing: the same files make the same bytes, so that the same package has the same sum.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

use super::{Error, Limits, MAX_DEPTH, inside};

/// The files of a package by their paths in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    files: BTreeMap<String, PathBuf>,
    bytes: u64,
}

impl Files {
    /// Takes all regular files below a folder, but those whose names, or a folder's on their way, begin with a dot.
    /// Touches the disk.
    ///
    /// # Errors
    /// [`Error::Refused`] for links, devices and names that no package may have, [`Error::TooLarge`], [`Error::Io`].
    pub fn below(folder: &Path, limits: Limits) -> Result<Self, Error> {
        let mut files = Self::default();
        files.walk(folder, "", 1, limits)?;
        Ok(files)
    }

    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize, limits: Limits) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::refused(prefix.as_bytes(), "lies too deep"));
        }
        for entry in fs::read_dir(folder).map_err(|error| Error::io(folder, error))? {
            let entry = entry.map_err(|error| Error::io(folder, error))?;
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else {
                return Err(Error::refused(name.as_encoded_bytes(), "is not UTF-8"));
            };
            if name.starts_with('.') {
                continue;
            }
            let inner = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|error| Error::io(&path, error))?;
            if kind.is_dir() {
                self.walk(&path, &format!("{inner}/"), depth + 1, limits)?;
            } else if kind.is_file() {
                self.add(&inner, path, limits)?;
            } else {
                let why = "is neither a regular file nor a folder: leave it out, or put a copy in its place";
                return Err(Error::refused(inner.as_bytes(), why));
            }
        }
        Ok(())
    }

    /// Takes a file under its path in the package. Touches the disk.
    ///
    /// # Errors
    /// As for [`Files::below`].
    pub fn add(&mut self, inner: &str, path: PathBuf, limits: Limits) -> Result<(), Error> {
        inside(inner.as_bytes())?;
        let size = fs::metadata(&path).map_err(|error| Error::io(&path, error))?.len();
        if size > limits.file_bytes {
            let most = limits.file_bytes;
            return Err(Error::TooLarge(format!("{inner:?} has {size} bytes; {most} may be")));
        }
        if self.files.insert(inner.to_owned(), path).is_none() {
            self.bytes += size;
        }
        if self.bytes > limits.bytes || self.files.len() as u64 > limits.files {
            let Limits { bytes, files, .. } = limits;
            return Err(Error::TooLarge(format!("the package has more than {bytes} bytes or {files} files")));
        }
        Ok(())
    }

    /// Leaves files out.
    pub fn retain(&mut self, which: impl Fn(&str) -> bool) {
        self.files.retain(|inner, _| which(inner));
    }

    /// Their paths in the package, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

/// Writes files as a tar.gz: in the order of their names, without times, owners and modes of their own. Touches the disk.
///
/// # Errors
/// [`Error::Io`] when a file cannot be read or the archive not be written; [`Error::Refused`] when a file changes meanwhile.
pub fn pack(files: &Files, into: impl Write) -> Result<(), Error> {
    let out = |error: io::Error| Error::io(Path::new("the archive"), error);
    let gzip = GzBuilder::new().mtime(0).write(into, Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (inner, path) in &files.files {
        let failed = |error: io::Error| Error::io(path, error);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(size);
        header.set_mtime(0);
        let mut counted = Exact { inner: file.take(size), left: size };
        archive.append_data(&mut header, inner, &mut counted).map_err(|error| match counted.left {
            0 => out(error),
            _ => Error::refused(inner.as_bytes(), format!("cannot be packed: {error}")),
        })?;
    }
    let mut inner = archive.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(out)?;
    inner.flush().map_err(out)
}

/// A file that has to be as long as it was: what follows it in the archive would be read as part of it.
struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.left -= got as u64;
        if got == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter meanwhile"));
        }
        Ok(got)
    }
}

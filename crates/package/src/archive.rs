//! Archives of packages: tar, tar.gz and zip, packed the same way every time, and unpacked without trusting them.
//!
//! A package has regular files and folders only. What else an archive holds, and every name that leaves its folder, is
//! refused; sizes are counted while they come, whatever the headers say.

mod pack;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};

pub use pack::{Files, pack};
pub use unpack::{Unpacked, unpack};

/// The most folders on the way to a file, the file itself among them.
pub const MAX_DEPTH: usize = 16;
/// The longest path in an archive, in bytes.
pub const MAX_PATH: usize = 512;
/// What an archive may unpack to beyond [`Limits::ratio`]: small files of one byte over and over are no bomb.
const RATIO_SLACK: u64 = 4 << 20;

/// How much may be in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files and folders together.
    pub files: u64,
    /// How many bytes may come out of one byte that went in.
    pub ratio: u64,
}

impl Limits {
    /// Limits for archives of so many bytes: four times as many unpacked, 4096 files and folders, 200 to 1.
    #[must_use]
    pub fn of(archive_bytes: u64) -> Self {
        let bytes = archive_bytes.saturating_mul(4);
        Self { bytes, file_bytes: bytes, files: 4096, ratio: 200 }
    }
}

/// How an archive is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// tar.
    Tar,
    /// tar, compressed by gzip.
    TarGz,
    /// zip.
    Zip,
}

impl Format {
    /// The format by the first bytes of an archive; 512 of them are enough.
    #[must_use]
    pub fn sniff(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Some(Self::Zip);
        }
        if head.starts_with(b"\x1f\x8b") {
            return Some(Self::TarGz);
        }
        (head.get(257..262) == Some(b"ustar")).then_some(Self::Tar)
    }

    /// The format by a file's name.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        [(".tar.gz", Self::TarGz), (".tgz", Self::TarGz), (".tar", Self::Tar), (".zip", Self::Zip)]
            .into_iter()
            .find_map(|(end, format)| name.ends_with(end).then_some(format))
    }

    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Tar => "application/x-tar",
            Self::TarGz => "application/gzip",
            Self::Zip => "application/zip",
        }
    }

    /// Whether a media type stands for one of the formats, or for bytes of any kind.
    #[must_use]
    pub fn takes(media_type: &str) -> bool {
        let known = [
            "application/x-tar",
            "application/tar",
            "application/gzip",
            "application/x-gzip",
            "application/x-tgz",
            "application/zip",
            "application/x-zip-compressed",
            "application/octet-stream",
        ];
        let bare = media_type.split(';').next().unwrap_or_default().trim();
        known.iter().any(|one| one.eq_ignore_ascii_case(bare))
    }
}

/// Why an archive is not packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It holds more than the limits allow.
    #[error("{0}")]
    TooLarge(String),
    /// It holds something that no package may have.
    #[error("{entry:?} {why}")]
    Refused {
        /// Its name in the archive.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is no archive, or not whole.
    #[error("the archive cannot be read: {0}")]
    Broken(String),
    /// A file or folder of this machine failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    fn refused(entry: &[u8], why: impl Into<String>) -> Self {
        let entry: String = String::from_utf8_lossy(entry).chars().take(200).collect();
        Self::Refused { entry, why: why.into() }
    }

    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// The name of an entry as a path below the package's folder; empty for the folder itself.
fn inside(name: &[u8]) -> Result<PathBuf, Error> {
    let refused = |why: &str| Error::refused(name, why);
    let text = std::str::from_utf8(name).map_err(|_| refused("is not UTF-8"))?;
    if text.len() > MAX_PATH {
        return Err(refused("is longer than a path in a package may be"));
    }
    if text.starts_with('/') {
        return Err(refused("is an absolute path"));
    }
    if text.contains(|letter: char| letter == '\\' || letter.is_control()) {
        return Err(refused("has a backslash or a control character in its name"));
    }
    let mut path = PathBuf::new();
    let bare = text.strip_suffix('/').unwrap_or(text);
    for (index, segment) in bare.split('/').enumerate() {
        match segment {
            // What `tar -C folder .` writes before each name.
            "." if index == 0 => {}
            ".." => return Err(refused("leaves the package's folder")),
            "" | "." => return Err(refused("has an empty segment in its path")),
            segment if segment.len() > 255 => return Err(refused("has a segment of more than 255 bytes")),
            segment => path.push(segment),
        }
    }
    if path.components().count() > MAX_DEPTH {
        return Err(refused("lies too deep"));
    }
    Ok(path)
}

#[cfg(test)]
#[path = "archive/tests.rs"]
mod tests;

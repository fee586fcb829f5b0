//! Unpacking into a fresh folder.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use tar::EntryType;
use zip::read::{ZipArchive, ZipReadOptions};

use super::{Error, Format, Limits, RATIO_SLACK, inside};

/// The most bytes that may stand between the contents of two files in a tar: long names and extended fields are read
/// into memory.
const BETWEEN: u64 = 256 << 10;

/// What came out of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files and folders that were named.
    pub files: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Unpacks an archive, whose format its first bytes tell, into a folder that exists and is empty. When this returns, all of
/// it is on the disk; after an error the folder is to be removed. Touches the disk.
///
/// # Errors
/// [`Error::TooLarge`] as soon as a limit is passed, [`Error::Refused`] for an entry that no package may have,
/// [`Error::Broken`] for what is no archive or not whole, [`Error::Io`] when the disk fails.
pub fn unpack(archive: &mut File, into: &Path, limits: Limits) -> Result<Unpacked, Error> {
    let rewind = |archive: &mut File| archive.seek(SeekFrom::Start(0)).map_err(|e| broken(&e));
    rewind(archive)?;
    let mut head = Vec::new();
    Read::by_ref(archive).take(512).read_to_end(&mut head).map_err(|error| broken(&error))?;
    let format = Format::sniff(&head)
        .ok_or_else(|| Error::Broken("it is neither tar, nor tar.gz, nor zip".to_owned()))?;
    let size = archive.metadata().map_err(|error| broken(&error))?.len();
    rewind(archive)?;
    let mut sink = Sink { into, limits, size, folders: vec![into.to_owned()], done: Unpacked::default() };
    match format {
        Format::Tar => tar(archive, &mut sink)?,
        Format::TarGz => tar(MultiGzDecoder::new(BufReader::new(archive)), &mut sink)?,
        Format::Zip => zip(archive, &mut sink)?,
    }
    sink.settle()
}

fn broken(error: &io::Error) -> Error {
    Error::Broken(error.to_string())
}

/// The folder that is filled, and how much has come.
struct Sink<'a> {
    into: &'a Path,
    limits: Limits,
    /// The archive's size.
    size: u64,
    folders: Vec<PathBuf>,
    done: Unpacked,
}

impl Sink<'_> {
    fn count(&mut self) -> Result<(), Error> {
        self.done.files += 1;
        let most = self.limits.files;
        if self.done.files > most {
            return Err(Error::TooLarge(format!("the package has more than {most} files and folders")));
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<(), Error> {
        // One by one, because each has to reach the disk in the end.
        let mut folder = self.into.to_owned();
        for segment in path.components() {
            folder.push(segment);
            match fs::create_dir(&folder) {
                Ok(()) => self.folders.push(folder.clone()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let why = "is a folder in one place and a file in another";
                    return Err(Error::refused(path.as_os_str().as_encoded_bytes(), why));
                }
                Err(error) => return Err(Error::io(&folder, error)),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, mut content: impl Read) -> Result<(), Error> {
        let name = path.as_os_str().as_encoded_bytes();
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        let place = self.into.join(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&place);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::refused(name, "is there twice"),
            _ => Error::io(&place, error),
        })?;
        let mut buffer = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            let got = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(&error)),
            };
            size += got as u64;
            self.done.bytes += got as u64;
            self.check(name, size)?;
            file.write_all(&buffer[..got]).map_err(|error| Error::io(&place, error))?;
        }
        file.sync_all().map_err(|error| Error::io(&place, error))
    }

    /// Counts what came out; what the headers say of it is not looked at.
    fn check(&self, name: &[u8], size: u64) -> Result<(), Error> {
        let Limits { bytes, file_bytes, ratio, .. } = self.limits;
        if size > file_bytes {
            let name = String::from_utf8_lossy(name);
            return Err(Error::TooLarge(format!("{name:?} is larger than {file_bytes} bytes")));
        }
        if self.done.bytes > bytes {
            return Err(Error::TooLarge(format!("the package unpacks to more than {bytes} bytes")));
        }
        if self.done.bytes > self.size.saturating_mul(ratio).saturating_add(RATIO_SLACK) {
            let text = format!("the package unpacks to more than {ratio} times the size of its archive");
            return Err(Error::TooLarge(text));
        }
        Ok(())
    }

    fn settle(self) -> Result<Unpacked, Error> {
        for folder in &self.folders {
            File::open(folder).and_then(|f| f.sync_all()).map_err(|error| Error::io(folder, error))?;
        }
        Ok(self.done)
    }
}

fn tar(archive: impl Read, sink: &mut Sink<'_>) -> Result<(), Error> {
    let left = Rc::new(Cell::new(Some(BETWEEN)));
    let mut archive = tar::Archive::new(Metered { inner: archive, left: Rc::clone(&left) });
    for entry in archive.entries().map_err(|error| broken(&error))? {
        let mut entry = entry.map_err(|error| broken(&error))?;
        // Told apart from what git and others put before the files.
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let name = entry.path_bytes().into_owned();
        let path = inside(&name)?;
        sink.count()?;
        match kind {
            EntryType::Directory => sink.folder(&path)?,
            EntryType::Regular | EntryType::Continuous if !path.as_os_str().is_empty() => {
                left.set(None);
                sink.file(&path, &mut entry)?;
            }
            EntryType::Symlink | EntryType::Link => return Err(Error::refused(&name, LINK)),
            _ => return Err(Error::refused(&name, KIND)),
        }
        left.set(Some(BETWEEN));
    }
    // Behind the last file are zeros and, with gzip, the sum by which a cut is seen.
    left.set(Some(BETWEEN));
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| broken(&error))?;
    Ok(())
}

const LINK: &str = "is a link: a package has regular files and folders only";
const KIND: &str = "is neither a regular file nor a folder";

/// Lets only so much through where nothing else counts.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<Option<u64>>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        if let Some(left) = self.left.get() {
            let left = left.checked_sub(got as u64);
            let left = left.ok_or_else(|| io::Error::other("there is too much between its files"))?;
            self.left.set(Some(left));
        }
        Ok(got)
    }
}

fn zip(archive: &mut File, sink: &mut Sink<'_>) -> Result<(), Error> {
    let broken = |error: zip::result::ZipError| Error::Broken(error.to_string());
    let mut archive = ZipArchive::new(archive).map_err(broken)?;
    if archive.has_duplicate_names() {
        return Err(Error::Broken("a name is there twice".to_owned()));
    }
    if archive.has_overlapping_entries().map_err(broken)? {
        return Err(Error::Broken("its entries overlap".to_owned()));
    }
    for index in 0..archive.len() {
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let mut entry = archive.by_index_with_options(index, options).map_err(broken)?;
        let name = entry.name_raw().to_owned();
        let path = inside(&name)?;
        sink.count()?;
        // The type's bits of a Unix mode; DOS and some tools leave them out.
        let kind = entry.unix_mode().unwrap_or_default() & 0o170_000;
        match kind {
            0o120_000 => return Err(Error::refused(&name, LINK)),
            0 | 0o040_000 if entry.is_dir() => sink.folder(&path)?,
            0 | 0o100_000 if entry.is_file() && !path.as_os_str().is_empty() => {
                sink.file(&path, &mut entry)?;
            }
            _ => return Err(Error::refused(&name, KIND)),
        }
    }
    Ok(())
}

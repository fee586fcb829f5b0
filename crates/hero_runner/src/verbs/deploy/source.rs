//! What is deployed: an archive that is there, or one that is made of a package's folder.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use package::Package;
use package::archive::{Files, Format, Limits, pack as write};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::failure::advise;

/// An archive that is ready to be sent.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) media_type: &'static str,
    pub(super) name: Option<String>,
    /// Removed with this.
    _made: Option<NamedTempFile>,
}

/// Packs a package, or takes an archive as it is.
///
/// # Errors
/// When it is no package, or larger than it may be.
pub(super) fn pack(manifest: &Path, max_mb: u32, name: Option<String>) -> anyhow::Result<Packed> {
    let max = u64::from(max_mb) << 20;
    let format = Format::of_name(manifest).filter(|_| manifest.is_file());
    let (made, path, format, name) = match format {
        Some(format) => (None, manifest.to_owned(), format, name),
        None => {
            let (made, own) = pack_folder(manifest, Limits::of(max))?;
            let path = made.path().to_owned();
            (Some(made), path, Format::TarGz, name.or(own))
        }
    };
    let mut summed = Summed { hasher: Sha256::new(), size: 0 };
    let place = || format!("cannot read {}", path.display());
    io::copy(&mut File::open(&path).with_context(place)?, &mut summed).with_context(place)?;
    if summed.size > max {
        let message = format!("{} has {} bytes as it is sent; {max} may be", manifest.display(), summed.size);
        return Err(advise(
            message,
            "leave out what is not needed, or raise --max-package-mb and the server's setting",
        ));
    }
    let sha256 = summed.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Packed { path, size: summed.size, sha256, media_type: format.media_type(), name, _made: made })
}

/// Packs a folder; also the name of the package, where its manifest does not say it.
fn pack_folder(manifest: &Path, limits: Limits) -> anyhow::Result<(NamedTempFile, Option<String>)> {
    let package = Package::open(manifest).map_err(|faults| {
        advise(faults.to_string(), "`hero_runner check` says all that is wrong with a package")
    })?;
    let service = package::service::spec(&package.manifest).map_err(anyhow::Error::msg)?;
    if service.is_none() {
        let name = &package.manifest.name;
        let message =
            format!("package {name:?} is no service: its manifest has no `service` with a `prefix`");
        return Err(advise(message, "docs/deploy.md shows what a package needs to be deployed"));
    }
    let place = || format!("cannot pack {}", package.folder.display());
    let mut files = Files::below(&package.folder, limits).with_context(place)?;
    // One manifest counts, and the server has to see only that one.
    let own = package.file.as_deref().map(|file| file.canonicalize().unwrap_or_else(|_| file.to_owned()));
    let counts = |inner: &str| {
        let other = !inner.contains('/') && inner.ends_with(".qyv");
        !other || own.as_deref() == Some(package.folder.join(inner).as_path())
    };
    files.retain(counts);
    let mut made = NamedTempFile::new().context("no temporary file can be made")?;
    write(&files, made.as_file_mut()).with_context(place)?;
    Ok((made, Some(package.manifest.name)))
}

/// Counts and hashes what is written to it.
struct Summed {
    hasher: Sha256,
    size: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

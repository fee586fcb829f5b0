//! A package: the folder of a manifest, or of a bare `app.wasm`.

use std::path::{Path, PathBuf};

use api::ErrorCode;
use api::manifest::Manifest;
use api::session::DirGrant;

use crate::fault::{Fault, Faults};
use crate::manifest::{self, Format, MAX_BYTES, Places, is_name};
use crate::service;

/// The module of a package that does not name one.
pub const BARE: &str = "app.wasm";

/// Where a manifest in JSON may stand, beside a `.qyv`.
const JSON: [&str; 2] = ["config/service.json", "manifest.json"];

/// A package that was read and checked. What its files hold was not looked at; [`crate::check`] does that.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// Its folder, absolute and without links.
    pub folder: PathBuf,
    /// The manifest's file; `None` for a bare `app.wasm`.
    pub file: Option<PathBuf>,
    /// What it says.
    pub manifest: Manifest,
    /// The module, absolute and inside of the folder.
    pub entrypoint: PathBuf,
    /// The module that takes over, likewise.
    pub fallback: Option<PathBuf>,
    /// The folders that it is granted, as a session wants them.
    pub dirs: Vec<DirGrant>,
}

impl Package {
    /// Whether a path looks like a package: a folder, or a file whose name ends in `.qyv`.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        path.is_dir() || path.extension().is_some_and(|end| end == "qyv")
    }

    /// Opens a folder, a `.qyv`, or a manifest in JSON.
    ///
    /// # Errors
    /// All that is wrong with the manifest, or with the paths that it names.
    pub fn open(path: &Path) -> Result<Self, Faults> {
        let (draft, faults) = Draft::of(path);
        Faults::found(faults)?;
        let whole = draft.and_then(|draft| {
            let Draft { folder, file, manifest, entrypoint, fallback, dirs, .. } = draft;
            Some(Self { folder, file, manifest, entrypoint: entrypoint?, fallback, dirs })
        });
        whole.ok_or_else(|| Fault::of(path, ErrorCode::ManifestInvalid, "it says nothing").into())
    }
}

/// What of a package is right.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) folder: PathBuf,
    pub(crate) file: Option<PathBuf>,
    pub(crate) manifest: Manifest,
    pub(crate) places: Places,
    pub(crate) entrypoint: Option<PathBuf>,
    pub(crate) fallback: Option<PathBuf>,
    pub(crate) dirs: Vec<DirGrant>,
}

impl Draft {
    /// What is right and what is wrong; without a fault it is whole.
    pub(crate) fn of(path: &Path) -> (Option<Self>, Vec<Fault>) {
        match Found::at(path).and_then(Self::read) {
            Ok(both) => both,
            Err(faults) => (None, faults.into_list()),
        }
    }

    fn read(found: Found) -> Result<(Option<Self>, Vec<Fault>), Faults> {
        let real = found.folder.canonicalize();
        let folder =
            real.map_err(|error| Fault::of(&found.folder, ErrorCode::WasmNotFound, error.to_string()))?;
        let name = folder.file_name().and_then(|name| name.to_str());
        let file = found.manifest.as_ref().map(|(file, _)| file.clone());
        let read = match &found.manifest {
            Some((file, format)) => manifest::look(file, *format, &text(file)?, name),
            None => {
                let fits = name.filter(|name| is_name(name));
                let fault = || Fault::of(&found.folder, ErrorCode::ManifestInvalid, UNFIT);
                let manifest = Manifest { name: fits.unwrap_or_default().to_owned(), ..Manifest::default() };
                let faults = fits.is_none().then(fault).into_iter().collect();
                manifest::Read { manifest: Some(manifest), places: Places::default(), faults }
            }
        };
        let manifest::Read { manifest, places, mut faults } = read;
        let Some(manifest) = manifest else { return Ok((None, faults)) };
        let shown = file.clone().unwrap_or(found.folder);
        let mut tell = |key: &str, code: ErrorCode, reason: String| {
            let before = faults.iter().any(|fault| fault.key.as_deref() == Some(key));
            // A path that leaves the package was told already.
            if !before {
                faults.push(Fault {
                    file: shown.clone(),
                    place: places.of(key),
                    key: Some(key.to_owned()),
                    reason,
                    code,
                });
            }
        };
        let mut find = |key: &str, path: &str| {
            inner(&folder, path).map_err(|(code, reason)| tell(key, code, reason)).ok()
        };
        let entrypoint = find("entrypoint", manifest::entrypoint(&manifest));
        let fallback = manifest.fallback.as_deref().and_then(|path| find("fallback", path));
        let dirs = service::dirs(&manifest.permissions, &folder).unwrap_or_else(|(key, reason)| {
            tell(&key, ErrorCode::ManifestInvalid, reason);
            Vec::new()
        });
        Ok((Some(Self { folder, file, manifest, places, entrypoint, fallback, dirs }), faults))
    }
}

const UNFIT: &str =
    "the folder's name cannot be a package's: use 1 to 64 of a-z 0-9 _ . -, or put a manifest into it";

/// A file of a package, by its path in the manifest.
///
/// # Errors
/// When the path leaves the folder, by `..` or by a link, or is no file.
pub fn inner(folder: &Path, path: &str) -> Result<PathBuf, (ErrorCode, String)> {
    let invalid = |reason: String| (ErrorCode::ManifestInvalid, reason);
    manifest::inside(path).map_err(invalid)?;
    let real = folder.join(path).canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            (ErrorCode::WasmNotFound, format!("there is no file {path:?} in the package"))
        }
        _ => (ErrorCode::WasmNotFound, format!("{path:?}: {error}")),
    })?;
    let own = |folder: PathBuf| real.starts_with(folder);
    if !folder.canonicalize().is_ok_and(own) {
        return Err(invalid(format!("{path:?} leaves the package by a link")));
    }
    if !real.is_file() {
        return Err((ErrorCode::WasmNotFound, format!("{path:?} is not a file")));
    }
    Ok(real)
}

fn text(file: &Path) -> Result<String, Faults> {
    let fault = |reason: String| Faults::from(Fault::of(file, ErrorCode::ManifestInvalid, reason));
    let size = std::fs::metadata(file).map_err(|error| fault(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(fault(format!("it has {size} bytes; a manifest may have {MAX_BYTES}")));
    }
    std::fs::read_to_string(file).map_err(|error| fault(error.to_string()))
}

/// Where the parts of a package are.
struct Found {
    folder: PathBuf,
    manifest: Option<(PathBuf, Format)>,
}

impl Found {
    fn at(path: &Path) -> Result<Self, Faults> {
        let fault = |code, reason: &str| Faults::from(Fault::of(path, code, reason));
        if path.is_dir() {
            return Self::inside(path);
        }
        if !path.is_file() {
            return Err(fault(ErrorCode::WasmNotFound, "there is no such file or folder"));
        }
        let Some(format) = Format::of(path) else {
            return Err(fault(
                ErrorCode::ManifestInvalid,
                "it is no manifest: name a folder, a .qyv, or a manifest in JSON",
            ));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = match path.ends_with(JSON[0]) {
            true => parent.join(".."),
            false => parent.to_owned(),
        };
        Ok(Self { folder, manifest: Some((path.to_owned(), format)) })
    }

    fn inside(folder: &Path) -> Result<Self, Faults> {
        let fault = |reason: String| Faults::from(Fault::of(folder, ErrorCode::ManifestInvalid, reason));
        let entries = std::fs::read_dir(folder).map_err(|error| fault(error.to_string()))?;
        let files = entries.flatten().map(|entry| entry.path());
        let mut manifests: Vec<(PathBuf, Format)> = files
            .filter(|file| Format::of(file) == Some(Format::Yaml) && file.is_file())
            .map(|file| (file, Format::Yaml))
            .collect();
        manifests.extend(
            JSON.iter().map(|name| (folder.join(name), Format::Json)).filter(|(file, _)| file.is_file()),
        );
        manifests.sort_by(|one, other| one.0.cmp(&other.0));
        match manifests.len() {
            0 if folder.join(BARE).exists() => Ok(Self { folder: folder.to_owned(), manifest: None }),
            0 => Err(Fault::of(
                folder,
                ErrorCode::WasmNotFound,
                format!("it is no package: it has no .qyv, no {} and no {BARE}", JSON[0]),
            )
            .into()),
            1 => Ok(Self { folder: folder.to_owned(), manifest: manifests.pop() }),
            _ => {
                let names: Vec<String> = manifests
                    .iter()
                    .map(|(file, _)| file.strip_prefix(folder).unwrap_or(file).display().to_string())
                    .collect();
                Err(fault(format!(
                    "it has more than one manifest: {}; name the one that counts",
                    names.join(", ")
                )))
            }
        }
    }
}

//! Manifests: read from YAML or JSON, and checked. Every fault is told, with its place.

mod document;
mod json;
mod rules;
mod typed;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use api::ErrorCode;
use api::manifest::Manifest;
use api::service::ServiceSpec;

pub use rules::is_name;
pub(crate) use rules::{entrypoint, inside, sides};

use crate::fault::{Fault, Faults, Place};
use crate::service;
use document::Document;

/// The most that a manifest may have, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// How a manifest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML, in a `.qyv`.
    Yaml,
    /// JSON, whose keys may also be those of a `service.json`.
    Json,
}

impl Format {
    /// The format of a file, by its name.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "qyv" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads a manifest of this name. `folder` is the name of the package's folder: what a `service.json` is called that does not
/// say.
///
/// # Errors
/// All that is wrong with it, but for what the files beside it would tell.
pub fn read(
    file: &Path,
    format: Format,
    text: &str,
    folder: Option<&str>,
) -> Result<(Manifest, Places), Faults> {
    let Read { manifest, places, faults } = look(file, format, text, folder);
    Faults::found(faults)?;
    let nothing = || Fault::of(file, ErrorCode::ManifestInvalid, "it says nothing");
    Ok((manifest.ok_or_else(nothing)?, places))
}

/// What could be read of a manifest.
pub(crate) struct Read {
    /// What of it is right. There is none without a fault.
    pub(crate) manifest: Option<Manifest>,
    pub(crate) places: Places,
    pub(crate) faults: Vec<Fault>,
}

/// As [`read`], and gives what is right beside what is wrong.
pub(crate) fn look(file: &Path, format: Format, text: &str, folder: Option<&str>) -> Read {
    let fault = |place, key: String, reason| {
        let key = Some(key).filter(|key| !key.is_empty());
        Fault { file: file.to_owned(), place, key, reason, code: ErrorCode::ManifestInvalid }
    };
    let alone = |fault| Read { manifest: None, places: Places::default(), faults: vec![fault] };
    if text.len() as u64 > MAX_BYTES {
        let reason = format!("it has {} bytes; a manifest may have {MAX_BYTES}", text.len());
        return alone(fault(None, String::new(), reason));
    }
    let tree = match format {
        Format::Yaml => yaml::tree(text),
        Format::Json => json::tree(text),
    };
    let mut document = match tree {
        Ok(tree) => Document::new(tree),
        Err((place, reason)) => return alone(fault(place, String::new(), reason)),
    };
    if format == Format::Json {
        document.gather_service(folder);
    }
    let mut wrong = Vec::new();
    let manifest = typed::read::<Manifest>(&mut document, &mut wrong);
    if let Some(manifest) = &manifest {
        rules::check(manifest, &mut wrong);
    }
    let places = document.places();
    if let Some(mut declared) = document.into_service()
        && let Some(spec) = typed::read::<ServiceSpec>(&mut declared, &mut wrong)
    {
        let told = service::check(&spec).into_iter();
        wrong.extend(told.map(|(key, reason)| (declared.written(&key), reason)));
    }
    let mut faults: Vec<Fault> =
        wrong.into_iter().map(|(key, reason)| fault(places.of(&key), key, reason)).collect();
    // By place; what has none stands first, and the order of keys holds otherwise.
    faults.sort_by_key(|fault| fault.place);
    faults.dedup_by(|second, first| second.key == first.key && second.reason == first.reason);
    Read { manifest, places, faults }
}

/// A key and what is wrong with it.
pub(crate) type Wrong = (String, String);

/// Where the keys of a manifest stand in its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<String, Place>);

impl Places {
    /// Where a key such as `permissions.net[0]` stands, or the nearest one around it.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<Place> {
        let mut key = key;
        loop {
            match self.0.get(key) {
                Some(place) => return Some(*place),
                None if key.is_empty() => return None,
                None => key = &key[..key.rfind(['.', '[']).unwrap_or(0)],
            }
        }
    }
}

#[cfg(test)]
#[path = "manifest/tests.rs"]
mod tests;

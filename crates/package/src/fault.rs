//! What is wrong with a package, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use api::ErrorCode;
use api::error::Error;
use serde::Serialize;

/// A place in a text, both counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Place {
    /// The place of a byte of a text.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() as u64 + 1, column: line.chars().count() as u64 + 1 }
    }
}

/// Something that is wrong with a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file or folder.
    pub file: PathBuf,
    /// Where in it.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The key of the manifest, as `permissions.net[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why it cannot be taken.
    pub reason: String,
    /// What kind of fault it is.
    #[serde(serialize_with = "name")]
    pub code: ErrorCode,
}

fn name<S: serde::Serializer>(code: &ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name())
}

impl Fault {
    /// A fault of a whole file or folder.
    pub(crate) fn of(file: &Path, code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: None, key: None, reason: reason.into(), code }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        match &self.key {
            Some(key) => write!(f, ": {key}: {}", self.reason),
            None => write!(f, ": {}", self.reason),
        }
    }
}

/// All that is wrong with a package; never nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// What was found, or nothing when that is nothing.
    pub(crate) fn found(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    /// One by one, in the order of their places.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    /// The list itself.
    #[must_use]
    pub fn into_list(self) -> Vec<Fault> {
        self.0
    }

    /// The code of the first.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.first().map_or(ErrorCode::ManifestInvalid, |fault| fault.code)
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::new(faults.code(), faults.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let text = "a\nbé: x\n";
        assert_eq!(Place::of(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of(text, text.find('x').unwrap()), Place { line: 2, column: 5 });
    }
}

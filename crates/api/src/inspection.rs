//! What a WebAssembly file says of itself, as `module_inspect` and `hero_runner inspect` show it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inspection {
    /// Whether it is a core module or a component.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// The version of WASI that it imports, such as `preview1`, `0.2.6` or `none`.
    pub wasi: String,
    /// What it is made for: `command` (a program), `wasi:cli/command`, `wasi:http/proxy`, or `library`.
    pub worlds: Vec<String>,
    /// Which permissions it would need.
    pub permissions: Vec<Need>,
    /// What it imports.
    pub imports: Vec<Import>,
    /// What it exports.
    pub exports: Vec<Export>,
    /// A component's world, in WIT, with the interfaces that are not WASI's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wit: Option<String>,
    /// The function that runs when it is instantiated, by its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<u32>,
    /// Memories: a core module's own, not those of modules inside a component.
    pub memories: Vec<Limits>,
    /// Tables, likewise.
    pub tables: Vec<Limits>,
    /// Bytes of code, in all modules.
    pub code_bytes: u64,
    /// Bytes of data, in all modules.
    pub data_bytes: u64,
    /// Functions with code, in all modules.
    pub functions: u64,
    /// Core modules inside a component.
    pub modules: u32,
    /// Components inside a component.
    pub components: u32,
    /// Custom sections of the file itself.
    pub custom_sections: Vec<Section>,
    /// What made it, by `language`, `processed-by` and `sdk`.
    pub producers: BTreeMap<String, Vec<String>>,
    /// Features of the target that it was built for, such as `+bulk-memory`.
    pub target_features: Vec<String>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FileKind")]
pub enum Kind {
    /// A core module.
    Module,
    /// A component.
    Component,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Module => "core module",
            Self::Component => "component",
        })
    }
}

/// A permission that a file may need: it imports what that would let it do. Whether it ever does cannot be seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FileNeed")]
pub struct Need {
    /// `net` or `fs`.
    pub permission: String,
    /// The imports.
    pub imports: Vec<String>,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FileImport")]
pub struct Import {
    /// The module, of a core module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
}

impl Import {
    /// `module.name`, or the name of an interface.
    #[must_use]
    pub fn full(&self) -> String {
        match &self.module {
            Some(module) => format!("{module}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FileExport")]
pub struct Export {
    /// Its name; `interface#function` for what an exported interface has.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
}

/// The size of a memory in pages of 64 KiB, or of a table in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FileLimits")]
pub struct Limits {
    /// At the beginning.
    pub min: u64,
    /// The most that it declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// A custom section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FileSection")]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Bytes in it.
    pub bytes: u64,
}

impl Inspection {
    /// The type of an export of this name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&str> {
        self.exports.iter().find(|export| export.name == name).map(|export| export.ty.as_str())
    }
}

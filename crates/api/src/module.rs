//! Modules: what is stored, and the state of its compiled artifact.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a WebAssembly file is, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModuleKind {
    /// A core module.
    Core,
    /// A component.
    Component,
}

/// The state of a module's compiled artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ArtifactState {
    /// Not compiled yet. A core module runs interpreted; a component is compiled before its first session.
    Interpreted,
    /// The compile process is at work or queued; until then as before.
    Compiling,
    /// Runs compiled.
    Compiled {
        /// The artifact's size in bytes.
        size: u64,
        /// How long it took to compile, in milliseconds.
        compile_ms: u64,
    },
    /// Compiling failed. A core module runs interpreted; a component does not run.
    Failed {
        /// Why.
        why: String,
    },
}

/// An import of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleImport {
    /// The module or, for a component, the interface that it is imported from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// Its type in the text format's words, for example `func (i32) -> (i32)`.
    pub ty: String,
}

/// An export of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleExport {
    /// Its name.
    pub name: String,
    /// Its type in the text format's words.
    pub ty: String,
}

/// One module, as `module_list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleInfo {
    /// The registered name; a module may have several, each is listed.
    pub name: String,
    /// Its content, `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Core module or component.
    pub kind: ModuleKind,
    /// Its size in bytes.
    pub size: u64,
    /// When it was registered under this name, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// The state of its compiled artifact on this host.
    pub artifact: ArtifactState,
}

/// One module in full, as `module_get` and an upload show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleDetail {
    /// The facts of the list.
    #[serde(flatten)]
    pub info: ModuleInfo,
    /// What it imports.
    pub imports: Vec<ModuleImport>,
    /// What it exports. A function of an exported interface is `interface#name`.
    pub exports: Vec<ModuleExport>,
    /// What a component imports and nobody here offers: its sessions are refused until it is composed with what does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Names one module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleRef {
    /// A registered name or a digest.
    pub name: String,
}

/// What `module_put` asks for. Files larger than the request limit go to `POST /modules/{name}` instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModulePut {
    /// The name to register.
    pub name: String,
    /// The file's bytes in base64.
    pub base64: String,
    /// The SHA-256 that the bytes must have, as 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The reply to `module_list`, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleList {
    /// The modules.
    pub modules: Vec<ModuleInfo>,
}

//! The one table of application errors: code, name, whether a retry can help, and the hint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What went wrong, as the application sees it.
///
/// The numbers are a block of their own, below everything that JSON-RPC reserves (-32768 to -32000), so
/// that they collide neither with the specification's codes nor with those of a JSON-RPC library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The parameters have the right types but do not make sense. JSON-RPC's own -32602.
    InvalidParams,
    /// No session has this id (or its record was removed by retention).
    SessionNotFound,
    /// No module has this name or digest.
    ModuleNotFound,
    /// The bytes are not a valid WebAssembly module.
    ModuleInvalid,
    /// The module imports something that this engine does not offer.
    ModuleImportMissing,
    /// The file is valid, but not for this engine (a component given to the engine for core modules).
    ModuleUnsupported,
    /// The uploaded bytes do not have the digest that was announced.
    DigestMismatch,
    /// The body, the module or a list is larger than the limit in force.
    TooLarge,
    /// The name is not one of `[a-z0-9][a-z0-9_.-]{0,63}`.
    NameInvalid,
    /// The path is outside the folders that the server allows, or is not a folder.
    PathNotAllowed,
    /// As many sessions run and wait as the settings allow.
    QueueFull,
    /// The machine lacks a resource: processes, descriptors, memory or disk.
    ResourceExhausted,
    /// The call does not fit the state that the object is in.
    InvalidState,
    /// The module is used by a running session.
    ModuleInUse,
    /// No template or runtime has this name.
    TemplateNotFound,
    /// No service has this name.
    ServiceNotFound,
    /// The declaration of a service is wrong.
    ServiceInvalid,
    /// The service did not become ready.
    ServiceFailed,
    /// No schedule has this id.
    ScheduleNotFound,
    /// A package names a WebAssembly file that it does not have.
    WasmNotFound,
    /// The file is no module or component that an engine here can load.
    ModuleLoad,
    /// The settings or the manifest do not permit it.
    PermissionDenied,
    /// The manifest of a package is wrong.
    ManifestInvalid,
    /// The new version was not taken into service.
    DeployError,
    /// The service has no such version.
    VersionNotFound,
    /// The server accepts no new session: it stops, or somebody has drained it.
    Draining,
    /// The zygote is being replaced; nothing can start right now.
    Unavailable,
    /// The server failed in a way that is no fault of the caller.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 28] = [
        Self::InvalidParams,
        Self::SessionNotFound,
        Self::ModuleNotFound,
        Self::ModuleInvalid,
        Self::ModuleImportMissing,
        Self::ModuleUnsupported,
        Self::DigestMismatch,
        Self::TooLarge,
        Self::NameInvalid,
        Self::PathNotAllowed,
        Self::QueueFull,
        Self::ResourceExhausted,
        Self::InvalidState,
        Self::ModuleInUse,
        Self::TemplateNotFound,
        Self::ServiceNotFound,
        Self::ServiceInvalid,
        Self::ServiceFailed,
        Self::ScheduleNotFound,
        Self::WasmNotFound,
        Self::ModuleLoad,
        Self::PermissionDenied,
        Self::ManifestInvalid,
        Self::DeployError,
        Self::VersionNotFound,
        Self::Draining,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The number on the wire. `Internal` and `InvalidParams` are JSON-RPC's own.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::InvalidParams => -32602,
            Self::SessionNotFound => -33001,
            Self::ModuleNotFound => -33002,
            Self::ModuleInvalid => -33003,
            Self::ModuleImportMissing => -33004,
            Self::ModuleUnsupported => -33005,
            Self::DigestMismatch => -33006,
            Self::TooLarge => -33007,
            Self::NameInvalid => -33008,
            Self::PathNotAllowed => -33009,
            Self::QueueFull => -33010,
            Self::ResourceExhausted => -33011,
            Self::InvalidState => -33012,
            Self::ModuleInUse => -33013,
            Self::Draining => -33014,
            Self::Unavailable => -33015,
            Self::TemplateNotFound => -33016,
            Self::ServiceNotFound => -33017,
            Self::ServiceInvalid => -33018,
            Self::ServiceFailed => -33019,
            Self::ScheduleNotFound => -33020,
            Self::WasmNotFound => -33021,
            Self::ModuleLoad => -33022,
            Self::PermissionDenied => -33023,
            Self::ManifestInvalid => -33024,
            Self::DeployError => -33025,
            Self::VersionNotFound => -33026,
            Self::Internal => -32603,
        }
    }

    /// The code's name, as in `data.code_name`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidParams => "invalid_params",
            Self::SessionNotFound => "session_not_found",
            Self::ModuleNotFound => "module_not_found",
            Self::ModuleInvalid => "module_invalid",
            Self::ModuleImportMissing => "module_import_missing",
            Self::ModuleUnsupported => "module_unsupported",
            Self::DigestMismatch => "digest_mismatch",
            Self::TooLarge => "too_large",
            Self::NameInvalid => "name_invalid",
            Self::PathNotAllowed => "path_not_allowed",
            Self::QueueFull => "queue_full",
            Self::ResourceExhausted => "resource_exhausted",
            Self::InvalidState => "invalid_state",
            Self::ModuleInUse => "module_in_use",
            Self::Draining => "draining",
            Self::TemplateNotFound => "template_not_found",
            Self::ServiceNotFound => "service_not_found",
            Self::ServiceInvalid => "service_invalid",
            Self::ServiceFailed => "service_failed",
            Self::ScheduleNotFound => "schedule_not_found",
            Self::WasmNotFound => "wasm_not_found",
            Self::ModuleLoad => "module_load",
            Self::PermissionDenied => "permission_denied",
            Self::ManifestInvalid => "manifest_invalid",
            Self::DeployError => "deploy_error",
            Self::VersionNotFound => "version_not_found",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same call can succeed later without a change.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::QueueFull | Self::ResourceExhausted | Self::Draining | Self::Unavailable)
    }

    /// What the caller can do about it, in one sentence.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::InvalidParams => "rpc.discover describes the parameters of every method",
            Self::SessionNotFound => "session_list shows the sessions that are known",
            Self::ModuleNotFound => {
                "module_list shows the modules; POST /modules/{name} or `hero_runner modules put` adds one"
            }
            Self::ModuleInvalid => "check that the file is complete and was built for wasm32-wasip1",
            Self::ModuleImportMissing => {
                "core modules import wasi_snapshot_preview1, components WASI 0.2; `hero_runner compose` adds what else one needs"
            }
            Self::ModuleUnsupported => {
                "use an engine that runs it: wasmedge for core modules, wasmtime for components and core modules"
            }
            Self::DigestMismatch => "the upload was damaged on its way: send it again",
            Self::TooLarge => "send less, or raise the limit in the server's settings",
            Self::NameInvalid => "use 1 to 64 of a-z 0-9 _ . - and begin with a letter or a digit",
            Self::PathNotAllowed => "name a folder that exists, or add it to the server's settings",
            Self::QueueFull => "wait for sessions to end, or raise max_sessions or max_queue",
            Self::ResourceExhausted => "wait, or give the machine or the server's limits more room",
            Self::InvalidState => "session_get shows the state",
            Self::ModuleInUse => "stop the sessions that use it, or wait for them",
            Self::TemplateNotFound => {
                "template_list shows the templates; `hero_runner runtime add` or template_create adds one"
            }
            Self::ServiceNotFound => {
                "service_list shows the services; a new folder is seen after service_reload"
            }
            Self::ServiceInvalid => "docs/services.md describes every key of service.json",
            Self::ServiceFailed => {
                "service_get shows the last probes and ends; session_logs shows what it printed"
            }
            Self::ScheduleNotFound => "schedule_list shows the schedules",
            Self::WasmNotFound => {
                "put the file into the package, or correct entrypoint or fallback in its manifest"
            }
            Self::ModuleLoad => "`hero_runner inspect` shows what the file imports and exports",
            Self::PermissionDenied => "grant it in permissions, or allow it in the server's settings",
            Self::ManifestInvalid => {
                "docs/packages.md describes every key; `hero_runner check` checks a package"
            }
            Self::DeployError => "the version before serves on; service_get shows the last probes and ends",
            Self::VersionNotFound => "service_versions shows the versions that are kept",
            Self::Draining => {
                "open a drained server with `hero_runner drain --off`; start one that stops again with `hero_runner --start`"
            }
            Self::Unavailable => "try again in a moment",
            Self::Internal => "the server's log says more",
        }
    }

    /// Finds a code by its number.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

/// The `data` member of every application error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// The code's name, stable across versions.
    pub code_name: String,
    /// Whether the same call can succeed later without a change.
    pub retryable: bool,
    /// What the caller can do about it.
    pub hint: String,
}

impl From<ErrorCode> for ErrorData {
    fn from(code: ErrorCode) -> Self {
        Self { code_name: code.name().to_owned(), retryable: code.retryable(), hint: code.hint().to_owned() }
    }
}

/// An application error: what, where (in the message) and what to do (the code's hint).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The row of the table.
    pub code: ErrorCode,
    /// What went wrong and where: a lower-case sentence with the name, path or id in it.
    pub message: String,
}

impl Error {
    /// An error with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_found_again() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }

    #[test]
    fn codes_stay_out_of_the_reserved_block() {
        for code in ErrorCode::ALL {
            let own = matches!(code, ErrorCode::Internal | ErrorCode::InvalidParams);
            assert!(own || !(-32768..=-32000).contains(&code.code()));
        }
    }
}

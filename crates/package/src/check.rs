//! Whether a package could run: its manifest, and the modules that it names.

use std::path::{Path, PathBuf};

use api::ErrorCode;
use api::permission::{Fs, Net, OwnFolder, Permissions};
use api::service::{ServiceKind, ServiceSpec};
use api::session::EngineKind;
use serde::Serialize;

use crate::fault::Fault;
use crate::folder::Draft;
use crate::inspect::{Inspection, Kind, inspect};
use crate::service;

/// Packages of interfaces that are offered to components.
const OFFERED: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// What was found out about a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its name, as far as it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether nothing is wrong.
    pub ok: bool,
    /// All that is wrong.
    pub faults: Vec<Fault>,
    /// What it is granted, and what else is good to know.
    pub notes: Vec<String>,
}

/// Checks a package: a folder, a `.qyv`, or a manifest in JSON.
#[must_use]
pub fn check(path: &Path) -> Checked {
    let (draft, mut faults) = Draft::of(path);
    let mut notes = Vec::new();
    if let Some(draft) = &draft {
        let spec = service::spec(&draft.manifest).ok().flatten();
        notes.extend(granted(&draft.manifest.permissions));
        for (key, file) in [("entrypoint", &draft.entrypoint), ("fallback", &draft.fallback)] {
            if let Some(file) = file {
                module(draft, spec.as_ref(), key, file, &mut faults, &mut notes);
            }
        }
    }
    let name = draft.map(|draft| draft.manifest.name).filter(|name| !name.is_empty());
    Checked { name, ok: faults.is_empty(), faults, notes }
}

fn granted(permissions: &Permissions) -> Vec<String> {
    let mut notes = Vec::new();
    match &permissions.net {
        Net::Nothing => {}
        Net::Anything => notes.push("it may connect to any host and port".to_owned()),
        Net::Listed(list) => notes.extend(list.iter().map(|one| format!("it may connect to {one}"))),
    }
    match &permissions.fs {
        Fs::Own(OwnFolder::None) => {}
        Fs::Own(OwnFolder::Read) => notes.push("it may read its own folder".to_owned()),
        Fs::Own(OwnFolder::ReadWrite) => notes.push("it may read and change its own folder".to_owned()),
        Fs::Listed(folders) => {
            notes.extend(folders.read.iter().map(|folder| format!("it may read {folder}")));
            notes.extend(folders.read_write.iter().map(|folder| format!("it may read and change {folder}")));
        }
    }
    if permissions.exec {
        notes.push("it may start programs, where the server's settings allow that".to_owned());
    }
    notes
}

/// Checks a module of a package.
fn module(
    draft: &Draft,
    spec: Option<&ServiceSpec>,
    key: &str,
    file: &PathBuf,
    faults: &mut Vec<Fault>,
    notes: &mut Vec<String>,
) {
    let shown = file.strip_prefix(&draft.folder).map_or_else(|_| file.clone(), Path::to_owned);
    let inspection = std::fs::read(file)
        .map_err(|error| (ErrorCode::WasmNotFound, error.to_string()))
        .and_then(|bytes| inspect(&bytes).map_err(|refused| (refused.code, refused.reason)));
    let inspection = match inspection {
        Ok(inspection) => inspection,
        Err((code, reason)) => return faults.push(Fault::of(&shown, code, reason)),
    };
    let mut tell = |code, reason: String| faults.push(Fault::of(&shown, code, reason));
    let handler = spec.is_some_and(|spec| spec.kind == ServiceKind::Handler);
    match inspection.kind {
        Kind::Module => core(&inspection, &mut tell),
        Kind::Component => component(&inspection, handler, &mut tell),
    }
    let mut at = |key: &str, reason: String| {
        let file = draft.file.clone().unwrap_or_else(|| draft.folder.clone());
        let (place, code) = (draft.places.of(key), ErrorCode::ManifestInvalid);
        faults.push(Fault { file, place, key: Some(key.to_owned()), reason, code });
    };
    if inspection.kind == Kind::Component && draft.manifest.runtime == Some(EngineKind::Wasmedge) {
        at("runtime", format!("{} is a component, which runs in wasmtime only", shown.display()));
    }
    if key == "entrypoint"
        && let Some(name) = draft.manifest.ready.as_ref().and_then(|ready| ready.export.as_deref())
    {
        match inspection.export(name) {
            Some("func () -> ()" | "func()") => {}
            Some(ty) => at(
                "ready.export",
                format!("{name:?} is {ty}; it has to be a function without parameters and results"),
            ),
            None => at("ready.export", format!("{} exports no {name:?}", shown.display())),
        }
    }
    for need in &inspection.permissions {
        let permissions = &draft.manifest.permissions;
        let denied = match need.permission.as_str() {
            "net" => permissions.net.is_nothing(),
            _ => permissions.fs.is_nothing(),
        };
        if denied {
            notes.push(format!(
                "{} may need the permission {} ({}), which is denied",
                shown.display(),
                need.permission,
                listed(&need.imports)
            ));
        }
    }
}

fn core(inspection: &Inspection, tell: &mut impl FnMut(ErrorCode, String)) {
    let (mut missing, mut different) = (Vec::new(), Vec::new());
    for import in &inspection.imports {
        let (module, name) = (import.module.as_deref().unwrap_or_default(), import.name.as_str());
        let second = || engine::wasi::signature(engine::wasi::MODULE, &format!("{name}_v2"));
        let full = import.full().escape_debug().to_string();
        match engine::wasi::signature(module, name) {
            None => missing.push(full),
            Some(offered)
                if offered.to_string() != import.ty
                    && second().is_none_or(|second| second.to_string() != import.ty) =>
            {
                different.push(format!("{full} is imported as {} and offered as {offered}", import.ty));
            }
            Some(_) => {}
        }
    }
    if !missing.is_empty() {
        tell(ErrorCode::ModuleImportMissing, format!("it imports what is not offered: {}", listed(&missing)));
    }
    if !different.is_empty() {
        tell(ErrorCode::ModuleImportMissing, listed(&different));
    }
    match inspection.export("_start") {
        Some("func () -> ()") => {}
        Some(ty) => tell(ErrorCode::ModuleInvalid, format!("`_start` is {ty}, and has to be func () -> ()")),
        None if inspection.export("_initialize").is_some() => tell(
            ErrorCode::ModuleInvalid,
            "it exports `_initialize` and no `_start`: it is a library (reactor); build it as a program (command)".to_owned(),
        ),
        None => tell(ErrorCode::ModuleInvalid, "it does not export `_start`, so there is nothing to run".to_owned()),
    }
    match inspection.export("memory") {
        Some(ty) if ty.starts_with("memory") => {}
        Some(ty) => tell(ErrorCode::ModuleInvalid, format!("`memory` is {ty}, and has to be a memory")),
        None => tell(
            ErrorCode::ModuleInvalid,
            "it does not export its memory as `memory`, which WASI needs".to_owned(),
        ),
    }
}

fn component(inspection: &Inspection, handler: bool, tell: &mut impl FnMut(ErrorCode, String)) {
    let offered = |name: &str| {
        OFFERED.iter().any(|package| name.starts_with(package))
            && name.split_once('@').is_none_or(|(_, version)| version.starts_with("0.2."))
    };
    let missing: Vec<String> =
        inspection.imports.iter().map(|import| import.name.clone()).filter(|name| !offered(name)).collect();
    if !missing.is_empty() {
        let reason = format!(
            "it imports what nobody offers: {}; compose it with a component that does",
            listed(&missing)
        );
        tell(ErrorCode::ModuleImportMissing, reason);
    }
    if handler && !inspection.worlds.iter().any(|world| world == "wasi:http/proxy") {
        let reason = "it does not export wasi:http/incoming-handler, which a handler has to".to_owned();
        tell(ErrorCode::ModuleInvalid, reason);
    } else if !inspection.exports.iter().any(|export| export.ty.contains("func(")) {
        tell(ErrorCode::ModuleInvalid, "it exports no function, so there is nothing to run".to_owned());
    }
}

fn listed(items: &[String]) -> String {
    const MAX: usize = 20;
    let more = items.len().saturating_sub(MAX);
    let text = items.iter().take(MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

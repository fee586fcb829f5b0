//! What a file has to be before it is accepted: complete, valid, able to run here, and not compiled by others.

use std::fmt::Write as _;

use api::error::{Error, ErrorCode};
use api::module::{ModuleExport, ModuleImport, ModuleKind};
use package::inspect::words;
use wasmparser::types::Types;
use wasmparser::{BinaryReaderError, Export, Import, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use super::component;
use crate::Result;

/// What WasmEdge 0.17 has on by default: all of WebAssembly 3.0 but threads.
const FEATURES: WasmFeatures = WasmFeatures::WASM3.difference(WasmFeatures::THREADS);

/// Imports and exports together, in number and in bytes of their names. Real modules have a few dozen; the
/// registry keeps them and the API shows them, so a file cannot have a million.
const MAX_INTERFACE: usize = 10_000;
const MAX_INTERFACE_BYTES: usize = 1 << 20;

/// The custom section in which WasmEdge keeps machine code.
const PRECOMPILED: &str = "wasmedge";

/// How many names a message lists.
const LISTED: usize = 20;

/// What is known about a module that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: ModuleKind,
    pub(super) imports: Vec<ModuleImport>,
    pub(super) exports: Vec<ModuleExport>,
}

/// Checks a whole file.
pub(super) fn check(bytes: &[u8]) -> Result<Facts> {
    header(bytes)?;
    if component::is_component(bytes) {
        return component::check(bytes);
    }
    let mut seen = Seen::default();
    let types = validate(bytes, &mut seen)?;
    let mut facts = Facts { kind: ModuleKind::Core, imports: Vec::new(), exports: Vec::new() };
    imports(&seen.imports, &types, &mut facts)?;
    exports(&seen.exports, &types, &mut facts)?;
    Ok(facts)
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::ModuleInvalid, message)
}

fn header(bytes: &[u8]) -> Result<()> {
    const NATIVE: [(&[u8], &str); 6] = [
        (b"\x7fELF", "ELF"),
        (b"\xcf\xfa\xed\xfe", "Mach-O"),
        (b"\xfe\xed\xfa\xcf", "Mach-O"),
        (b"\xca\xfe\xba\xbe", "Mach-O"),
        (b"MZ", "PE"),
        (b"!<arch>\n", "static"),
    ];
    if bytes.is_empty() {
        return Err(invalid("the file is empty"));
    }
    if let Some((_, format)) = NATIVE.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(precompiled(&format!("the file is native code ({format})")));
    }
    if bytes.trim_ascii_start().starts_with(b"(module") || bytes.trim_ascii_start().starts_with(b"(component")
    {
        return Err(invalid("the file is in the text format: convert it to binary first (wasm-tools parse)"));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(invalid("not a WebAssembly file: it does not begin with \\0asm (at offset 0x0)"));
    }
    match bytes.get(4..8) {
        // A core module, or a component, whose version the validator looks at.
        Some([1, 0, 0, 0] | [_, _, 1, 0]) => Ok(()),
        Some(version) => {
            Err(invalid(format!("unknown version {version:02x?} of WebAssembly (at offset 0x4)")))
        }
        None => Err(invalid(format!("the file ends inside its header (at offset {:#x})", bytes.len()))),
    }
}

fn precompiled(what: &str) -> Error {
    Error::new(
        ErrorCode::ModuleUnsupported,
        format!(
            "{what}: code compiled elsewhere is never run; upload the plain .wasm file, it is compiled here \
             in the background"
        ),
    )
}

/// The interface as it was met on the way through the file.
#[derive(Default)]
struct Seen<'a> {
    imports: Vec<Import<'a>>,
    exports: Vec<Export<'a>>,
    bytes: usize,
}

impl Seen<'_> {
    fn count(&mut self, names: usize) -> Result<()> {
        count(&mut self.bytes, names, self.imports.len() + self.exports.len())
    }
}

/// Counts what a name adds to the size of an interface, which has a limit.
pub(super) fn count(bytes: &mut usize, name: usize, items: usize) -> Result<()> {
    *bytes += name;
    if items > MAX_INTERFACE || *bytes > MAX_INTERFACE_BYTES {
        let message = format!(
            "the module has more than {MAX_INTERFACE} imports and exports, or more than 1 MiB of their names"
        );
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    Ok(())
}

/// What the validator says, with the place.
pub(super) fn malformed(e: BinaryReaderError) -> Error {
    invalid(format!("not a valid module: {} (at offset {:#x})", e.message(), e.offset()))
}

fn validate<'a>(bytes: &'a [u8], seen: &mut Seen<'a>) -> Result<Types> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    let mut types = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        match validator.payload(&payload).map_err(malformed)? {
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(std::mem::take(&mut allocations));
                function.validate(&body).map_err(malformed)?;
                allocations = function.into_allocations();
            }
            ValidPayload::End(end) => types = Some(end),
            ValidPayload::Ok | ValidPayload::Parser(_) => {}
        }
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(malformed)?;
                    seen.imports.push(import);
                    seen.count(import.module.len() + import.name.len())?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(malformed)?;
                    seen.exports.push(export);
                    seen.count(export.name.len())?;
                }
            }
            Payload::CustomSection(section) if section.name() == PRECOMPILED => {
                return Err(precompiled("the file carries machine code in a section `wasmedge`"));
            }
            _ => {}
        }
    }
    types.ok_or_else(|| invalid(format!("the file ends early (at offset {:#x})", bytes.len())))
}

fn imports(seen: &[Import<'_>], types: &Types, facts: &mut Facts) -> Result<()> {
    let (mut missing, mut different) = (Vec::new(), Vec::new());
    for import in seen {
        let ty =
            types.as_ref().entity_type_from_import(import).map_or_else(String::new, |ty| words(&ty, types));
        let full = format!("{}.{}", quoted(import.module), quoted(import.name));
        match engine::wasi::signature(import.module, import.name) {
            None => missing.push(full),
            Some(offered)
                if offered.to_string() != ty && second_version(import.name).as_ref() != Some(&ty) =>
            {
                different.push(format!("{full} is imported as {ty} and offered as {offered}"));
            }
            Some(_) => {}
        }
        facts.imports.push(ModuleImport {
            module: import.module.to_owned(),
            name: import.name.to_owned(),
            ty,
        });
    }
    if missing.is_empty() && different.is_empty() {
        return Ok(());
    }
    let mut message = String::new();
    if !missing.is_empty() {
        message.push_str("the module imports what is not offered: ");
        message.push_str(&listed(&missing));
    }
    if !different.is_empty() {
        message.push_str(if message.is_empty() { "" } else { "; " });
        message.push_str(&listed(&different));
    }
    Err(Error::new(ErrorCode::ModuleImportMissing, message))
}

fn exports(seen: &[Export<'_>], types: &Types, facts: &mut Facts) -> Result<()> {
    let (mut start, mut memory, mut reactor) = (None, None, false);
    for export in seen {
        let entity = types.as_ref().entity_type_from_export(export);
        let ty = entity.as_ref().map_or_else(String::new, |ty| words(ty, types));
        match export.name {
            "_start" => start = Some(ty.clone()),
            "memory" => memory = Some(ty.clone()),
            "_initialize" => reactor = true,
            _ => {}
        }
        facts.exports.push(ModuleExport { name: export.name.to_owned(), ty });
    }
    match start.as_deref() {
        Some("func () -> ()") => {}
        Some(ty) => return Err(invalid(format!("`_start` is {ty}, and has to be func () -> ()"))),
        None if reactor => {
            return Err(invalid(
                "the module exports `_initialize` and no `_start`: it is a library (reactor); build it as a \
                 program (command)",
            ));
        }
        None => return Err(invalid("the module does not export `_start`, so there is nothing to run")),
    }
    match memory.as_deref() {
        Some(ty) if ty.starts_with("memory") => Ok(()),
        Some(ty) => Err(invalid(format!("`memory` is {ty}, and has to be a memory"))),
        None => Err(invalid("the module does not export its memory as `memory`, which WASI needs")),
    }
}

/// A name of the file's author as it may stand in a message: short, and without control characters.
pub(super) fn quoted(name: &str) -> String {
    let mut text: String = name.chars().take(100).flat_map(char::escape_debug).collect();
    if name.chars().nth(100).is_some() {
        text.push('…');
    }
    text
}

pub(super) fn listed(items: &[String]) -> String {
    let mut text = items.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if items.len() > LISTED {
        // Writing to a string cannot fail.
        let _ = write!(text, " and {} more", items.len() - LISTED);
    }
    text
}

/// The type of the second version of a socket function. The engine links it under the plain name too, for a module that
/// imports that with this type: `sock_accept` of WASI preview 1 itself is the engine's second version.
fn second_version(name: &str) -> Option<String> {
    let second = format!("{name}_v2");
    engine::wasi::signature(engine::wasi::MODULE, &second).map(|signature| signature.to_string())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

//! Components: what they import and export, and what of it nobody here offers.

use std::fmt::Write as _;

use api::error::{Error, ErrorCode};
use api::module::{ModuleExport, ModuleImport, ModuleKind};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType,
};
use wasmparser::types::Types;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use super::check::{Facts, count, invalid, malformed};
use crate::Result;

/// All of WebAssembly 3.0 but threads, in components.
const FEATURES: WasmFeatures =
    WasmFeatures::WASM3.difference(WasmFeatures::THREADS).union(WasmFeatures::COMPONENT_MODEL);

/// How deep types are shown.
const DEEP: u32 = 8;

/// The longest type that is shown, in bytes.
const MAX_TYPE: usize = 2000;

/// The interfaces of WASI 0.2 that Wasmtime offers here, by package.
const OFFERED: [(&str, &[&str]); 7] = [
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", &["types", "preopens"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    (
        "wasi:sockets",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
    ("wasi:http", &["types", "outgoing-handler"]),
];

/// Whether an instance of this name is there for every component.
fn is_offered(name: &str) -> bool {
    if name == engine::exec::INTERFACE {
        return true;
    }
    let Some((interface, version)) = name.split_once('@') else { return false };
    let Some((package, interface)) = interface.split_once('/') else { return false };
    // Within 0.2 a later version only adds, and the engine finds the nearest.
    version.starts_with("0.2.")
        && OFFERED.iter().any(|(known, interfaces)| *known == package && interfaces.contains(&interface))
}

/// The imports that nobody offers, each once; the type of an import of a function without an instance stands beside it.
pub(super) fn missing(imports: &[ModuleImport]) -> Vec<String> {
    let mut missing: Vec<String> = Vec::new();
    for import in imports {
        let name = if import.module.is_empty() { &import.name } else { &import.module };
        // A type that is no resource has nothing behind it.
        let harmless = import.module.is_empty() && import.ty.starts_with("type ");
        if !harmless && !is_offered(name) && !missing.contains(name) {
            missing.push(name.clone());
        }
    }
    missing
}

/// What of a checked file nobody offers. Core modules are refused for that before.
pub(super) fn missing_of(facts: &Facts) -> Vec<String> {
    if facts.kind == ModuleKind::Component { missing(&facts.imports) } else { Vec::new() }
}

/// Whether a file is a component, by its header.
pub(super) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm") && matches!(bytes.get(4..8), Some([_, _, 1, 0]))
}

/// Checks a whole component. One that imports what nobody offers is taken in, because it may be composed with what does:
/// see [`missing`].
pub(super) fn check(bytes: &[u8]) -> Result<Facts> {
    let types = Validator::new_with_features(FEATURES).validate_all(bytes).map_err(malformed)?;
    let mut facts = Facts { kind: ModuleKind::Component, imports: Vec::new(), exports: Vec::new() };
    let (mut depth, mut size) = (0_u32, 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            // The whole ends too.
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.map_err(malformed)?.name.name;
                    if let Some(item) = types.component_item_for_import(name) {
                        imports(name, &item.ty, &types, &mut facts);
                    }
                    count(&mut size, name.len(), facts.imports.len() + facts.exports.len())?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = export.map_err(malformed)?.name.name;
                    if let Some(item) = types.component_item_for_export(name) {
                        exports(name, &item.ty, &types, &mut facts);
                    }
                    count(&mut size, name.len(), facts.imports.len() + facts.exports.len())?;
                }
            }
            _ => {}
        }
    }
    if facts.exports.is_empty() {
        return Err(invalid("the component exports nothing, so there is nothing to run"));
    }
    Ok(facts)
}

/// What an import of this name and type comes to: of an instance, each of its functions.
fn imports(name: &str, ty: &ComponentEntityType, types: &Types, facts: &mut Facts) {
    let mut push = |module: &str, name: &str, ty| {
        facts.imports.push(ModuleImport { module: module.to_owned(), name: name.to_owned(), ty });
    };
    let ComponentEntityType::Instance(id) = ty else { return push("", name, entity(ty, types)) };
    let functions = types[*id].exports.iter().filter_map(|(inner, item)| match &item.ty {
        ComponentEntityType::Func(id) => Some((inner.clone(), function(*id, types))),
        _ => None,
    });
    let functions: Vec<_> = functions.collect();
    if functions.is_empty() {
        // Types alone.
        push(name, "", "instance".to_owned());
    }
    for (inner, ty) in functions {
        push(name, &inner, ty);
    }
}

/// As [`imports`], of exports: a function of an instance is `instance#function`.
fn exports(name: &str, ty: &ComponentEntityType, types: &Types, facts: &mut Facts) {
    let mut push = |name: String, ty| facts.exports.push(ModuleExport { name, ty });
    let ComponentEntityType::Instance(id) = ty else { return push(name.to_owned(), entity(ty, types)) };
    for (inner, item) in &types[*id].exports {
        if let ComponentEntityType::Func(id) = &item.ty {
            push(format!("{name}#{inner}"), function(*id, types));
        }
    }
}

fn entity(ty: &ComponentEntityType, types: &Types) -> String {
    match ty {
        ComponentEntityType::Func(id) => function(*id, types),
        ComponentEntityType::Value(ty) => cut(|text| value(ty, types, DEEP, text)),
        ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => "resource".to_owned(),
        ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(id), .. } => cut(|text| {
            text.push_str("type ");
            defined(&types[*id], types, DEEP, text);
        }),
        ComponentEntityType::Type { .. } => "type of an interface".to_owned(),
        ComponentEntityType::Instance(_) => "instance".to_owned(),
        ComponentEntityType::Component(_) => "component".to_owned(),
        ComponentEntityType::Module(_) => "module".to_owned(),
    }
}

/// A function's type in the words of WIT, its named types written out.
fn function(id: ComponentFuncTypeId, types: &Types) -> String {
    let ty = &types[id];
    cut(|text| {
        text.push_str(if ty.async_ { "async func(" } else { "func(" });
        for (at, (name, param)) in ty.params.iter().enumerate() {
            let _ = write!(text, "{}{name}: ", if at > 0 { ", " } else { "" });
            value(param, types, DEEP, text);
        }
        text.push(')');
        if let Some(result) = &ty.result {
            text.push_str(" -> ");
            value(result, types, DEEP, text);
        }
    })
}

fn cut(write: impl FnOnce(&mut String)) -> String {
    let mut text = String::new();
    write(&mut text);
    if text.len() > MAX_TYPE {
        text.truncate(text.floor_char_boundary(MAX_TYPE));
        text.push('…');
    }
    text
}

fn value(ty: &ComponentValType, types: &Types, deep: u32, text: &mut String) {
    match ty {
        ComponentValType::Primitive(ty) => _ = write!(text, "{ty}"),
        // A type can name another again and again: written out it may be of any size.
        ComponentValType::Type(_) if deep == 0 || text.len() > MAX_TYPE => text.push('…'),
        ComponentValType::Type(id) => defined(&types[*id], types, deep - 1, text),
    }
}

fn defined(ty: &ComponentDefinedType, types: &Types, deep: u32, text: &mut String) {
    let optional = |ty: &Option<ComponentValType>, text: &mut String| match ty {
        Some(ty) => value(ty, types, deep, text),
        None => text.push('_'),
    };
    match ty {
        ComponentDefinedType::Primitive(ty) => _ = write!(text, "{ty}"),
        ComponentDefinedType::Record(record) => {
            braced("record", text, record.fields.iter(), |(name, ty), text| {
                let _ = write!(text, "{name}: ");
                value(ty, types, deep, text);
            });
        }
        ComponentDefinedType::Variant(variant) => {
            braced("variant", text, variant.cases.iter(), |(name, case), text| {
                text.push_str(name);
                if let Some(ty) = &case.ty {
                    text.push('(');
                    value(ty, types, deep, text);
                    text.push(')');
                }
            });
        }
        ComponentDefinedType::Enum(names) => {
            braced("enum", text, names.iter(), |name, text| text.push_str(name));
        }
        ComponentDefinedType::Flags(names) => {
            braced("flags", text, names.iter(), |name, text| text.push_str(name));
        }
        ComponentDefinedType::List { element, .. } => {
            text.push_str("list<");
            value(element, types, deep, text);
            text.push('>');
        }
        ComponentDefinedType::FixedLengthList { element, length, .. } => {
            text.push_str("list<");
            value(element, types, deep, text);
            let _ = write!(text, ", {length}>");
        }
        ComponentDefinedType::Map { key, value: to, .. } => {
            text.push_str("map<");
            value(key, types, deep, text);
            text.push_str(", ");
            value(to, types, deep, text);
            text.push('>');
        }
        ComponentDefinedType::Tuple(tuple) => {
            text.push_str("tuple<");
            for (at, ty) in tuple.types.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                value(ty, types, deep, text);
            }
            text.push('>');
        }
        ComponentDefinedType::Option { ty, .. } => {
            text.push_str("option<");
            value(ty, types, deep, text);
            text.push('>');
        }
        ComponentDefinedType::Result { ok: None, err: None, .. } => text.push_str("result"),
        ComponentDefinedType::Result { ok, err, .. } => {
            text.push_str("result<");
            optional(ok, text);
            if err.is_some() {
                text.push_str(", ");
                optional(err, text);
            }
            text.push('>');
        }
        ComponentDefinedType::Own(_) => text.push_str("own<resource>"),
        ComponentDefinedType::Borrow(_) => text.push_str("borrow<resource>"),
        ComponentDefinedType::Future { ty, .. } => {
            text.push_str("future<");
            optional(ty, text);
            text.push('>');
        }
        ComponentDefinedType::Stream { ty, .. } => {
            text.push_str("stream<");
            optional(ty, text);
            text.push('>');
        }
    }
}

fn braced<T>(
    word: &str,
    text: &mut String,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut String),
) {
    text.push_str(word);
    text.push_str(" {");
    for (at, item) in items.enumerate() {
        text.push_str(if at > 0 { ", " } else { " " });
        write(item, text);
        if text.len() > MAX_TYPE {
            break;
        }
    }
    text.push_str(" }");
}

/// Refuses a component that imports what nobody offers.
///
/// # Errors
/// `module_import_missing`, with the names.
pub(super) fn complete(named: &str, missing: &[String]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = missing.iter().map(|name| super::check::quoted(name)).collect();
    Err(Error::new(
        ErrorCode::ModuleImportMissing,
        format!(
            "{named} imports what nobody offers: {}; compose it with components that export it (`hero_runner compose`)",
            super::check::listed(&names)
        ),
    ))
}

#[cfg(test)]
#[path = "component_tests.rs"]
mod tests;

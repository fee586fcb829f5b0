//! One way through a file: validated, counted, and its interface noted.

use std::collections::BTreeMap;

use wasmparser::types::{EntityType, Types};
use wasmparser::{
    BinaryReader, CustomSectionReader, Export as RawExport, FuncValidatorAllocations, Import as RawImport,
    KnownCustom, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

use super::{Export, Import, Inspection, Kind, Limits, Refused, Section};

/// What core modules may use: all of WebAssembly 3.0 but threads, as the engines have it.
const MODULE: WasmFeatures = WasmFeatures::WASM3.difference(WasmFeatures::THREADS);

/// The custom section in which WasmEdge keeps machine code.
const PRECOMPILED: &str = "wasmedge";

/// Names in a report, at most; real files have some hundreds.
const MAX_INTERFACE: usize = 10_000;

pub(super) fn walk(bytes: &[u8], kind: Kind) -> Result<Inspection, Refused> {
    let malformed = |error| Refused::malformed(&error);
    let features = match kind {
        Kind::Module => MODULE,
        Kind::Component => MODULE.union(WasmFeatures::COMPONENT_MODEL),
    };
    let mut walk = Walk { found: nothing(bytes, kind), depth: 0, imports: Vec::new(), exports: Vec::new() };
    let mut validator = Validator::new_with_features(features);
    let (mut allocations, mut types) = (FuncValidatorAllocations::default(), None);
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        match validator.payload(&payload).map_err(malformed)? {
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(std::mem::take(&mut allocations));
                function.validate(&body).map_err(malformed)?;
                allocations = function.into_allocations();
                walk.found.functions += 1;
            }
            ValidPayload::End(end) => types = Some(end),
            ValidPayload::Ok | ValidPayload::Parser(_) => {}
        }
        walk.take(payload)?;
    }
    let ends_early = || Refused::invalid(format!("the file ends early (at offset {:#x})", bytes.len()));
    let types = types.ok_or_else(ends_early)?;
    if kind == Kind::Module {
        walk.interface(&types);
    }
    Ok(walk.found)
}

fn nothing(bytes: &[u8], kind: Kind) -> Inspection {
    Inspection {
        kind,
        size: bytes.len() as u64,
        wasi: String::new(),
        worlds: Vec::new(),
        permissions: Vec::new(),
        imports: Vec::new(),
        exports: Vec::new(),
        wit: None,
        start: None,
        memories: Vec::new(),
        tables: Vec::new(),
        code_bytes: 0,
        data_bytes: 0,
        functions: 0,
        modules: 0,
        components: 0,
        custom_sections: Vec::new(),
        producers: BTreeMap::new(),
        target_features: Vec::new(),
    }
}

struct Walk<'a> {
    found: Inspection,
    /// In how many modules and components inside the file.
    depth: usize,
    imports: Vec<RawImport<'a>>,
    exports: Vec<RawExport<'a>>,
}

impl<'a> Walk<'a> {
    fn take(&mut self, payload: Payload<'a>) -> Result<(), Refused> {
        let malformed = |error| Refused::malformed(&error);
        let length = |range: std::ops::Range<_>| range.end - range.start;
        let own = self.depth == 0;
        match payload {
            Payload::ModuleSection { .. } => {
                self.found.modules += 1;
                self.depth += 1;
            }
            Payload::ComponentSection { .. } => {
                self.found.components += 1;
                self.depth += 1;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ImportSection(section) if own => {
                for import in section.into_imports() {
                    self.imports.push(import.map_err(malformed)?);
                }
            }
            Payload::ExportSection(section) if own => {
                for export in section {
                    self.exports.push(export.map_err(malformed)?);
                }
            }
            Payload::MemorySection(section) if own => {
                for memory in section {
                    let memory = memory.map_err(malformed)?;
                    self.found.memories.push(Limits { min: memory.initial, max: memory.maximum });
                }
            }
            Payload::TableSection(section) if own => {
                for table in section {
                    let table = table.map_err(malformed)?.ty;
                    self.found.tables.push(Limits { min: table.initial, max: table.maximum });
                }
            }
            Payload::StartSection { func, .. } if own => self.found.start = Some(func),
            Payload::CodeSectionStart { size, .. } => self.found.code_bytes += u64::from(size),
            Payload::DataSection(section) => self.found.data_bytes += length(section.range()),
            Payload::CustomSection(section) => self.custom(&section, own)?,
            _ => {}
        }
        if self.imports.len() + self.exports.len() > MAX_INTERFACE {
            return Err(Refused::invalid(format!("it has more than {MAX_INTERFACE} imports and exports")));
        }
        Ok(())
    }

    fn custom(&mut self, section: &CustomSectionReader<'a>, own: bool) -> Result<(), Refused> {
        if section.name() == PRECOMPILED {
            return Err(Refused::precompiled("the file carries machine code in a section `wasmedge`"));
        }
        if own {
            let bytes = section.data().len() as u64;
            self.found.custom_sections.push(Section { name: section.name().to_owned(), bytes });
        }
        // What is wrong in a custom section is no fault of the file.
        match section.as_known() {
            KnownCustom::Producers(fields) => {
                for field in fields.into_iter().flatten() {
                    for value in field.values.into_iter().flatten() {
                        let text = format!("{} {}", value.name, value.version).trim_end().to_owned();
                        let list = self.found.producers.entry(field.name.to_owned()).or_default();
                        if !list.contains(&text) {
                            list.push(text);
                        }
                    }
                }
            }
            _ if section.name() == "target_features" => {
                for feature in target_features(section.data()).unwrap_or_default() {
                    if !self.found.target_features.contains(&feature) {
                        self.found.target_features.push(feature);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn interface(&mut self, types: &Types) {
        let name = |ty: Option<EntityType>| ty.map_or_else(String::new, |ty| words(&ty, types));
        for import in &self.imports {
            let ty = name(types.as_ref().entity_type_from_import(import));
            let module = Some(import.module.to_owned());
            self.found.imports.push(Import { module, name: import.name.to_owned(), ty });
        }
        for export in &self.exports {
            let ty = name(types.as_ref().entity_type_from_export(export));
            self.found.exports.push(Export { name: export.name.to_owned(), ty });
        }
    }
}

/// `target_features` of the tool conventions: a count, and for each a sign and a name.
fn target_features(data: &[u8]) -> wasmparser::Result<Vec<String>> {
    let mut reader = BinaryReader::new(data, 0);
    let count = reader.read_var_u32()?;
    let mut features = Vec::new();
    for _ in 0..count {
        let sign = char::from(reader.read_u8()?);
        features.push(format!("{sign}{}", reader.read_string()?));
    }
    Ok(features)
}

/// A type in the text format's words, for example `func (i32) -> (i32)`.
#[must_use]
pub fn words(ty: &EntityType, types: &Types) -> String {
    let limits = |initial: u64, maximum: Option<u64>| match maximum {
        Some(maximum) => format!("{initial} {maximum}"),
        None => initial.to_string(),
    };
    let function = |id: &wasmparser::types::CoreTypeId| {
        let list = |values: &[wasmparser::ValType]| {
            values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match &types[*id].composite_type.inner {
            wasmparser::CompositeInnerType::Func(ty) => {
                format!("({}) -> ({})", list(ty.params()), list(ty.results()))
            }
            _ => "?".to_owned(),
        }
    };
    match ty {
        EntityType::Func(id) | EntityType::FuncExact(id) => format!("func {}", function(id)),
        EntityType::Tag(id) => format!("tag {}", function(id)),
        EntityType::Memory(ty) => format!("memory {}", limits(ty.initial, ty.maximum)),
        EntityType::Table(ty) => format!("table {} {}", limits(ty.initial, ty.maximum), ty.element_type),
        EntityType::Global(ty) if ty.mutable => format!("global (mut {})", ty.content_type),
        EntityType::Global(ty) => format!("global {}", ty.content_type),
    }
}

//! What a component says of itself, in the words of WIT.

use wit_component::{DecodedWasm, WitPrinter};
use wit_parser::{Function, PackageId, Resolve, WorldId, WorldItem, WorldKey};

use super::{Export, Import, Inspection, Refused, needs};

/// Interfaces that would let a component do something outside of itself, by the beginning of their names.
const NEEDS: [(&str, &str); 5] = [
    ("wasi:filesystem/", "fs"),
    ("wasi:sockets/", "net"),
    ("wasi:http/outgoing-handler", "net"),
    ("wasi:http/client", "net"),
    (engine::exec::INTERFACE, "exec"),
];

/// Worlds that are known, and the interface by which each is.
const WORLDS: [(&str, &str); 2] =
    [("wasi:cli/run@", "wasi:cli/command"), ("wasi:http/incoming-handler@", "wasi:http/proxy")];

pub(super) fn describe(bytes: &[u8], inspection: &mut Inspection) -> Result<(), Refused> {
    let decoded = wit_component::decode(bytes).map_err(untold)?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(Refused::invalid("the file is a WIT package: it describes interfaces and has no code"));
    };
    let items = &resolve.worlds[world];
    for (key, item) in &items.imports {
        let name = resolve.name_world_key(key);
        inspection.imports.push(Import { module: None, name, ty: ty(&resolve, item)? });
    }
    for (key, item) in &items.exports {
        export(&resolve, key, item, &mut inspection.exports)?;
    }
    inspection.wit = Some(text(&resolve, world)?);
    let versions = inspection.imports.iter().map(|import| &import.name).chain(
        // An interface that is exported, without what it has.
        inspection.exports.iter().map(|export| &export.name).filter(|name| !name.contains('#')),
    );
    let mut versions: Vec<&str> = versions
        .filter(|name| name.starts_with("wasi:"))
        .filter_map(|name| name.split_once('@').map(|(_, version)| version))
        .collect();
    versions.sort_unstable();
    versions.dedup();
    inspection.wasi = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
    let exports = |start: &str| inspection.exports.iter().any(|export| export.name.starts_with(start));
    let known = WORLDS.iter().filter(|(interface, _)| exports(interface));
    inspection.worlds = known.map(|(_, world)| (*world).to_owned()).collect();
    if inspection.worlds.is_empty() {
        inspection.worlds.push("library".to_owned());
    }
    inspection.permissions = needs(&inspection.imports, |import| {
        NEEDS.iter().find(|(start, _)| import.name.starts_with(start)).map(|(_, permission)| *permission)
    });
    Ok(())
}

fn untold(error: impl std::fmt::Display) -> Refused {
    Refused::invalid(format!("its interface cannot be told in WIT: {error:#}"))
}

fn export(
    resolve: &Resolve,
    key: &WorldKey,
    item: &WorldItem,
    exports: &mut Vec<Export>,
) -> Result<(), Refused> {
    let name = resolve.name_world_key(key);
    exports.push(Export { name: name.clone(), ty: ty(resolve, item)? });
    if let WorldItem::Interface { id, .. } = item {
        for function in resolve.interfaces[*id].functions.values() {
            let name = format!("{name}#{}", function.name);
            exports.push(Export { name, ty: signature(resolve, function)? });
        }
    }
    Ok(())
}

fn ty(resolve: &Resolve, item: &WorldItem) -> Result<String, Refused> {
    Ok(match item {
        WorldItem::Interface { .. } => "interface".to_owned(),
        WorldItem::Function(function) => signature(resolve, function)?,
        WorldItem::Type { .. } => "type".to_owned(),
    })
}

/// A function's type: `func(a: u32) -> string`.
fn signature(resolve: &Resolve, function: &Function) -> Result<String, Refused> {
    let name = |ty| {
        let mut printer = WitPrinter::default();
        printer.print_type_name(resolve, ty).map_err(untold)?;
        Ok(printer.output.to_string())
    };
    let mut params = Vec::with_capacity(function.params.len());
    for param in &function.params {
        params.push(format!("{}: {}", param.name, name(&param.ty)?));
    }
    let result = match &function.result {
        Some(ty) => format!(" -> {}", name(ty)?),
        None => String::new(),
    };
    let asynchronous = if function.kind.is_async() { "async " } else { "" };
    Ok(format!("{asynchronous}func({}){result}", params.join(", ")))
}

/// The world and its own interfaces.
fn text(resolve: &Resolve, world: WorldId) -> Result<String, Refused> {
    let Some(package) = resolve.worlds[world].package else { return Ok(String::new()) };
    let foreign: Vec<PackageId> = resolve
        .packages
        .iter()
        .filter(|(id, one)| *id != package && one.name.namespace != "wasi")
        .map(|(id, _)| id)
        .collect();
    let mut printer = WitPrinter::default();
    printer.print(resolve, package, &foreign).map_err(untold)?;
    Ok(printer.output.to_string())
}

//! What a WebAssembly file says of itself: imports, exports, sizes, and what it would need.

mod component;
mod file;
mod walk;

use std::collections::BTreeMap;

pub use api::inspection::{Export, Import, Inspection, Kind, Limits, Need, Section};
pub use file::{Refused, header};
pub use walk::words;

/// Reads a whole file, and validates it.
///
/// # Errors
/// When it is no valid WebAssembly file, with the offset of what is wrong, or compiled for some machine.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Refused> {
    let kind = header(bytes)?;
    let mut inspection = walk::walk(bytes, kind)?;
    match kind {
        Kind::Component => component::describe(bytes, &mut inspection)?,
        Kind::Module => describe_module(&mut inspection),
    }
    Ok(inspection)
}

fn describe_module(inspection: &mut Inspection) {
    let from =
        |module: &str| inspection.imports.iter().any(|import| import.module.as_deref() == Some(module));
    let wasi = match (from(engine::wasi::MODULE), from("wasi_unstable")) {
        (true, _) => "preview1",
        (false, true) => "unstable",
        (false, false) => "none",
    };
    inspection.wasi = wasi.to_owned();
    let program = inspection.export("_start").is_some();
    inspection.worlds = vec![if program { "command" } else { "library" }.to_owned()];
    let net = ["sock_open", "sock_connect", "sock_getaddrinfo", "sock_send_to"];
    inspection.permissions = needs(&inspection.imports, |import| match import.name.as_str() {
        _ if import.module.as_deref() == Some(engine::exec::MODULE) => Some("exec"),
        name if name.starts_with("path_") => Some("fs"),
        name if net.iter().any(|start| name.trim_end_matches("_v2") == *start) => Some("net"),
        _ => None,
    });
}

/// Which permissions imports would need.
fn needs(imports: &[Import], of: impl Fn(&Import) -> Option<&'static str>) -> Vec<Need> {
    let mut needs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for import in imports {
        if let Some(permission) = of(import) {
            needs.entry(permission).or_default().push(import.name.clone());
        }
    }
    let need = |(permission, imports): (&str, _)| Need { permission: permission.to_owned(), imports };
    needs.into_iter().map(need).collect()
}

#[cfg(test)]
#[path = "inspect/tests.rs"]
mod tests;

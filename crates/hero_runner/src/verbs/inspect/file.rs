//! What a WebAssembly file says of itself; no server is asked.

use std::path::Path;

use anyhow::Context as _;
use package::inspect::{Inspection, Kind, Limits, inspect};

use crate::console::Style;
use crate::table::{Table, facts};
use crate::{Context, text};

/// Whether a word names a file and no session: it has a slash or an extension.
pub(super) fn is_path(word: &str) -> bool {
    word.contains('/') || Path::new(word).extension().is_some()
}

/// Reads a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Inspection> {
    let place = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(place)?;
    inspect(&bytes).with_context(place)
}

pub(super) fn print(context: &Context, found: &Inspection) -> anyhow::Result<()> {
    let console = &context.console;
    let mut report = facts(console, &rows(found));
    let mut add = |title: &str, body: String| {
        report += &format!("\n{}\n{body}", console.paint(Style::Bold, title));
    };
    if !found.permissions.is_empty() {
        let mut table = Table::new(&["PERMISSION", "BECAUSE IT IMPORTS"]);
        for need in &found.permissions {
            table.row([need.permission.clone(), need.imports.join(", ")]);
        }
        add("May need", table.render(console));
    }
    if !found.imports.is_empty() {
        let mut table = Table::new(&["NAME", "TYPE"]);
        for import in &found.imports {
            table.row([import.full(), import.ty.clone()]);
        }
        add("Imports", table.render(console));
    }
    if !found.exports.is_empty() {
        let mut table = Table::new(&["NAME", "TYPE"]);
        for export in &found.exports {
            table.row([export.name.clone(), export.ty.clone()]);
        }
        add("Exports", table.render(console));
    }
    if !found.custom_sections.is_empty() {
        let mut table = Table::new(&["SECTION", "SIZE"]);
        for section in &found.custom_sections {
            table.row([section.name.clone(), text::bytes(section.bytes)]);
        }
        add("Custom sections", table.render(console));
    }
    if let Some(wit) = &found.wit {
        // A name of its author's may hold anything.
        add("WIT", wit.lines().map(|line| text::plain(line) + "\n").collect());
    }
    console.print(&report)
}

fn rows(found: &Inspection) -> Vec<(&'static str, String)> {
    let wasi = match found.wasi.as_str() {
        "none" => "without WASI".to_owned(),
        version => format!("WASI {version}"),
    };
    let mut rows = vec![("kind", format!("{}, {wasi}", found.kind)), ("for", found.worlds.join(", "))];
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add(
        "size",
        Some(format!(
            "{}: code {} in {} functions, data {}",
            text::bytes(found.size),
            text::bytes(found.code_bytes),
            found.functions,
            text::bytes(found.data_bytes)
        )),
    );
    if found.kind == Kind::Component {
        add("holds", Some(format!("{} modules, {} components", found.modules, found.components)));
    }
    for memory in &found.memories {
        let size = |pages: u64| format!("{pages} pages ({})", text::bytes(pages.saturating_mul(64 << 10)));
        add("memory", Some(limits(*memory, size)));
    }
    for table in &found.tables {
        add("table", Some(limits(*table, |elements| format!("{elements} elements"))));
    }
    add("start", found.start.map(|function| format!("function {function} runs when it is instantiated")));
    for (field, values) in &found.producers {
        add("made by", Some(format!("{field}: {}", values.join(", "))));
    }
    add("features", (!found.target_features.is_empty()).then(|| found.target_features.join(" ")));
    rows
}

fn limits(limits: Limits, say: impl Fn(u64) -> String) -> String {
    let max =
        limits.max.map_or_else(|| "no limit of its own".to_owned(), |max| format!("at most {}", say(max)));
    format!("{} at first, {max}", say(limits.min))
}

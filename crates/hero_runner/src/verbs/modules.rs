//! `hero_runner modules`.

use std::path::PathBuf;

use anyhow::Context as _;
use api::ModuleKind;
use api::method::{ModuleGetMethod, ModuleListMethod, ModuleRemoveMethod, NoParams};
use api::module::{ArtifactState, ModuleDetail, ModuleInfo, ModuleRef};
use clap::Subcommand;
use serde_json::json;

use super::run::module::Module;
use crate::table::{Table, facts};
use crate::{Context, text};

/// List, add, show and remove modules.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the registered modules
    List,
    /// Register a file under a name
    Put {
        /// The name
        name: String,
        /// A .wasm file
        file: PathBuf,
    },
    /// Show one module: what it imports and exports, and whether it is compiled
    Get {
        /// Its name, or its digest
        name: String,
    },
    /// Remove a name, and the module with its last one
    Rm {
        /// The name
        name: String,
    },
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let Context { client, console } = context;
    match args.verb.unwrap_or(Verb::List) {
        Verb::List => {
            let modules = client.call::<ModuleListMethod>(NoParams {}).await?.modules;
            if console.json {
                console.json(&modules)?;
            } else {
                console.print(&table(&modules, text::now_ms()).render(console))?;
            }
        }
        Verb::Put { name, file } => {
            let stored = Module::register(client, &name, &file).await?;
            if console.json {
                console.json(&stored)?;
            } else {
                console.say(&format!("{} {}", stored.info.name, stored.info.digest))?;
            }
        }
        Verb::Get { name } => {
            let module = client.call::<ModuleGetMethod>(ModuleRef { name }).await?;
            if console.json {
                console.json(&module)?;
            } else {
                console.print(&facts(console, &rows(&module)))?;
            }
        }
        Verb::Rm { name } => {
            let request = ModuleRef { name: name.clone() };
            let removed = client.call::<ModuleRemoveMethod>(request).await;
            removed.with_context(|| format!("cannot remove module {name}"))?;
            if console.json {
                console.json(&json!({ "removed": name }))?;
            } else {
                console.say(&name)?;
            }
        }
    }
    Ok(0)
}

fn artifact(state: &ArtifactState) -> String {
    match state {
        ArtifactState::Interpreted => "interpreted".to_owned(),
        ArtifactState::Compiling => "compiling".to_owned(),
        ArtifactState::Compiled { size, .. } => format!("compiled, {}", text::bytes(*size)),
        ArtifactState::Failed { why } => format!("failed: {why}"),
    }
}

fn kind(kind: ModuleKind) -> &'static str {
    match kind {
        ModuleKind::Core => "module",
        ModuleKind::Component => "component",
    }
}

fn table(modules: &[ModuleInfo], now_ms: u64) -> Table {
    let mut table = Table::new(&["NAME", "DIGEST", "KIND", "SIZE", "AGE", "STATE"]);
    for module in modules {
        let digest = module.digest.strip_prefix("sha256:").unwrap_or(&module.digest);
        table.row([
            module.name.clone(),
            digest.chars().take(12).collect(),
            kind(module.kind).to_owned(),
            text::bytes(module.size),
            text::ago(module.created_at, now_ms),
            artifact(&module.artifact),
        ]);
    }
    table
}

fn rows(module: &ModuleDetail) -> Vec<(&'static str, String)> {
    let info = &module.info;
    let mut rows = vec![
        ("name", info.name.clone()),
        ("digest", info.digest.clone()),
        ("kind", kind(info.kind).to_owned()),
        ("size", text::bytes(info.size)),
        ("registered", text::timestamp(info.created_at)),
        ("state", artifact(&info.artifact)),
    ];
    if let ArtifactState::Compiled { compile_ms, .. } = info.artifact {
        rows.push(("compiled in", text::span(compile_ms.saturating_mul(1000))));
    }
    rows.extend(module.imports.iter().map(|i| ("import", format!("{}.{} {}", i.module, i.name, i.ty))));
    rows.extend(module.exports.iter().map(|e| ("export", format!("{} {}", e.name, e.ty))));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;

    #[test]
    fn the_list_shows_what_is_compiled() {
        let info = |name: &str, artifact| ModuleInfo {
            name: name.into(),
            digest: format!("sha256:{}", "0123456789abcdef".repeat(4)),
            kind: ModuleKind::Core,
            size: 65_536,
            created_at: 0,
            artifact,
        };
        let modules = [
            info("hello", ArtifactState::Compiled { size: 131_072, compile_ms: 5 }),
            info("qjs", ArtifactState::Failed { why: "it took too long".into() }),
        ];
        let console = Console { json: false, quiet: false, color: false };
        let expected = "\
NAME   DIGEST        KIND    SIZE      AGE     STATE
hello  0123456789ab  module  64.0 KiB  5s ago  compiled, 128.0 KiB
qjs    0123456789ab  module  64.0 KiB  5s ago  failed: it took too long
";
        assert_eq!(table(&modules, 5000).render(&console), expected);
    }
}

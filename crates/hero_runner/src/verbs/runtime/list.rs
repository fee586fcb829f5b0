//! `hero_runner runtime list`.

use api::template::{ScriptPass, TemplateInfo};

use super::super::templates::state;
use crate::table::Table;
use crate::{Context, text};

pub(super) async fn run(context: &Context) -> anyhow::Result<u8> {
    let mut runtimes = super::all(&context.client).await?;
    runtimes.sort_by(|one, other| one.name.cmp(&other.name));
    if context.console.json {
        context.console.json(&runtimes)?;
    } else {
        context.console.print(&table(&runtimes).render(&context.console))?;
    }
    Ok(0)
}

fn table(runtimes: &[TemplateInfo]) -> Table {
    let heading = ["NAME", "MODULE", "EXTENSIONS", "INTERPRETERS", "PASS", "STATE", "SCRIPTS", "MEMORY"];
    let mut table = Table::new(&heading);
    let list = |words: &[String]| if words.is_empty() { "-".to_owned() } else { words.join(" ") };
    for runtime in runtimes {
        let Some(script) = &runtime.spec.script else { continue };
        let pass = match script.pass {
            ScriptPass::Stdin => "stdin",
            ScriptPass::Envelope => "envelope",
        };
        table.row([
            runtime.name.clone(),
            text::module(&runtime.spec.module),
            list(&script.extensions),
            list(&script.interpreters),
            pass.to_owned(),
            state(runtime.state).to_owned(),
            runtime.sessions_total.to_string(),
            runtime.pss_kb.map_or_else(|| "-".to_owned(), text::kib),
        ]);
    }
    table
}

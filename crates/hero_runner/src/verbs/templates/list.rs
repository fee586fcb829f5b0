//! `hero_runner templates list`.

use api::method::{NoParams, TemplateListMethod};
use api::template::TemplateInfo;

use super::state;
use crate::table::Table;
use crate::{Context, text};

pub(super) async fn run(context: &Context) -> anyhow::Result<u8> {
    let templates = context.client.call::<TemplateListMethod>(NoParams {}).await?.templates;
    if context.console.json {
        context.console.json(&templates)?;
    } else {
        context.console.print(&table(&templates).render(&context.console))?;
    }
    Ok(0)
}

fn table(templates: &[TemplateInfo]) -> Table {
    let heading = ["NAME", "MODULE", "WARM", "STATE", "PARKED", "RUNNING", "SESSIONS", "MEMORY", "WARMED IN"];
    let mut table = Table::new(&heading);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for template in templates {
        table.row([
            text::module(&template.name),
            text::module(&template.spec.module),
            template.spec.warm.to_string(),
            state(template.state).to_owned(),
            template.parked.to_string(),
            template.running.to_string(),
            template.sessions_total.to_string(),
            or_dash(template.pss_kb.map(text::kib)),
            or_dash(template.warm_ms.map(|ms| text::span(ms.saturating_mul(1000)))),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;
    use serde_json::json;

    #[test]
    fn the_list_shows_what_stands_and_what_does_not() {
        let templates = json!([
            {
                "name": "echo", "spec": { "module": format!("sha256:{}", "ab".repeat(32)), "warm": "stdin" },
                "origin": "created", "state": "warm", "why": null, "retry_in_ms": null, "digest": "sha256:00",
                "pid": 7, "warm_ms": 12, "pss_kb": 2048, "parked": 2, "running": 1, "sessions_total": 40, "failures": 0,
            },
            {
                "name": "python", "spec": { "module": "python", "warm": "stdin" }, "origin": "file",
                "state": "failed", "why": "it ended", "retry_in_ms": 5, "digest": null, "pid": null, "warm_ms": null,
                "pss_kb": null, "parked": 0, "running": 0, "sessions_total": 0, "failures": 1,
            },
        ]);
        let templates: Vec<TemplateInfo> = serde_json::from_value(templates).unwrap();
        let console = Console { json: false, quiet: false, color: false };
        let expected = "\
NAME    MODULE                WARM   STATE   PARKED  RUNNING  SESSIONS  MEMORY   WARMED IN
echo    sha256:abababababab…  stdin  warm    2       1        40        2.0 MiB  12.0 ms
python  python                stdin  failed  0       0        0         -        -
";
        assert_eq!(table(&templates).render(&console), expected);
    }
}

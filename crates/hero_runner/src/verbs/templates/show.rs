//! `hero_runner templates show`.

use api::method::TemplateGetMethod;
use api::session::DirMode;
use api::template::{ScriptPass, TemplateCreate, TemplateInfo, TemplateOrigin, TemplateRef};

use super::state;
use crate::table::facts;
use crate::{Context, text};

/// How much of an argument is shown, in characters: it may be a whole program.
const SHOWN: usize = 60;

pub(super) async fn run(context: &Context, name: String) -> anyhow::Result<u8> {
    let template = context.client.call::<TemplateGetMethod>(TemplateRef { name }).await?;
    if context.console.json {
        context.console.json(&template)?;
    } else {
        context.console.print(&facts(&context.console, &rows(&template)))?;
    }
    Ok(0)
}

fn rows(template: &TemplateInfo) -> Vec<(&'static str, String)> {
    let span = |ms: u64| text::span(ms.saturating_mul(1000));
    let origin = match template.origin {
        TemplateOrigin::Created => "was asked for",
        TemplateOrigin::File => "stands in the file of the setting templates_file",
        TemplateOrigin::Builtin => "comes with the server",
        TemplateOrigin::Automatic => "made by the server, for a module that is used often",
    };
    let mut rows = vec![
        ("name", template.name.clone()),
        ("module", template.spec.module.clone()),
        ("origin", origin.to_owned()),
        ("state", state(template.state).to_owned()),
    ];
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("why", template.why.clone());
    add("failures", (template.failures > 0).then(|| format!("{} in a row", template.failures)));
    add("tried again", template.retry_in_ms.map(|ms| format!("in {}", span(ms))));
    add("digest", template.digest.clone());
    add("pid", template.pid.map(|pid| pid.to_string()));
    add("warmed in", template.warm_ms.map(span));
    add("memory", template.pss_kb.map(text::kib));
    add("parked", Some(template.parked.to_string()));
    add("running", Some(template.running.to_string()));
    add("sessions", Some(template.sessions_total.to_string()));
    rows.extend(asked(&template.spec));
    rows
}

/// What was asked for.
fn asked(spec: &TemplateCreate) -> Vec<(&'static str, String)> {
    let mut rows = vec![("warm", spec.warm.to_string())];
    let list = |words: &[String]| if words.is_empty() { "-".to_owned() } else { words.join(", ") };
    if let Some(script) = &spec.script {
        let pass = match script.pass {
            ScriptPass::Stdin => "the script is standard input",
            ScriptPass::Envelope => "an envelope with name, arguments, environment and script",
        };
        rows.push(("scripts", pass.to_owned()));
        rows.push(("extensions", list(&script.extensions)));
        rows.push(("interpreters", list(&script.interpreters)));
    }
    rows.extend(spec.args.iter().map(|arg| ("arg", shortened(arg))));
    rows.extend(spec.env_vars.iter().map(|(name, value)| ("env", shortened(&format!("{name}={value}")))));
    rows.extend(spec.dirs.iter().map(|dir| {
        let mode = if dir.mode == DirMode::Read { "read" } else { "read and write" };
        ("folder", format!("{} as {}, {mode}", dir.host, dir.guest.as_deref().unwrap_or(&dir.host)))
    }));
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("memory limit", spec.memory_limit_mb.map(|limit| text::bytes(u64::from(limit) << 20)));
    add("min spare", spec.min_spare.map(|count| count.to_string()));
    add("max spare", spec.max_spare.map(|count| count.to_string()));
    add("ttl", spec.ttl_s.map(|seconds| text::span(seconds.saturating_mul(1_000_000))));
    rows
}

/// The beginning of a text that may be long, on one line.
fn shortened(whole: &str) -> String {
    let line = whole.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(SHOWN).collect();
    if shown.len() == whole.len() {
        return shown;
    }
    format!("{shown}… ({})", text::bytes(whole.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failure_is_told_with_its_reason_and_the_next_try() {
        let template = serde_json::from_value(json!({
            "name": "python",
            "spec": {
                "module": "python", "warm": "stdin", "args": ["-c", "import sys\nprint(1)\n"], "ttl_s": 600,
                "env_vars": { "A": "b" }, "dirs": [{ "host": "/h", "guest": "/g", "mode": "read-write" }],
                "script": { "pass": "envelope", "extensions": ["py"] },
            },
            "origin": "created", "state": "failed", "why": "it ended", "retry_in_ms": 2500, "digest": null,
            "pid": null, "warm_ms": null, "pss_kb": null, "parked": 0, "running": 0, "sessions_total": 0, "failures": 3,
        }));
        let rows = rows(&template.unwrap());
        for row in [
            ("state", "failed"),
            ("why", "it ended"),
            ("failures", "3 in a row"),
            ("tried again", "in 2.5 s"),
            ("warm", "stdin"),
            ("extensions", "py"),
            ("interpreters", "-"),
            ("arg", "-c"),
            ("arg", "import sys… (20 B)"),
            ("env", "A=b"),
            ("folder", "/h as /g, read and write"),
            ("ttl", "10m 00s"),
        ] {
            assert!(rows.contains(&(row.0, row.1.to_owned())), "{row:?}: {rows:?}");
        }
    }
}

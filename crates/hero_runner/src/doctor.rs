//! `hero_runner doctor`: what this machine offers, and what to do about what is missing.

mod kernel;
mod places;
mod toolchain;

use serde::Serialize;
use serde_json::json;

use crate::Context;
use crate::console::Style;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// As it should be.
    Ok,
    /// Sessions run without it; something else does not, or is less safe.
    Warn,
    /// No session can run.
    Fail,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    level: Level,
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, found: found.into(), hint: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, found: found.into(), hint: Some(hint.into()) }
    }

    fn fail(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, found: found.into(), hint: Some(hint.into()) }
    }
}

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let mut checks = toolchain::checks();
    checks.extend(kernel::checks());
    checks.extend(places::checks(context).await);
    let worst = checks.iter().map(|check| check.level).max().unwrap_or(Level::Ok);
    if context.console.json {
        context.console.json(&json!({ "result": worst, "checks": checks }))?;
    } else {
        context.console.print(&text(&checks, context))?;
    }
    Ok(u8::from(worst == Level::Fail))
}

fn text(checks: &[Check], context: &Context) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let (label, style) = match check.level {
            Level::Ok => ("ok  ", Style::Green),
            Level::Warn => ("warn", Style::Yellow),
            Level::Fail => ("FAIL", Style::Red),
        };
        let found = crate::text::plain(&check.found);
        text += &format!("{}  {:<width$}  {found}\n", context.console.paint(style, label), check.name);
        if let Some(hint) = &check.hint {
            text += &format!("{:width$}        -> {hint}\n", "");
        }
    }
    text
}

/// The first line of a program's output, when it can be run and succeeds.
fn first_line(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Result<String, String> {
    let output = std::process::Command::new(&program)
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let line =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().trim().to_owned();
    if output.status.success() {
        Ok(line(&output.stdout))
    } else {
        Err(format!("{} {}", output.status, line(&output.stderr)).trim().to_owned())
    }
}

/// A file's text without the white space around it.
fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;

    #[test]
    fn the_hint_stands_under_its_finding() {
        let console = Console { json: false, quiet: false, color: false };
        let context = Context { client: client::Client::new("/s"), console };
        let checks = [Check::ok("kernel", "6.1"), Check::fail("pidfd", "not there", "update the kernel")];
        let expected = "ok    kernel  6.1\nFAIL  pidfd   not there\n              -> update the kernel\n";
        assert_eq!(text(&checks, &context), expected);
    }

    #[test]
    fn a_program_that_fails_says_why() {
        assert_eq!(first_line("echo", &["a\nb"]), Ok("a".to_owned()));
        assert!(first_line("sh", &["-c", "echo no >&2; exit 3"]).unwrap_err().contains("3 no"));
        assert!(first_line("/missing/program", &[]).is_err());
    }
}

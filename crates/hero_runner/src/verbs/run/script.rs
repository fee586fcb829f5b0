//! Scripts: their text, and the runtime that they are for.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use api::template::{ScriptPass, TemplateInfo};

use crate::failure::advise;

/// The largest script that is read, in bytes. What the server takes is up to its settings.
const MAX: u64 = 64 << 20;

/// The name of a script that came through standard input.
pub(super) const STDIN: &str = "-";

/// A script that knows its runtime.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) runtime: String,
    /// Whether its standard input is its own.
    pub(super) reads_input: bool,
}

impl Script {
    /// Finds the runtime for a script: the one that was chosen, else the one of its `#!` line, else the one of its extension.
    pub(super) fn of(
        runtimes: &[TemplateInfo],
        chosen: Option<&str>,
        name: &str,
        source: String,
    ) -> anyhow::Result<Self> {
        let runtime = match chosen {
            Some(chosen) => by_name(runtimes, chosen)
                .ok_or_else(|| advise(format!("there is no runtime {chosen:?}"), offer(runtimes)))?,
            None => suitable(runtimes, name, &source)?,
        };
        let pass = runtime.spec.script.as_ref().map(|script| script.pass);
        let source = if is_rhai(runtime) { without_interpreter(source) } else { source };
        Ok(Self {
            name: name.to_owned(),
            source,
            runtime: runtime.name.clone(),
            reads_input: pass == Some(ScriptPass::Envelope) && name != STDIN,
        })
    }
}

/// The runtime for a script that nobody chose one for.
fn suitable<'a>(runtimes: &'a [TemplateInfo], name: &str, source: &str) -> anyhow::Result<&'a TemplateInfo> {
    let interpreter = interpreter(source);
    if let Some(runtime) = interpreter.and_then(|interpreter| by_name(runtimes, interpreter)) {
        return Ok(runtime);
    }
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    if let Some(runtime) = extension.and_then(|extension| by_extension(runtimes, extension)) {
        return Ok(runtime);
    }
    let why = match (interpreter, extension) {
        (Some(interpreter), Some(extension)) => {
            format!("no runtime for {interpreter}, which its `#!` line names, nor for .{extension}")
        }
        (Some(interpreter), None) => format!("no runtime for {interpreter}, which its `#!` line names"),
        (None, Some(extension)) => format!("no runtime for .{extension}"),
        (None, None) if name == STDIN => {
            let message = "the script from standard input has no `#!` line that says what runs it";
            return Err(advise(message, format!("choose with --runtime NAME; {}", offer(runtimes))));
        }
        (None, None) => "neither an extension nor a `#!` line says what runs it".to_owned(),
    };
    Err(advise(format!("{name}: {why}"), offer(runtimes)))
}

/// What can be done about a runtime that is missing.
fn offer(runtimes: &[TemplateInfo]) -> String {
    if runtimes.is_empty() {
        return "there are no runtimes yet: `hero_runner runtime add NAME FILE.wasm` adds one".to_owned();
    }
    let each = runtimes.iter().map(|runtime| {
        let script = runtime.spec.script.iter();
        let extensions: Vec<String> =
            script.flat_map(|script| &script.extensions).map(|extension| format!(".{extension}")).collect();
        if extensions.is_empty() {
            runtime.name.clone()
        } else {
            format!("{} ({})", runtime.name, extensions.join(" "))
        }
    });
    let each: Vec<String> = each.collect();
    format!("there are {}; --runtime NAME chooses one, `hero_runner runtime add` adds one", each.join(", "))
}

/// A runtime of this name, else one that knows the name as an interpreter's. `python3.12` is also known as `python`.
fn by_name<'a>(runtimes: &'a [TemplateInfo], name: &str) -> Option<&'a TemplateInfo> {
    let known = |name: &str| {
        let named = runtimes.iter().find(|runtime| runtime.name == name);
        let knows = |runtime: &&TemplateInfo| {
            runtime.spec.script.iter().any(|script| script.interpreters.iter().any(|known| known == name))
        };
        named.or_else(|| runtimes.iter().find(knows))
    };
    known(name).or_else(|| known(name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')))
}

fn by_extension<'a>(runtimes: &'a [TemplateInfo], extension: &str) -> Option<&'a TemplateInfo> {
    let takes = |known: &String| known.eq_ignore_ascii_case(extension);
    runtimes
        .iter()
        .find(|runtime| runtime.spec.script.iter().any(|script| script.extensions.iter().any(takes)))
}

/// The interpreter that a `#!` line names: the last part of its path, or the word after `env`.
fn interpreter(source: &str) -> Option<&str> {
    let mut words = source.strip_prefix("#!")?.lines().next()?.split_whitespace();
    let program = last_part(words.next()?);
    let program = match program {
        // Its options and the variables that it sets stand in front of the program.
        "env" => last_part(words.find(|word| !word.starts_with('-') && !word.contains('='))?),
        _ => program,
    };
    Some(program).filter(|program| !program.is_empty())
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Rhai takes a `#!` line for a mistake.
fn is_rhai(runtime: &TemplateInfo) -> bool {
    runtime.name == "rhai" || runtime.spec.module == "rhai"
}

/// The script with a comment in the place of its `#!` line; its other lines keep their numbers.
fn without_interpreter(source: String) -> String {
    if !source.starts_with("#!") {
        return source;
    }
    let end = source.find('\n').unwrap_or(source.len());
    format!("//{}", &source[end..])
}

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Module,
    Script(String),
}

/// Looks into a file; it may also be a pipe.
pub(super) fn read_file(path: &Path) -> anyhow::Result<Content> {
    let what = || format!("cannot read {}", path.display());
    read(&path.display().to_string(), File::open(path).with_context(what)?)
}

/// Reads a script from standard input, to its end.
pub(super) fn read_stdin() -> anyhow::Result<Content> {
    read("standard input", io::stdin().lock())
}

fn read(name: &str, mut reader: impl Read) -> anyhow::Result<Content> {
    let what = || format!("cannot read {name}");
    let mut bytes = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut bytes).with_context(what)?;
    if bytes == b"\0asm" {
        return Ok(Content::Module);
    }
    reader.take(MAX + 1 - bytes.len() as u64).read_to_end(&mut bytes).with_context(what)?;
    if bytes.len() as u64 > MAX {
        let message = format!("{name} is too large for a script: it has more than {} MiB", MAX >> 20);
        return Err(advise(message, "let it read its data from standard input or a folder"));
    }
    match String::from_utf8(bytes) {
        Ok(source) => Ok(Content::Script(source)),
        Err(error) => Err(advise(
            format!("{name} is no WebAssembly module, and no script in UTF-8: {}", error.utf8_error()),
            "name a .wasm file, or a script in UTF-8",
        )),
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;

//! `hero_runner compose`: plugs components together, as a WAC file says.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use miette::Diagnostic;
use serde_json::json;
use wac_graph::EncodeOptions;
use wac_parser::Document;
use wac_resolver::{FileSystemPackageResolver, packages};

use crate::Context;
use crate::failure::advise;

const AFTER: &str = "\
A package such as `hero:core-libs` is the file of --dep, else hero/core-libs.wasm in the folder of packages; with a
version, hero:core-libs@1.0.0, it is hero/core-libs/1.0.0.wasm there. The language is the one of the WAC tools:
https://github.com/bytecodealliance/wac/blob/main/LANGUAGE.md";

/// Plug components together.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// What is plugged into what
    #[arg(value_name = "FILE.wac")]
    file: PathBuf,
    /// Where the composed component goes [default: FILE.wasm beside it]
    // Not -o, which is the format of results.
    #[arg(long = "out", value_name = "OUT.wasm")]
    out: Option<PathBuf>,
    /// The file of a package; once for each
    #[arg(long = "dep", value_name = "PACKAGE=FILE", value_parser = dependency)]
    dependencies: Vec<(String, PathBuf)>,
    /// The folder of packages [default: deps beside the file]
    #[arg(long, value_name = "DIR")]
    deps_dir: Option<PathBuf>,
}

/// Reads `hero:core-libs=core_libs.wasm`.
fn dependency(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((package, file)) if package.contains(':') && !package.contains('@') && !file.is_empty() => {
            Ok((package.to_owned(), file.into()))
        }
        _ => Err(
            "say PACKAGE=FILE, for example hero:core-libs=core_libs.wasm; packages with a version come from \
                  --deps-dir"
                .to_owned(),
        ),
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> anyhow::Result<u8> {
    let out = args.out.clone().unwrap_or_else(|| args.file.with_extension("wasm"));
    let bytes = compose(args)?;
    fs::write(&out, &bytes).with_context(|| format!("cannot write {}", out.display()))?;
    if context.console.json {
        context.console.json(&json!({ "file": out, "bytes": bytes.len() }))?;
    } else {
        context.console.say(&format!("composed {}, {} KiB", out.display(), bytes.len().div_ceil(1024)))?;
    }
    Ok(0)
}

/// The composed component.
fn compose(args: &Args) -> anyhow::Result<Vec<u8>> {
    let file = &args.file;
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let document = Document::parse(&text).map_err(|error| located(file, &text, &error))?;
    let keys = packages(&document).map_err(|error| located(file, &text, &error))?;

    let beside = || file.parent().unwrap_or(Path::new("")).join("deps");
    let folder = args.deps_dir.clone().unwrap_or_else(beside);
    let files: HashMap<String, PathBuf> = args.dependencies.iter().cloned().collect();
    if let Some(name) = files.keys().find(|name| !keys.keys().any(|key| key.name == name.as_str())) {
        let hint = format!("{} does not name it: leave --dep {name}=… out", file.display());
        return Err(advise(format!("no package {name} is used"), hint));
    }
    let found = FileSystemPackageResolver::new(&folder, files, true).resolve(&keys).map_err(|error| {
        let missing = match &error {
            wac_resolver::Error::UnknownPackage { name, .. } => Some(name.clone()),
            _ => None,
        };
        let error = located(file, &text, &error);
        match missing {
            Some(name) => advise(
                error.to_string(),
                format!("say --dep {name}=FILE.wasm, or put it into {}", folder.display()),
            ),
            None => error,
        }
    })?;
    let resolution = document.resolve(found).map_err(|error| located(file, &text, &error))?;
    resolution.encode(EncodeOptions::default()).map_err(|error| located(file, &text, &error))
}

/// The failure with the place that it is about, as `file:line:column`, and all its causes.
fn located<E: Diagnostic + Error>(file: &Path, text: &str, error: &E) -> anyhow::Error {
    let mut message = file.display().to_string();
    if let Some(label) = error.labels().and_then(|mut labels| labels.next()) {
        let before = text.get(..label.offset()).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        message += &format!(":{line}:{column}");
    }
    message += &format!(": {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        message += &format!(": {error}");
        cause = error.source();
    }
    anyhow::Error::msg(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component that has nothing, made of nothing but the eight bytes of its header.
    const EMPTY: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    fn composed(wac: &str, dependencies: &[&str]) -> anyhow::Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it.wac");
        fs::write(&file, wac).unwrap();
        fs::write(folder.path().join("empty.wasm"), EMPTY).unwrap();
        fs::write(folder.path().join("text.wasm"), "text").unwrap();
        let dependencies = dependencies.iter().map(|text| {
            let (package, path) = dependency(text).unwrap();
            (package, folder.path().join(path))
        });
        compose(&Args { file, out: None, dependencies: dependencies.collect(), deps_dir: None })
    }

    fn failure(wac: &str, dependencies: &[&str]) -> String {
        composed(wac, dependencies).unwrap_err().to_string()
    }

    #[test]
    fn components_become_one() {
        let bytes = composed("package a:b;\nlet c = new d:e { ... };\n", &["d:e=empty.wasm"]).unwrap();
        assert_eq!(bytes[..8], EMPTY);
        assert!(bytes.len() > EMPTY.len());
    }

    #[test]
    fn a_failure_says_where() {
        let wac = "package a:b;\n\nlet c = new d:e {};\nexport c;\n";
        assert!(failure("package a:b;\nlet c new d:e {};\n", &[]).contains("it.wac:2:7: expected"), "syntax");
        assert!(failure(wac, &[]).contains("it.wac:3:13: unknown package `d:e`"), "no such package");
        assert!(failure(wac, &["d:e=none.wasm"]).contains("none.wasm"), "no such file");
        assert!(failure(wac, &["d:e=text.wasm"]).contains("it.wac:3:13: "), "no component");
        assert!(failure(wac, &["d:e=empty.wasm", "f:g=empty.wasm"]).contains("f:g"), "not used");
        let wrong = "package a:b;\nlet c = new d:e {};\nexport c.nothing;\n";
        assert!(failure(wrong, &["d:e=empty.wasm"]).contains("it.wac:3:"), "no such export");
    }

    #[test]
    fn a_dependency_is_a_package_and_a_file() {
        assert_eq!(dependency("a:b=c.wasm"), Ok(("a:b".to_owned(), "c.wasm".into())));
        for wrong in ["a:b", "b=c.wasm", "a:b=", "a:b@1.0.0=c.wasm"] {
            assert!(dependency(wrong).is_err(), "{wrong}");
        }
    }
}

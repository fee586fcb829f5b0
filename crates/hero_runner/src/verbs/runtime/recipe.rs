//! How a known interpreter is brought to where it waits for a script.

use std::path::Path;

use api::template::{Script, ScriptPass};
use clap::ValueEnum;

/// What Python runs while it warms up: it reads an envelope and runs what is in it.
const PYTHON: &str = include_str!("../../../../../services/runtimes/python.py");
/// The same for QuickJS.
const QUICKJS: &str = include_str!("../../../../../services/runtimes/quickjs.js");

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Recipe {
    /// CPython
    Python,
    /// QuickJS, its program `qjs`
    Quickjs,
    /// Anything that runs what it reads from standard input
    Stdin,
    /// A program that reads an envelope: a line of JSON with name, args, env and source, then the script's own input
    Envelope,
}

impl Recipe {
    /// The recipe that the names suggest: that of the runtime, or that of its module or file.
    pub(super) fn guess(name: &str, module: &str) -> Self {
        let known = |name: &str| {
            let name = name.to_ascii_lowercase();
            let begins = |with: [&str; 2]| with.iter().any(|with| name.starts_with(with));
            if begins(["python", "cpython"]) {
                Some(Self::Python)
            } else if begins(["qjs", "quickjs"]) {
                Some(Self::Quickjs)
            } else {
                None
            }
        };
        let file = Path::new(module).file_name().and_then(|file| file.to_str()).unwrap_or(module);
        known(name).or_else(|| known(file)).unwrap_or(Self::Stdin)
    }

    /// The interpreter's arguments: first those that were asked for, which are options of its own.
    pub(super) fn args(self, asked: Vec<String>) -> Vec<String> {
        let bootstrap: &[&str] = match self {
            Self::Python => &["-c", PYTHON],
            Self::Quickjs => &["--std", "--eval", QUICKJS],
            Self::Stdin | Self::Envelope => &[],
        };
        asked.into_iter().chain(bootstrap.iter().map(|&arg| arg.to_owned())).collect()
    }

    /// Which scripts it runs, and how they get in. What was asked for stands in the place of what is usual.
    pub(super) fn script(self, extensions: &[String], interpreters: &[String]) -> Script {
        let (pass, usual): (_, [&[&str]; 2]) = match self {
            Self::Python => (ScriptPass::Envelope, [&["py"], &["python", "python3"]]),
            Self::Quickjs => (ScriptPass::Envelope, [&["js"], &["qjs", "quickjs", "node"]]),
            Self::Stdin => (ScriptPass::Stdin, [&[], &[]]),
            Self::Envelope => (ScriptPass::Envelope, [&[], &[]]),
        };
        let or_usual = |asked: &[String], usual: &[&str]| {
            if asked.is_empty() {
                usual.iter().map(|&word| word.to_owned()).collect()
            } else {
                asked.to_vec()
            }
        };
        Script {
            pass,
            extensions: or_usual(extensions, usual[0]),
            interpreters: or_usual(interpreters, usual[1]),
        }
    }
}

/// Reads a file extension, with or without its dot.
pub(super) fn extension(text: &str) -> Result<String, String> {
    let extension = text.strip_prefix('.').unwrap_or(text);
    if extension.is_empty() || extension.contains(['.', '/']) {
        return Err("say py, or .py; only what follows the last dot counts".to_owned());
    }
    Ok(extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suggest_a_recipe() {
        for (name, module, recipe) in [
            ("python", "x.wasm", Recipe::Python),
            ("Python-3.12", "x.wasm", Recipe::Python),
            ("py", "/a/b/cpython-3.13.wasm", Recipe::Python),
            ("js", "./qjs.wasm", Recipe::Quickjs),
            ("quickjs", "sha256:00", Recipe::Quickjs),
            ("mine", "/python/ruby.wasm", Recipe::Stdin),
            ("echo", "echo", Recipe::Stdin),
        ] {
            assert_eq!(Recipe::guess(name, module), recipe, "{name} {module}");
        }
    }

    #[test]
    fn options_stand_before_the_bootstrap() {
        let args = Recipe::Python.args(vec!["-X".into(), "utf8".into()]);
        assert_eq!(args, ["-X", "utf8", "-c", PYTHON]);
        assert_eq!(Recipe::Quickjs.args(Vec::new()), ["--std", "--eval", QUICKJS]);
        assert_eq!(Recipe::Stdin.args(vec!["-".into()]), ["-"]);
    }

    #[test]
    fn what_was_asked_for_stands_in_the_place_of_what_is_usual() {
        let script = Recipe::Python.script(&["pyw".into()], &[]);
        assert_eq!(
            (script.extensions, script.interpreters),
            (vec!["pyw".into()], vec!["python".into(), "python3".into()])
        );
        assert_eq!(extension(".PY"), Ok("py".to_owned()));
        assert!(extension("").is_err() && extension(".").is_err() && extension("tar.gz").is_err());
    }
}

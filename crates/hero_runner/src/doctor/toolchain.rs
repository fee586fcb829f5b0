//! What is needed to build, and the engine.

use std::path::{Path, PathBuf};

use api::paths::{Lookup, process_env};

use super::{Check, first_line};
use crate::lifecycle::programs;

const TARGET: &str = "wasm32-wasip1";

pub(super) fn checks() -> Vec<Check> {
    vec![program("cargo"), program("rustc"), wasm_target(), wasmedge()]
}

fn program(name: &'static str) -> Check {
    match first_line(name, &["--version"]) {
        Ok(version) => Check::ok(name, version),
        Err(why) => Check::warn(
            name,
            format!("cannot be run: {why}"),
            "only building needs it: install Rust from https://rustup.rs, or the system's package",
        ),
    }
}

fn wasm_target() -> Check {
    let installed = first_line("rustc", &["--print", "sysroot"])
        .map(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET))
        .is_ok_and(|folder| folder.is_dir());
    if installed {
        return Check::ok("wasm target", format!("{TARGET} is installed beside rustc"));
    }
    match cache_dir(&process_env).map(|cache| cache.join("wasm-rust")) {
        Some(prefix) if prefix.is_dir() => {
            Check::ok("wasm target", format!("a private compiler in {}", prefix.display()))
        }
        _ => Check::warn(
            "wasm target",
            format!("{TARGET} is missing"),
            format!("only building guests needs it: `rustup target add {TARGET}`, or ./build.sh"),
        ),
    }
}

/// Where the build puts what it fetches for itself.
fn cache_dir(env: Lookup<'_>) -> Option<PathBuf> {
    if let Some(own) = env("HERO_RUNNER_CACHE_DIR") {
        return Some(own.into());
    }
    // The specification says to ignore values that are not absolute.
    let xdg = env("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = xdg.or_else(|| env("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join(api::SERVICE))
}

fn wasmedge() -> Check {
    let place = process_env("WASMEDGE_DIR").map(|dir| format!("; WASMEDGE_DIR is {dir}")).unwrap_or_default();
    let zygote = match programs::find(programs::ZYGOTE) {
        Ok(zygote) => zygote,
        Err(error) => {
            return Check::fail("wasmedge", format!("{error}{place}"), "build and install with ./build.sh");
        }
    };
    match first_line(&zygote, &["--version"]) {
        Ok(line) => Check::ok("wasmedge", format!("{}{place}", engine_version(&line))),
        Err(why) => Check::fail(
            "wasmedge",
            format!("{} cannot be run: {why}{place}", zygote.display()),
            "its library is missing or another one: run ./build.sh again",
        ),
    }
}

/// `wasmedge 0.17.1` out of `hero_runner_zygote 0.1.0 (wasmedge 0.17.1)`.
fn engine_version(line: &str) -> &str {
    let inside = line.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_names_itself() {
        assert_eq!(engine_version("hero_runner_zygote 0.1.0 (wasmedge 0.17.1)"), "wasmedge 0.17.1");
        assert_eq!(engine_version("strange"), "strange");
    }

    #[test]
    fn the_cache_is_where_it_was_put() {
        let at = |set: &'static [(&str, &str)]| {
            cache_dir(&move |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(at(&[("HOME", "/h")]), Some("/h/.cache/hero_runner".into()));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/hero_runner".into()));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CACHE_HOME", "x")]), Some("/h/.cache/hero_runner".into()));
        assert_eq!(at(&[("HERO_RUNNER_CACHE_DIR", "/c")]), Some("/c".into()));
    }
}

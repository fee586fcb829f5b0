//! What the types cannot say.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Component, Path};

use api::manifest::Manifest;
use api::permission::{Fs, Net};

use super::Wrong;

/// The most that a guest's memory may be, in MiB: all of what 32 bits can address.
const MAX_MEMORY_MB: u64 = 4096;
/// The longest limits of time, in milliseconds: a day.
const DAY_MS: u64 = 86_400_000;

/// The names of packages, modules and services: `[a-z0-9][a-z0-9_.-]{0,63}`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let first = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    name.len() <= 64
        && name.bytes().next().is_some_and(first)
        && name.bytes().all(|letter| first(letter) || b"_.-".contains(&letter))
}

/// Why a path cannot be one of a file or folder inside of a package.
pub(crate) fn inside(path: &str) -> Result<(), String> {
    let leaves = || format!("{path:?} leaves the package: name a path below its folder");
    if path.is_empty() || path.contains('\0') {
        return Err(format!("{path:?} is no path"));
    }
    for part in Path::new(path).components() {
        match part {
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(leaves()),
        }
    }
    Ok(())
}

/// The two sides of `HOST[::GUEST]`.
pub(crate) fn sides(folder: &str) -> (&str, &str) {
    folder.split_once("::").unwrap_or((folder, folder))
}

struct Rules<'a>(&'a mut Vec<Wrong>);

impl Rules<'_> {
    fn wrong(&mut self, key: impl Into<String>, reason: impl Into<String>) {
        self.0.push((key.into(), reason.into()));
    }

    fn range<T: PartialOrd + Display>(&mut self, key: &str, value: Option<T>, range: RangeInclusive<T>) {
        if let Some(value) = value.filter(|value| !range.contains(value)) {
            self.wrong(key, format!("{value} is not {} to {}", range.start(), range.end()));
        }
    }

    fn fs(&mut self, fs: &Fs) {
        let Fs::Listed(folders) = fs else { return };
        let mut seen = BTreeSet::new();
        for (list, paths) in [("read", &folders.read), ("read-write", &folders.read_write)] {
            for (index, folder) in paths.iter().enumerate() {
                let key = format!("permissions.fs.{list}[{index}]");
                let (host, guest) = sides(folder);
                if host.is_empty() || guest.is_empty() {
                    self.wrong(key, format!("{folder:?} is not HOST or HOST::GUEST"));
                } else if !Path::new(host).is_absolute()
                    && let Err(reason) = inside(host)
                {
                    self.wrong(key, reason);
                } else if guest.contains([':', '\0']) {
                    self.wrong(key, format!("{guest:?} cannot be the guest's name of a folder"));
                } else if !seen.insert(guest) {
                    self.wrong(key, format!("the guest's folder {guest:?} is there twice"));
                }
            }
        }
    }

    fn net(&mut self, net: &Net) {
        let Net::Listed(list) = net else { return };
        let mut seen = BTreeSet::new();
        for (index, destination) in list.iter().enumerate() {
            if !seen.insert(destination.to_string()) {
                self.wrong(format!("permissions.net[{index}]"), format!("{destination} is there twice"));
            }
        }
    }
}

/// Checks what a manifest says by itself.
pub(super) fn check(manifest: &Manifest, faults: &mut Vec<Wrong>) {
    let mut rules = Rules(faults);
    if !is_name(&manifest.name) {
        let reason = format!(
            "{:?} is no name: use 1 to 64 of a-z 0-9 _ . - and begin with a letter or a digit",
            manifest.name
        );
        rules.wrong("name", reason);
    }
    if let Some(version) = &manifest.version
        && (version.is_empty() || version.len() > 128 || version.contains(char::is_control))
    {
        rules.wrong("version", "it is empty, longer than 128 bytes, or has control characters");
    }
    for (key, path) in [("entrypoint", &manifest.entrypoint), ("fallback", &manifest.fallback)] {
        if let Some(Err(reason)) = path.as_deref().map(inside) {
            rules.wrong(key, reason);
        }
    }
    if manifest.fallback.is_some() && manifest.fallback.as_deref() == Some(entrypoint(manifest)) {
        rules.wrong("fallback", "it is the entrypoint: name another file");
    }
    rules.fs(&manifest.permissions.fs);
    rules.net(&manifest.permissions.net);
    for (name, value) in &manifest.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            rules.wrong("env", format!("{name:?} cannot be the name of a variable"));
        } else if value.contains('\0') {
            rules.wrong(format!("env.{name}"), "it holds a NUL, which no variable can");
        }
    }
    for (index, arg) in manifest.args.iter().enumerate() {
        if arg.contains('\0') {
            rules.wrong(format!("args[{index}]"), "it holds a NUL, which no argument can");
        }
    }
    let limits = &manifest.limits;
    rules.range("limits.memory_mb", limits.memory_mb.map(u64::from), 1..=MAX_MEMORY_MB);
    rules.range("limits.timeout_ms", limits.timeout_ms, 1..=DAY_MS);
    rules.range("limits.output_bytes", limits.output_bytes, 1..=u64::MAX);
    if let Some(retries) = &manifest.retries {
        let backoff = &retries.backoff;
        rules.range("retries.max", Some(retries.max), 0..=100);
        rules.range("retries.backoff.initial_ms", Some(backoff.initial_ms), 1..=DAY_MS);
        rules.range("retries.backoff.max_ms", Some(backoff.max_ms), backoff.initial_ms..=DAY_MS);
    }
    if let Some(ready) = &manifest.ready {
        if ready.line.is_none() && ready.export.is_none() {
            rules.wrong("ready", "it needs line or export: say what makes it ready");
        }
        for (key, text) in [("ready.line", &ready.line), ("ready.export", &ready.export)] {
            if text.as_deref().is_some_and(|text| text.is_empty() || text.contains('\n')) {
                rules.wrong(key, "it is empty or more than one line");
            }
        }
        rules.range("ready.timeout_ms", ready.timeout_ms, 1..=DAY_MS);
    }
}

/// The path of the module in a package.
pub(crate) fn entrypoint(manifest: &Manifest) -> &str {
    manifest.entrypoint.as_deref().unwrap_or("app.wasm")
}

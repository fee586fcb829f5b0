//! A package as a session: what its manifest says, and what the command line adds.

use std::path::Path;

use api::permission::{Net, Permissions};
use api::session::{Ready, SessionStart};
use client::Client;
use package::Package;
use package::inspect::inspect;

use super::module::Module;
use crate::Context;
use crate::failure::advise;

/// Opens a package that is to run as a session.
pub(super) fn open(word: &str) -> anyhow::Result<Box<Package>> {
    let package = Package::open(Path::new(word))?;
    if package.manifest.service.is_some() {
        let name = &package.manifest.name;
        return Err(advise(
            format!("package {name:?} is a service"),
            format!(
                "`hero_runner deploy {word}` deploys it; `hero_runner run --module {name}` runs it in the foreground then"
            ),
        ));
    }
    Ok(Box::new(package))
}

/// Whether our standard input can be its own: one that may run more than once would have to get it again.
pub(super) fn reads_input(package: &Package) -> bool {
    package.manifest.retries.is_none() && package.fallback.is_none()
}

/// The request with the package in it: both modules uploaded where the server does not have them. What the command line says
/// holds before what the manifest says, and is added where there can be more than one.
pub(super) async fn put_into(
    package: &Package,
    request: SessionStart,
    client: &Client,
    upload: bool,
) -> anyhow::Result<SessionStart> {
    let manifest = &package.manifest;
    let prepare = async |path: &Path| Module::File(path.to_owned()).prepare(client, upload).await;
    let module = prepare(&package.entrypoint).await?;
    let fallback = match (request.fallback, &package.fallback) {
        (Some(named), _) => Some(named),
        (None, Some(path)) => Some(prepare(path).await?),
        (None, None) => None,
    };
    let mut env_vars = manifest.env.clone();
    env_vars.extend(request.env_vars);
    let mut labels = request.labels;
    labels.entry("package".to_owned()).or_insert_with(|| manifest.name.clone());
    let limits = &manifest.limits;
    Ok(SessionStart {
        module: Some(module),
        fallback,
        args: manifest.args.iter().cloned().chain(request.args).collect(),
        env_vars,
        labels,
        dirs: package.dirs.iter().cloned().chain(request.dirs).collect(),
        permissions: Permissions {
            net: both(&manifest.permissions.net, request.permissions.net),
            fs: request.permissions.fs,
            exec: manifest.permissions.exec || request.permissions.exec,
        },
        timeout_ms: request.timeout_ms.or(limits.timeout_ms),
        memory_limit_mb: request.memory_limit_mb.or(limits.memory_mb),
        output_limit_bytes: request.output_limit_bytes.or(limits.output_bytes),
        engine: request.engine.or(manifest.runtime),
        ready: ready(request.ready, manifest.ready.as_ref()),
        retries: request.retries.or_else(|| manifest.retries.clone()),
        ..request
    })
}

/// Says which permission may have been missing, for the guest sees no more than a folder that is not there.
pub(super) fn explain(context: &Context, package: &Package, more: usize) {
    let denied = package.dirs.is_empty() && more == 0;
    let bytes = denied.then(|| std::fs::read(&package.entrypoint).ok()).flatten();
    let found = bytes.and_then(|bytes| inspect(&bytes).ok());
    if found.is_some_and(|found| found.permissions.iter().any(|need| need.permission == "fs")) {
        let name = &package.manifest.name;
        context.console.note(&format!(
            "{name} has no permission fs: no folder was granted, should that be what it lacked"
        ));
    }
}

/// What both grant together.
fn both(manifest: &Net, request: Net) -> Net {
    match (manifest, request) {
        (Net::Anything, _) | (_, Net::Anything) => Net::Anything,
        (Net::Nothing, other) => other,
        (own, Net::Nothing) => own.clone(),
        (Net::Listed(own), Net::Listed(more)) => Net::Listed(own.iter().cloned().chain(more).collect()),
    }
}

/// What makes it ready: what the command line names, else what the manifest does.
fn ready(asked: Option<Ready>, declared: Option<&Ready>) -> Option<Ready> {
    match (asked, declared) {
        (Some(asked), Some(declared)) if asked.line.is_none() && asked.export.is_none() => {
            Some(Ready { timeout_ms: asked.timeout_ms.or(declared.timeout_ms), ..declared.clone() })
        }
        (Some(asked), _) => Some(asked),
        (None, declared) => declared.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_adds_to_what_is_granted() {
        let list = |text: &str| Net::Listed(vec![text.parse().unwrap()]);
        assert_eq!(both(&Net::Nothing, Net::Nothing), Net::Nothing);
        assert_eq!(both(&list("a:1"), Net::Nothing), list("a:1"));
        assert_eq!(both(&list("a:1"), Net::Anything), Net::Anything);
        let Net::Listed(two) = both(&list("a:1"), list("b:2")) else { panic!("a list") };
        assert_eq!(two.len(), 2);
    }

    #[test]
    fn the_manifest_says_what_makes_it_ready() {
        let declared = Ready { line: Some("UP".to_owned()), timeout_ms: Some(5), ..Ready::default() };
        assert_eq!(ready(Some(Ready::default()), Some(&declared)), Some(declared.clone()));
        let asked = Ready { export: Some("warm".to_owned()), ..Ready::default() };
        assert_eq!(ready(Some(asked.clone()), Some(&declared)), Some(asked));
        assert_eq!(ready(None, None), None);
    }
}

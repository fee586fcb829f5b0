//! Packages that are services: the keys of a `service.json`, and how those of a manifest go with them.

use std::path::Path;

use api::manifest::{LimitSpec, Manifest};
use api::permission::{Fs, OwnFolder, Permissions};
use api::service::{RestartSpec, ServiceKind, ServiceSpec};
use api::session::{DirGrant, DirMode};
use serde_json::Value;

use crate::manifest::{Wrong, inside, sides};

/// The keys that a manifest and a `service.json` have in common.
const OWN: [&str; 13] = [
    "$schema",
    "name",
    "version",
    "description",
    "entrypoint",
    "runtime",
    "permissions",
    "env",
    "args",
    "limits",
    "retries",
    "fallback",
    "ready",
];

/// Whether a key stands in every manifest, a service's or not.
pub(crate) fn is_own(name: &str) -> bool {
    OWN.contains(&name)
}

/// The declaration of a package that is a service; `None` when it is none.
///
/// # Errors
/// Why its keys cannot be those of a service. A manifest that was read has none that can not.
pub fn spec(manifest: &Manifest) -> Result<Option<ServiceSpec>, String> {
    let mut own = manifest.clone();
    let Some(service) = own.service.take() else { return Ok(None) };
    let Value::Object(mut whole) = serde_json::to_value(own).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    whole.extend(service);
    serde_json::from_value(whole.into()).map(Some).map_err(|error| error.to_string())
}

/// Makes of a declaration what is run: what can be said in two ways is said in one from then on. Relative folders of
/// `permissions.fs` start at `folder`, and become `dirs`.
///
/// # Errors
/// The first key that is wrong, and why.
pub fn settle(spec: &mut ServiceSpec, folder: &Path) -> Result<(), Wrong> {
    if let Some(wrong) = twice(spec).into_iter().next() {
        return Err(wrong);
    }
    spec.memory_limit_mb = spec.memory_limit_mb.or(spec.limits.memory_mb);
    spec.timeout_ms = spec.timeout_ms.or(spec.limits.timeout_ms);
    spec.limits = LimitSpec { output_bytes: spec.limits.output_bytes, ..LimitSpec::default() };
    if let Some(retries) = spec.retries.take() {
        spec.restart =
            RestartSpec { intensity: retries.max, backoff: retries.backoff, ..RestartSpec::default() };
    }
    spec.dirs.extend(dirs(&spec.permissions, folder)?);
    spec.permissions.fs = Fs::default();
    Ok(())
}

/// The folders that are granted, as a session wants them. Relative ones start at `folder`, and have to stay in it.
///
/// # Errors
/// The first key that is wrong, and why.
pub fn dirs(permissions: &Permissions, folder: &Path) -> Result<Vec<DirGrant>, Wrong> {
    let text = |path: &Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| format!("{} is not UTF-8", path.display()))
    };
    let root = |key: &str| {
        let real = folder
            .canonicalize()
            .map_err(|error| (key.to_owned(), format!("{}: {error}", folder.display())))?;
        Ok::<_, Wrong>(real)
    };
    let folders = match &permissions.fs {
        Fs::Own(OwnFolder::None) => return Ok(Vec::new()),
        Fs::Own(own) => {
            let key = "permissions.fs";
            let mode = if *own == OwnFolder::Read { DirMode::Read } else { DirMode::ReadWrite };
            let host = text(&root(key)?).map_err(|reason| (key.to_owned(), reason))?;
            return Ok(vec![DirGrant { host, guest: Some("/".to_owned()), mode }]);
        }
        Fs::Listed(folders) => folders,
    };
    let mut grants = Vec::new();
    let lists =
        [("read", &folders.read, DirMode::Read), ("read-write", &folders.read_write, DirMode::ReadWrite)];
    for (list, paths, mode) in lists {
        for (index, path) in paths.iter().enumerate() {
            let key = format!("permissions.fs.{list}[{index}]");
            let wrong = |reason: String| (key.clone(), reason);
            let (host, guest) = sides(path);
            let relative = !Path::new(host).is_absolute();
            if relative {
                inside(host).map_err(wrong)?;
            }
            let root = root(&key)?;
            let real = root.join(host).canonicalize().map_err(|error| wrong(format!("{host:?}: {error}")))?;
            if relative && !real.starts_with(&root) {
                return Err(wrong(format!("{host:?} leaves the package by a link")));
            }
            if !real.is_dir() {
                return Err(wrong(format!("{host:?} is not a folder")));
            }
            grants.push(DirGrant { host: text(&real).map_err(wrong)?, guest: Some(guest.to_owned()), mode });
        }
    }
    Ok(grants)
}

/// What is said in two ways that differ, or may not be said twice.
fn twice(spec: &ServiceSpec) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut tell = |key: &str, reason: &str| wrong.push((key.to_owned(), reason.to_owned()));
    if let (Some(one), Some(other)) = (spec.limits.memory_mb, spec.memory_limit_mb)
        && one != other
    {
        tell(
            "limits.memory_mb",
            &format!("{one} is not {other}, which memory_limit_mb says: give one of them"),
        );
    }
    if let (Some(one), Some(other)) = (spec.limits.timeout_ms, spec.timeout_ms)
        && one != other
    {
        tell("limits.timeout_ms", &format!("{one} is not {other}, which timeout_ms says: give one of them"));
    }
    if spec.retries.is_some() && spec.restart != RestartSpec::default() {
        tell("retries", "give retries or restart, not both");
    }
    if spec.entrypoint.is_some() && spec.module.is_some() {
        tell("entrypoint", "give entrypoint or module, not both");
    }
    wrong
}

const NOT_A_LISTENER: &str = "a handler listens on nothing: leave it out";

/// Checks what a declaration says by itself, as far as that needs no server: what depends on the place or on other services,
/// such as folders, ports that are taken and time zones, only the server can tell. Each key that is wrong, and why.
#[must_use]
pub fn check(spec: &ServiceSpec) -> Vec<Wrong> {
    let mut wrong = twice(spec);
    let mut tell = |key: &str, reason: String| wrong.push((key.to_owned(), reason));
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "._~-".contains(letter);
    if spec
        .prefix
        .split('/')
        .any(|segment| matches!(segment, "" | "." | "..") || !segment.chars().all(letter))
    {
        let prefix = &spec.prefix;
        let reason = format!(
            "{prefix:?}: segments of a-z A-Z 0-9 . _ ~ -, with one slash between them and none around them"
        );
        tell("prefix", reason);
    }
    match (spec.kind, spec.url.is_some(), spec.port.is_some()) {
        (ServiceKind::Listener, false, false) => tell("port", "a listener needs url or port".to_owned()),
        (ServiceKind::Listener, true, true) => tell("url", "give url or port, not both".to_owned()),
        (ServiceKind::Handler, true, _) => tell("url", NOT_A_LISTENER.to_owned()),
        (ServiceKind::Handler, _, true) => tell("port", NOT_A_LISTENER.to_owned()),
        (ServiceKind::Listener, ..) | (ServiceKind::Handler, ..) => {}
    }
    if let Some(url) = spec.url.as_ref().filter(|url| !is_address(url)) {
        tell("url", format!("{url:?}: it has to be http://127.0.0.1:<port>"));
    }
    if spec.kind == ServiceKind::Handler && spec.idle_timeout_secs.is_some() {
        tell("idle_timeout_secs", "a handler has no process that could be idle: leave it out".to_owned());
    }
    if spec.kind == ServiceKind::Handler && spec.ready.is_some() {
        tell("ready", "a handler has no process that becomes ready: leave it out".to_owned());
    }
    if spec.kind == ServiceKind::Listener && spec.max_requests.is_some() {
        tell("max_requests", "only a handler's process is replaced after so many: leave it out".to_owned());
    }
    let health = &spec.health;
    for (key, number) in [
        ("memory_limit_mb", spec.memory_limit_mb.map(u64::from)),
        ("timeout_ms", spec.timeout_ms),
        ("instances", spec.instances.map(u64::from)),
        ("max_requests", spec.max_requests.map(u64::from)),
        ("health.interval_secs", Some(health.interval_secs)),
        ("health.timeout_ms", Some(health.timeout_ms)),
        ("health.failures", Some(health.failures.into())),
        ("health.start_period_secs", Some(health.start_period_secs)),
    ] {
        if number == Some(0) {
            tell(key, "0 is too little".to_owned());
        }
    }
    if !health.path.starts_with('/') {
        tell("health.path", format!("{:?} does not begin with a slash", health.path));
    }
    for (index, schedule) in spec.schedules.iter().enumerate() {
        let mut wrong = |key: &str, reason: String| tell(&format!("schedules[{index}].{key}"), reason);
        if !schedule.endpoint.starts_with('/') {
            wrong("endpoint", format!("{:?} does not begin with a slash", schedule.endpoint));
        }
        match (schedule.interval_secs, &schedule.cron) {
            (None, None) => wrong("interval_secs", "give interval_secs or cron".to_owned()),
            (Some(_), Some(_)) => wrong("cron", "give interval_secs or cron, not both".to_owned()),
            (Some(0), None) => wrong("interval_secs", "0 is too little".to_owned()),
            (None, Some(cron)) if cron.split_whitespace().count() != 5 => {
                wrong("cron", format!("{cron:?} does not have five fields"));
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
    }
    wrong
}

/// `http://` and a host and a port, and nothing behind it but a slash. Which hosts are loopback is the server's to say.
fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let parts = rest.and_then(|rest| rest.rsplit_once(':'));
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

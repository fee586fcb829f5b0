//! `service.json`: found, read, checked. What is wrong is told with file, key and reason, and keeps nothing else back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use api::service::{Port, ServiceKind, ServiceProblem, ServiceSpec};

use crate::files::Files;
use crate::versions::Versions;

/// The place of the file in a service's folder.
pub(crate) const FILE: &str = "config/service.json";

/// The most that a `service.json` may have, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Segments that are the gateway's own.
const RESERVED: &[&str] = &["-", ".well-known", "upload"];

/// A declaration that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declaration {
    /// The service's name: that of its folder.
    pub(crate) name: String,
    /// The file.
    pub(crate) file: PathBuf,
    /// What it says; relative folders are absolute by now.
    pub(crate) spec: ServiceSpec,
    /// Where a listener listens; port 0 is one that is free.
    pub(crate) address: Option<SocketAddr>,
    /// The version that it is of, when it was deployed as a package.
    pub(crate) version: Option<u64>,
    /// Its modules that are files of its folder.
    pub(crate) files: Files,
}

impl Declaration {
    /// The module's name or digest.
    pub(crate) fn module(&self) -> &str {
        self.spec.module.as_deref().or(self.files.entrypoint.as_deref()).unwrap_or(&self.name)
    }

    /// The same with its fallback for a module; `None` when there is none, or it is the fallback already.
    pub(crate) fn standby(&self) -> Option<Self> {
        let mut standby = self.clone();
        standby.spec.module = Some(standby.files.fallback.take()?);
        Some(standby)
    }
}

/// A part of a declaration that is wrong: the key and why.
pub(crate) type Fault = (Option<String>, String);

fn at(key: &str, reason: impl Into<String>) -> Fault {
    (Some(key.to_owned()), reason.into())
}

/// Reads all declarations below a folder, and those of the versions that were deployed, which hold before a file of the same
/// service. What clashes is told for the later one by name.
pub(crate) fn scan(
    dir: &Path,
    versions: Option<&Versions>,
    taken: Option<SocketAddr>,
) -> (BTreeMap<String, Declaration>, Vec<ServiceProblem>) {
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    let mut deployed = BTreeSet::new();
    for (name, declared) in versions.map(Versions::current_ones).unwrap_or_default() {
        let fits = declared.and_then(|one| match clash(&one, &found, taken) {
            Ok(()) => Ok(one),
            Err(fault) => Err((one.file, fault)),
        });
        match fits {
            Ok(declaration) => _ = found.insert(name.clone(), declaration),
            Err((file, (key, reason))) => problems.push(problem(name.clone(), &file, key, reason)),
        }
        deployed.insert(name);
    }
    let mut names = BTreeSet::new();
    if let Ok(entries) = std::fs::read_dir(dir) {
        for entry in entries.flatten() {
            if let Ok(name) = entry.file_name().into_string()
                && entry.path().join(FILE).is_file()
                && !deployed.contains(&name)
            {
                names.insert(name);
            }
        }
    }
    for name in names {
        let file = dir.join(&name).join(FILE);
        match read(&name, &file).and_then(|found_one| clash(&found_one, &found, taken).map(|()| found_one)) {
            Ok(declaration) => _ = found.insert(name, declaration),
            Err((key, reason)) => problems.push(problem(name, &file, key, reason)),
        }
    }
    unmet(&mut found, &mut problems);
    (found, problems)
}

fn problem(name: String, file: &Path, key: Option<String>, reason: String) -> ServiceProblem {
    ServiceProblem { name, file: file.display().to_string(), key, reason }
}

fn read(name: &str, file: &Path) -> Result<Declaration, Fault> {
    let size = std::fs::metadata(file).map_err(|error| (None, error.to_string()))?.len();
    if size > MAX_FILE {
        return Err((None, format!("it has {size} bytes; {MAX_FILE} may be")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| (None, error.to_string()))?;
    let spec = parse(&text)?;
    check(name, file, spec)
}

/// Reads the text of a `service.json`.
pub(crate) fn parse(text: &str) -> Result<ServiceSpec, Fault> {
    let mut json = serde_json::Deserializer::from_str(text);
    let spec = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let key = error.path().to_string();
        let reason = error.into_inner().to_string();
        // For an unknown key the path may end above it; the message names it.
        let unknown = reason.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let key = match (key.as_str(), unknown) {
            // What is no JSON has no keys.
            ("?", _) => None,
            (".", Some(unknown)) => Some(unknown.to_owned()),
            (".", None) => None,
            (path, Some(unknown)) if !path.ends_with(unknown) => Some(format!("{path}.{unknown}")),
            (path, _) => Some(path.to_owned()),
        };
        (key, reason)
    })?;
    json.end().map_err(|error| (None, error.to_string()))?;
    Ok(spec)
}

/// Checks what a declaration says by itself.
pub(crate) fn check(name: &str, file: &Path, mut spec: ServiceSpec) -> Result<Declaration, Fault> {
    if !is_name(name) {
        return Err((
            None,
            format!("the folder's name {name:?} cannot be a service's: use 1 to 64 of a-z 0-9 _ . -"),
        ));
    }
    if let Some(own) = spec.name.as_ref().filter(|own| *own != name) {
        return Err(at("name", format!("{own:?} is not {name:?}, which its folder is called")));
    }
    let own = file.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    package::service::settle(&mut spec, own).map_err(|(key, reason)| at(&key, reason))?;
    prefix(&spec.prefix).map_err(|reason| at("prefix", reason))?;
    let address = match spec.kind {
        ServiceKind::Handler => {
            if spec.url.is_some() || spec.port.is_some() {
                let key = if spec.url.is_some() { "url" } else { "port" };
                return Err(at(key, "a handler listens on nothing: leave it out"));
            }
            if spec.idle_timeout_secs.is_some() {
                return Err(at(
                    "idle_timeout_secs",
                    "a handler has no process that could be idle: leave it out",
                ));
            }
            None
        }
        ServiceKind::Listener => Some(listens(&spec)?),
    };
    let range = |key: &'static str, value: u64, low: u64, high: u64| {
        if (low..=high).contains(&value) {
            Ok(())
        } else {
            Err(at(key, format!("{value} is not {low} to {high}")))
        }
    };
    range("memory_limit_mb", spec.memory_limit_mb.unwrap_or(1).into(), 1, 4096)?;
    range("instances", spec.instances.unwrap_or(1).into(), 1, 1024)?;
    range("timeout_ms", spec.timeout_ms.unwrap_or(1), 1, 3_600_000)?;
    range("grace_ms", spec.grace_ms.unwrap_or(0), 0, 3_600_000)?;
    range("idle_timeout_secs", spec.idle_timeout_secs.unwrap_or(1), 1, 31_536_000)?;
    range("health.interval_secs", spec.health.interval_secs, 1, 86_400)?;
    range("health.timeout_ms", spec.health.timeout_ms, 1, 600_000)?;
    range("health.failures", spec.health.failures.into(), 1, 1000)?;
    range("health.start_period_secs", spec.health.start_period_secs, 1, 86_400)?;
    range("restart.period_secs", spec.restart.period_secs, 1, 86_400)?;
    range("restart.backoff.initial_ms", spec.restart.backoff.initial_ms, 1, 3_600_000)?;
    range(
        "restart.backoff.max_ms",
        spec.restart.backoff.max_ms,
        spec.restart.backoff.initial_ms,
        86_400_000,
    )?;
    path(&spec.health.path).map_err(|reason| at("health.path", reason))?;
    for variable in spec.env.keys() {
        if variable.is_empty() || variable.contains(['=', '\0']) {
            return Err(at("env", format!("{variable:?} cannot be the name of a variable")));
        }
    }
    for (index, schedule) in spec.schedules.iter().enumerate() {
        crate::schedules::check(schedule)
            .map_err(|(key, reason)| at(&format!("schedules[{index}].{key}"), reason))?;
    }
    for (index, dir) in spec.dirs.iter_mut().enumerate() {
        if dir.guest.is_none() && !Path::new(&dir.host).is_absolute() {
            dir.guest = Some(dir.host.clone());
        }
        let host = own.join(&dir.host);
        if !host.is_dir() {
            return Err(at(&format!("dirs[{index}].host"), format!("{} is not a folder", host.display())));
        }
        dir.host = host.to_string_lossy().into_owned();
    }
    if let Some((key, reason)) = package::service::check(&spec).into_iter().next() {
        return Err(at(&key, reason));
    }
    let files = Files::find(&spec, own)?;
    Ok(Declaration { name: name.to_owned(), file: file.to_owned(), spec, address, version: None, files })
}

/// The names of modules and services: `[a-z0-9][a-z0-9_.-]{0,63}`.
pub(crate) fn is_name(name: &str) -> bool {
    let fits =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_.-".contains(&letter);
    let first =
        name.bytes().next().is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    first && name.len() <= 64 && name.bytes().all(fits)
}

fn prefix(text: &str) -> Result<(), String> {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"._~-".contains(&letter);
    if text.is_empty() || text.len() > 256 {
        return Err("it is empty or longer than 256 bytes".to_owned());
    }
    if text.starts_with('/') || text.ends_with('/') {
        return Err(format!("{text:?} begins or ends with a slash: leave that out"));
    }
    for segment in text.split('/') {
        if segment.is_empty() || matches!(segment, "." | "..") || !segment.bytes().all(fits) {
            return Err(format!("{text:?}: a segment is made of a-z A-Z 0-9 . _ ~ -, and is not . or .."));
        }
    }
    if text.split('/').next().is_some_and(|first| RESERVED.contains(&first)) {
        return Err(format!("{text:?} begins with what belongs to the gateway itself"));
    }
    Ok(())
}

fn path(text: &str) -> Result<(), String> {
    let fits = |letter: u8| letter.is_ascii_graphic() && !b"#\\".contains(&letter);
    match text.starts_with('/') && text.bytes().all(fits) {
        true => Ok(()),
        false => Err(format!("{text:?} is not a path: it begins with a slash and has no spaces")),
    }
}

/// The address that a listener's declaration names.
fn listens(spec: &ServiceSpec) -> Result<SocketAddr, Fault> {
    const WANTED: &str = "it has to be http://127.0.0.1:<port>";
    match (&spec.url, spec.port) {
        (Some(_), Some(_)) => Err(at("url", "give url or port, not both")),
        (None, None) => Err(at("port", "a listener needs url or port")),
        (None, Some(Port::Auto)) => Ok((Ipv4Addr::LOCALHOST, 0).into()),
        (None, Some(Port::Number(port))) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        (Some(url), None) => {
            let wrong = |why: &str| at("url", format!("{url:?}: {why}"));
            let uri: http::Uri = url.parse().map_err(|_| wrong(WANTED))?;
            if uri.scheme_str() != Some("http") || uri.path() != "/" || uri.query().is_some() {
                return Err(wrong(WANTED));
            }
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
            let ip =
                if host == "localhost" { Ok(Ipv4Addr::LOCALHOST.into()) } else { host.parse::<IpAddr>() };
            let ip = ip
                .ok()
                .filter(IpAddr::is_loopback)
                .ok_or_else(|| wrong("a service listens on loopback only"))?;
            let port = uri.port_u16().filter(|port| *port > 0).ok_or_else(|| wrong("it needs a port"))?;
            Ok(SocketAddr::new(ip, port))
        }
    }
}

/// Whether a declaration wants what another one has.
pub(crate) fn clash(
    new: &Declaration,
    others: &BTreeMap<String, Declaration>,
    taken: Option<SocketAddr>,
) -> Result<(), Fault> {
    let port = |declaration: &Declaration| declaration.address.map(|at| at.port()).filter(|port| *port > 0);
    let key = if new.spec.url.is_some() { "url" } else { "port" };
    if let (Some(wanted), Some(taken)) = (port(new), taken)
        && wanted == taken.port()
    {
        return Err(at(key, format!("port {wanted} is the gateway's own")));
    }
    for other in others.values().filter(|other| other.name != new.name) {
        let of = || format!("of service {:?} ({})", other.name, other.file.display());
        if other.spec.prefix == new.spec.prefix {
            return Err(at("prefix", format!("{:?} is the prefix {}", new.spec.prefix, of())));
        }
        if port(new).is_some() && port(new) == port(other) {
            return Err(at(key, format!("port {} is the port {}", port(new).unwrap_or_default(), of())));
        }
    }
    Ok(())
}

/// Takes out what requires a service that there is not, and what requires itself by way of others.
fn unmet(found: &mut BTreeMap<String, Declaration>, problems: &mut Vec<ServiceProblem>) {
    loop {
        let wrong =
            found.values().find_map(|one| unmet_one(one, found).map(|reason| (one.name.clone(), reason)));
        let Some((name, reason)) = wrong else { return };
        if let Some(one) = found.remove(&name) {
            problems.push(problem(name, &one.file, Some("requires".to_owned()), reason));
        }
    }
}

/// Why the requirements of a declaration cannot be met.
pub(crate) fn unmet_one(one: &Declaration, all: &BTreeMap<String, Declaration>) -> Option<String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![one]);
    while let Some(current) = next.pop() {
        for name in &current.spec.requires {
            if *name == one.name {
                return Some(match current.name == one.name {
                    true => "it requires itself".to_owned(),
                    false => format!("it requires itself by way of {:?}", current.name),
                });
            }
            match all.get(name) {
                Some(required) if seen.insert(name) => next.push(required),
                Some(_) => {}
                None if current.name == one.name => return Some(format!("there is no service {name:?}")),
                None => {}
            }
        }
    }
    None
}

#[cfg(test)]
#[path = "declaration_tests.rs"]
mod tests;

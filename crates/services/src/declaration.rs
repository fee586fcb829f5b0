//! `service.json`: found, read, checked. What is wrong is told with file, key and reason, and keeps nothing else back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use api::service::{Port, ServiceKind, ServiceProblem, ServiceSpec};

/// The place of the file in a service's folder.
pub(crate) const FILE: &str = "config/service.json";

/// The most that a `service.json` may have, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Segments that are the gateway's own.
const RESERVED: &[&str] = &["-", ".well-known"];

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
}

impl Declaration {
    /// The module's name or digest.
    pub(crate) fn module(&self) -> &str {
        self.spec.module.as_deref().unwrap_or(&self.name)
    }
}

/// A part of a declaration that is wrong: the key and why.
type Fault = (Option<String>, String);

fn at(key: &str, reason: impl Into<String>) -> Fault {
    (Some(key.to_owned()), reason.into())
}

/// Reads all declarations below a folder; what clashes is told for the later one by name.
pub(crate) fn scan(
    dir: &Path,
    taken: Option<SocketAddr>,
) -> (BTreeMap<String, Declaration>, Vec<ServiceProblem>) {
    let mut names = BTreeSet::new();
    if let Ok(entries) = std::fs::read_dir(dir) {
        for entry in entries.flatten() {
            if let Ok(name) = entry.file_name().into_string()
                && entry.path().join(FILE).is_file()
            {
                names.insert(name);
            }
        }
    }
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
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
    let own = file.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
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
    Ok(Declaration { name: name.to_owned(), file: file.to_owned(), spec, address })
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
mod tests {
    use super::*;

    fn put(dir: &Path, name: &str, text: &str) {
        let folder = dir.join(name).join("config");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("service.json"), text).expect("a file");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key_and_keeps_nothing_back() {
        let dir = tempfile::tempdir().unwrap();
        let rows = [
            ("a_good", r#"{"prefix":"a","url":"http://127.0.0.1:15001"}"#, None),
            ("b_prefix", r#"{"prefix":"a","port":15002}"#, Some(("prefix", "a_good"))),
            ("c_port", r#"{"prefix":"c","port":15001}"#, Some(("port", "a_good"))),
            (
                "d_unknown",
                r#"{"prefix":"d","port":1,"memroy_limit_mb":1}"#,
                Some(("memroy_limit_mb", "unknown")),
            ),
            ("e_nested", r#"{"prefix":"e","port":2,"health":{"pth":"/"}}"#, Some(("health.pth", "unknown"))),
            (
                "f_type",
                r#"{"prefix":"f","port":3,"memory_limit_mb":"64"}"#,
                Some(("memory_limit_mb", "invalid")),
            ),
            ("g_none", r#"{"prefix":"g"}"#, Some(("port", "needs"))),
            ("h_both", r#"{"prefix":"h","port":4,"url":"http://127.0.0.1:4"}"#, Some(("url", "not both"))),
            ("i_far", r#"{"prefix":"i","url":"http://10.0.0.1:80"}"#, Some(("url", "loopback"))),
            ("j_dots", r#"{"prefix":"a/../b","port":5}"#, Some(("prefix", "segment"))),
            ("k_gateway", r#"{"prefix":"k","port":14000}"#, Some(("port", "gateway"))),
            ("l_requires", r#"{"prefix":"l","port":6,"requires":["nobody"]}"#, Some(("requires", "nobody"))),
            ("m_reserved", r#"{"prefix":"-/x","port":7}"#, Some(("prefix", "gateway"))),
            (
                "n_schedule",
                r#"{"prefix":"n","port":8,"schedules":[{"endpoint":"x","interval_secs":1}]}"#,
                Some(("schedules[0].endpoint", "")),
            ),
            ("o_json", r#"{"prefix":"#, Some(("prefix", "EOF"))),
            ("p_one", r#"{"prefix":"p","port":9,"requires":["q_two"]}"#, Some(("requires", "itself"))),
            ("q_two", r#"{"prefix":"q","port":10,"requires":["p_one"]}"#, Some(("requires", ""))),
            ("r_handler", r#"{"prefix":"r","kind":"handler"}"#, None),
            ("s_auto", r#"{"prefix":"a/b","port":"auto","requires":["a_good"]}"#, None),
            (
                "t_range",
                r#"{"prefix":"t","port":11,"health":{"interval_secs":0}}"#,
                Some(("health.interval_secs", "0")),
            ),
        ];
        for (name, text, _) in rows {
            put(dir.path(), name, text);
        }
        let (found, problems) = scan(dir.path(), Some(([127, 0, 0, 1], 14000).into()));
        for (name, _, wrong) in rows {
            let problem = problems.iter().find(|problem| problem.name == name);
            match wrong {
                None => assert!(found.contains_key(name), "{name}: {problem:?}"),
                Some((key, reason)) => {
                    let problem = problem.unwrap_or_else(|| panic!("{name} was taken"));
                    assert_eq!(problem.key.as_deref().unwrap_or(""), key, "{problem:?}");
                    assert!(problem.reason.contains(reason), "{problem:?}");
                    assert!(problem.file.ends_with("config/service.json"));
                }
            }
        }
    }

    #[test]
    fn relative_folders_start_at_the_service() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "a", r#"{"prefix":"a","port":1,"dirs":[{"host":"data"}]}"#);
        assert_eq!(scan(dir.path(), None).1[0].key.as_deref(), Some("dirs[0].host"));
        std::fs::create_dir(dir.path().join("a/data")).unwrap();
        let (found, _) = scan(dir.path(), None);
        let grant = &found["a"].spec.dirs[0];
        assert_eq!(grant.guest.as_deref(), Some("data"));
        assert_eq!(grant.host, dir.path().join("a/data").to_string_lossy());
    }
}

//! A service.json that lies here: read, and checked as far as that needs no server.
//!
//! What depends on the place or on other services, such as folders, ports that are taken and time zones, only the server can
//! tell.

use std::fmt;
use std::path::Path;

use api::service::{ServiceKind, ServiceSpec};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The key, where one is at fault.
    pub(super) key: Option<String>,
    /// Why.
    pub(super) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

fn at(key: impl Into<String>, reason: impl Into<String>) -> Fault {
    Fault { key: Some(key.into()), reason: reason.into() }
}

/// Reads and checks a file.
pub(super) fn read(file: &Path) -> Result<ServiceSpec, Fault> {
    let text = std::fs::read_to_string(file);
    let spec = parse(&text.map_err(|error| Fault { key: None, reason: error.to_string() })?)?;
    check(&spec)?;
    Ok(spec)
}

fn parse(text: &str) -> Result<ServiceSpec, Fault> {
    let mut json = serde_json::Deserializer::from_str(text);
    let spec = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let reason = error.to_string();
        if !error.is_data() {
            // It is no JSON; the message names line and column.
            return Fault { key: None, reason };
        }
        // The path may end above a key that is unknown or missing; the message names it.
        let named =
            ["unknown field `", "missing field `"].iter().find_map(|start| reason.strip_prefix(start));
        let key = match (path.as_str(), named.and_then(|rest| rest.split('`').next())) {
            (".", named) => named.map(str::to_owned),
            (path, Some(named)) if !path.ends_with(named) => Some(format!("{path}.{named}")),
            (path, _) => Some(path.to_owned()),
        };
        Fault { key, reason }
    })?;
    json.end().map_err(|error| Fault { key: None, reason: error.to_string() })?;
    Ok(spec)
}

const NOT_A_LISTENER: &str = "a handler listens on nothing: leave it out";

fn check(spec: &ServiceSpec) -> Result<(), Fault> {
    prefix(&spec.prefix)?;
    match (spec.kind, spec.url.is_some(), spec.port.is_some()) {
        (ServiceKind::Listener, false, false) => return Err(at("port", "a listener needs url or port")),
        (ServiceKind::Listener, true, true) => return Err(at("url", "give url or port, not both")),
        (ServiceKind::Handler, true, _) => return Err(at("url", NOT_A_LISTENER)),
        (ServiceKind::Handler, _, true) => return Err(at("port", NOT_A_LISTENER)),
        (ServiceKind::Listener, ..) | (ServiceKind::Handler, ..) => {}
    }
    if let Some(url) = spec.url.as_ref().filter(|url| !is_address(url)) {
        return Err(at("url", format!("{url:?}: it has to be http://127.0.0.1:<port>")));
    }
    if spec.kind == ServiceKind::Handler && spec.idle_timeout_secs.is_some() {
        return Err(at("idle_timeout_secs", "a handler has no process that could be idle: leave it out"));
    }
    let health = &spec.health;
    for (key, number) in [
        ("memory_limit_mb", spec.memory_limit_mb.map(u64::from)),
        ("instances", spec.instances.map(u64::from)),
        ("health.interval_secs", Some(health.interval_secs)),
        ("health.timeout_ms", Some(health.timeout_ms)),
        ("health.failures", Some(health.failures.into())),
        ("health.start_period_secs", Some(health.start_period_secs)),
    ] {
        if number == Some(0) {
            return Err(at(key, "0 is too little"));
        }
    }
    if !health.path.starts_with('/') {
        return Err(at("health.path", format!("{:?} does not begin with a slash", health.path)));
    }
    for (index, schedule) in spec.schedules.iter().enumerate() {
        let wrong = |key: &str, reason: String| Err(at(format!("schedules[{index}].{key}"), reason));
        if !schedule.endpoint.starts_with('/') {
            return wrong("endpoint", format!("{:?} does not begin with a slash", schedule.endpoint));
        }
        match (schedule.interval_secs, &schedule.cron) {
            (None, None) => return wrong("interval_secs", "give interval_secs or cron".to_owned()),
            (Some(_), Some(_)) => return wrong("cron", "give interval_secs or cron, not both".to_owned()),
            (Some(0), None) => return wrong("interval_secs", "0 is too little".to_owned()),
            (None, Some(cron)) if cron.split_whitespace().count() != 5 => {
                return wrong("cron", format!("{cron:?} does not have five fields"));
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
    }
    Ok(())
}

fn prefix(prefix: &str) -> Result<(), Fault> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "._~-".contains(letter);
    let wrong = |segment: &str| matches!(segment, "" | "." | "..") || !segment.chars().all(letter);
    if prefix.split('/').any(wrong) {
        let reason = format!(
            "{prefix:?}: segments of a-z A-Z 0-9 . _ ~ -, with one slash between them and none around them"
        );
        return Err(at("prefix", reason));
    }
    Ok(())
}

/// `http://` and a host and a port, and nothing behind it but a slash. Which hosts are loopback is the server's to say.
fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let parts = rest.and_then(|rest| rest.rsplit_once(':'));
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (String, String) {
        let fault = parse(text).and_then(|spec| check(&spec)).unwrap_err();
        (fault.key.unwrap_or_default(), fault.reason)
    }

    #[test]
    fn what_the_contract_takes_is_taken() {
        for text in [
            r#"{ "prefix": "hello", "url": "http://127.0.0.1:15001", "memory_limit_mb": 64,
                 "schedules": [ { "endpoint": "/hello", "interval_secs": 60 } ] }"#,
            r#"{ "prefix": "a/b.c~d_e-F", "port": "auto", "permissions": { "net": ["example.org:443"] } }"#,
            r#"{ "prefix": "c", "kind": "handler", "schedules": [{ "endpoint": "/", "cron": "0 3 * * 1-5" }] }"#,
        ] {
            assert_eq!(parse(text).and_then(|spec| check(&spec)), Ok(()), "{text}");
        }
    }

    #[test]
    fn each_fault_has_its_key() {
        for (text, key, reason) in [
            ("{", "", "EOF"),
            (r#"{"prefix":"a","port":1} x"#, "", "trailing"),
            (r#"{"port":1}"#, "prefix", "missing field"),
            (r#"{"prefix":"a","prot":1}"#, "prot", "unknown field"),
            (r#"{"prefix":"a","port":"8080"}"#, "port", "auto"),
            (r#"{"prefix":"a","port":1,"health":{"path":1}}"#, "health.path", "invalid type"),
            (r#"{"prefix":"a","port":1,"health":{"pth":1}}"#, "health.pth", "unknown field"),
            (
                r#"{"prefix":"a","port":1,"schedules":[{"cron":"* * * * *"}]}"#,
                "schedules[0].endpoint",
                "missing",
            ),
            (r#"{"prefix":"/a","port":1}"#, "prefix", "segments"),
            (r#"{"prefix":"a/../b","port":1}"#, "prefix", "segments"),
            (r#"{"prefix":"a"}"#, "port", "needs url or port"),
            (r#"{"prefix":"a","port":1,"url":"http://127.0.0.1:1"}"#, "url", "not both"),
            (r#"{"prefix":"a","url":"http://127.0.0.1"}"#, "url", "http://127.0.0.1:<port>"),
            (r#"{"prefix":"a","kind":"handler","port":1}"#, "port", "listens on nothing"),
            (r#"{"prefix":"a","port":1,"instances":0}"#, "instances", "too little"),
            (
                r#"{"prefix":"a","port":1,"schedules":[{"endpoint":"/"}]}"#,
                "schedules[0].interval_secs",
                "or cron",
            ),
            (
                r#"{"prefix":"a","port":1,"schedules":[{"endpoint":"/","cron":"* * *"}]}"#,
                "schedules[0].cron",
                "five fields",
            ),
            (r#"{"prefix":"a","port":1,"permissions":{"net":["x"]}}"#, "permissions.net", "host:port"),
        ] {
            let found = fault(text);
            assert!(found.0 == key && found.1.contains(reason), "{text}: {found:?}");
        }
    }
}

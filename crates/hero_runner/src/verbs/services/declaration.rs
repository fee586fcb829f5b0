//! A service.json that lies here: read, and checked as far as that needs no server.
//!
//! What depends on the place or on other services, such as folders, ports that are taken and time zones, only the server can
//! tell.

use std::fmt;
use std::path::Path;

use api::service::ServiceSpec;

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

fn check(spec: &ServiceSpec) -> Result<(), Fault> {
    let wrong = package::service::check(spec).into_iter().next();
    wrong.map_or(Ok(()), |(key, reason)| Err(at(key, reason)))
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
            (r#"{"prefix":"a","port":1,"permissions":{"net":["x"]}}"#, "permissions.net[0]", "host:port"),
        ] {
            let found = fault(text);
            assert!(found.0 == key && found.1.contains(reason), "{text}: {found:?}");
        }
    }
}

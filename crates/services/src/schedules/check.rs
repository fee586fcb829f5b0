//! What a declaration has to be, and what its schedules are called.

use std::collections::BTreeSet;

use api::schedule::Schedule;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method};

use super::rhythm::{Now, Rhythm};
use super::wall;

/// The longest that a call may be given, in milliseconds: an hour.
const TIMEOUT_MAX: u64 = 3_600_000;

/// The longest that a call takes unless its declaration says otherwise, in milliseconds.
const TIMEOUT: u64 = 30_000;

/// Headers that belong to the connection and not to the call.
const OURS: [HeaderName; 4] = [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING];

type Fault = (&'static str, String);

/// Checks the declaration of a schedule. Reads the time zone database the first time that a time zone is named.
///
/// # Errors
/// The key at fault, and why.
pub fn check(schedule: &Schedule) -> Result<(), Fault> {
    if let Some(name) = &schedule.name {
        self::name(name)?;
    }
    endpoint(&schedule.endpoint)?;
    let now = Now { steady: 0, wall: wall() };
    let rhythm = Rhythm::new(schedule, now)?;
    if schedule.cron.is_some() && rhythm.next(now).is_none() {
        return Err(("cron", "there is no such day".to_owned()));
    }
    method(schedule)?;
    headers(schedule)?;
    timeout(schedule)?;
    Ok(())
}

fn name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.len() > 64 || !name.bytes().all(of_a_name) {
        return Err(("name", format!("{name:?} is not 1 to 64 of a-z 0-9 . _ -")));
    }
    Ok(())
}

fn endpoint(endpoint: &str) -> Result<(), Fault> {
    let wrong = |why: &str| Err(("endpoint", format!("{endpoint:?} {why}")));
    if !endpoint.starts_with('/') {
        return wrong("does not begin with a slash");
    }
    if endpoint.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return wrong("has a space or a control character in it; write them as in %20");
    }
    if endpoint.contains('#') {
        return wrong("has a fragment, which is never sent");
    }
    match endpoint.parse::<PathAndQuery>() {
        Ok(_) => Ok(()),
        Err(error) => wrong(&format!("is no path: {error}")),
    }
}

/// The method of a call.
pub(super) fn method(schedule: &Schedule) -> Result<Method, Fault> {
    let Some(name) = &schedule.method else { return Ok(Method::GET) };
    match Method::from_bytes(name.as_bytes()) {
        Ok(Method::CONNECT) => Err(("method", "CONNECT has no path".to_owned())),
        Ok(method) => Ok(method),
        Err(_) => Err(("method", format!("{name:?} is no HTTP method"))),
    }
}

/// The headers of a call that its declaration names.
pub(super) fn headers(schedule: &Schedule) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in &schedule.headers {
        let wrong = |why: &str| ("headers", format!("{name:?} {why}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("is no name of a header"))?;
        if OURS.contains(&key) {
            return Err(wrong("is set by the gateway's client"));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| wrong("has a value with a control character or a letter that is not ASCII"))?;
        if headers.insert(key, value).is_some() {
            return Err(wrong("is there twice, in upper and lower case"));
        }
    }
    Ok(headers)
}

/// The longest that a call may take, in milliseconds.
pub(super) fn timeout(schedule: &Schedule) -> Result<u64, Fault> {
    match schedule.timeout_ms.unwrap_or(TIMEOUT) {
        timeout @ 1..=TIMEOUT_MAX => Ok(timeout),
        timeout => Err(("timeout_ms", format!("{timeout} is not 1 to {TIMEOUT_MAX}"))),
    }
}

fn of_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

/// The ids of a service's schedules, in order: `<service>/<name>`. The name is the one that is given, or the path of the
/// endpoint without its leading slash, or `root`; what is none of `a-z 0-9 . _ -` becomes `-`. A name that is taken gets
/// `-2`, `-3`.
#[must_use]
pub fn ids(service: &str, schedules: &[Schedule]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut ids = Vec::with_capacity(schedules.len());
    for schedule in schedules {
        let path = schedule.endpoint.split(['?', '#']).next().unwrap_or_default();
        let name = schedule.name.as_deref().unwrap_or(path.strip_prefix('/').unwrap_or(path));
        let name: String =
            name.chars().map(|c| if c.is_ascii() && of_a_name(c as u8) { c } else { '-' }).collect();
        let name = if name.is_empty() { "root" } else { &name };
        let first = format!("{service}/{name}");
        let others = (2_u32..).map(|number| format!("{service}/{name}-{number}"));
        let free = std::iter::once(first).chain(others).find(|id| !taken.contains(id));
        let id = free.unwrap_or_default();
        taken.insert(id.clone());
        ids.push(id);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hourly() -> Schedule {
        Schedule { endpoint: "/tick".into(), cron: Some("0 * * * *".into()), ..Schedule::default() }
    }

    fn with(change: impl FnOnce(&mut Schedule)) -> Schedule {
        let mut schedule = hourly();
        change(&mut schedule);
        schedule
    }

    fn header(name: &str, value: &str) -> Schedule {
        with(|schedule| schedule.headers = [(name.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn what_makes_sense_is_taken() {
        let good = [
            hourly(),
            with(|schedule| (schedule.cron, schedule.interval_secs) = (None, Some(1))),
            with(|schedule| (schedule.cron, schedule.interval_secs) = (None, Some(u64::MAX))),
            with(|schedule| schedule.endpoint = "/".into()),
            with(|schedule| schedule.endpoint = "/a/b%20c?x=1&y=/z".into()),
            with(|schedule| schedule.timezone = Some("Europe/Brussels".into())),
            with(|schedule| schedule.cron = Some("*/5 9-17 * jan-mar mon,wed".into())),
            with(|schedule| schedule.method = Some("POST".into())),
            with(|schedule| schedule.method = Some("PURGE".into())),
            with(|schedule| schedule.timeout_ms = Some(1)),
            with(|schedule| schedule.timeout_ms = Some(3_600_000)),
            with(|schedule| schedule.name = Some("a.b_c-9".into())),
            header("X-Token", "a b\tc"),
            header("content-type", ""),
        ];
        for schedule in good {
            assert_eq!(check(&schedule), Ok(()), "{schedule:?}");
        }
    }

    #[test]
    fn what_does_not_is_refused_by_its_key() {
        let none = |schedule: &mut Schedule| (schedule.cron, schedule.interval_secs) = (None, None);
        let bad = [
            ("endpoint", with(|schedule| schedule.endpoint = "tick".into())),
            ("endpoint", with(|schedule| schedule.endpoint = String::new())),
            ("endpoint", with(|schedule| schedule.endpoint = "http://other/".into())),
            ("endpoint", with(|schedule| schedule.endpoint = "/a b".into())),
            ("endpoint", with(|schedule| schedule.endpoint = "/a\r\nX-Evil: 1".into())),
            ("endpoint", with(|schedule| schedule.endpoint = "/a\u{7f}".into())),
            ("endpoint", with(|schedule| schedule.endpoint = "/a#b".into())),
            ("endpoint", with(|schedule| schedule.endpoint = format!("/{}", "a".repeat(70_000)))),
            ("interval_secs", with(none)),
            ("interval_secs", with(|schedule| (schedule.cron, schedule.interval_secs) = (None, Some(0)))),
            ("cron", with(|schedule| schedule.interval_secs = Some(60))),
            ("cron", with(|schedule| schedule.cron = Some("* * * *".into()))),
            ("cron", with(|schedule| schedule.cron = Some("0 * * * * *".into()))),
            ("cron", with(|schedule| schedule.cron = Some("61 * * * *".into()))),
            ("cron", with(|schedule| schedule.cron = Some(String::new()))),
            ("cron", with(|schedule| schedule.cron = Some("0 0 30 2 *".into()))),
            ("timezone", with(|schedule| schedule.timezone = Some("Europe/Nowhere".into()))),
            ("timezone", with(|schedule| schedule.timezone = Some("Etc/Unknown".into()))),
            ("timezone", with(|schedule| schedule.timezone = Some("../../etc/passwd".into()))),
            (
                "timezone",
                with(|schedule| {
                    (schedule.cron, schedule.interval_secs) = (None, Some(1));
                    schedule.timezone = Some("UTC".into());
                }),
            ),
            ("method", with(|schedule| schedule.method = Some("GET /".into()))),
            ("method", with(|schedule| schedule.method = Some(String::new()))),
            ("method", with(|schedule| schedule.method = Some("CONNECT".into()))),
            ("headers", header("host", "a")),
            ("headers", header("Content-Length", "1")),
            ("headers", header("CONNECTION", "close")),
            ("headers", header("Transfer-Encoding", "chunked")),
            ("headers", header("a b", "c")),
            ("headers", header("", "c")),
            ("headers", header("x", "a\r\nb: c")),
            (
                "headers",
                with(|schedule| schedule.headers = ["X", "x"].map(|name| (name.into(), "1".into())).into()),
            ),
            ("timeout_ms", with(|schedule| schedule.timeout_ms = Some(0))),
            ("timeout_ms", with(|schedule| schedule.timeout_ms = Some(3_600_001))),
            ("name", with(|schedule| schedule.name = Some(String::new()))),
            ("name", with(|schedule| schedule.name = Some("a/b".into()))),
            ("name", with(|schedule| schedule.name = Some("a".repeat(65)))),
        ];
        for (key, schedule) in bad {
            let (found, why) = check(&schedule).unwrap_err();
            assert_eq!(found, key, "{why}");
            assert!(!why.is_empty());
        }
    }

    /// An endpoint, and the name that is given.
    type Declared = (&'static str, Option<&'static str>);

    #[test]
    fn names_come_from_the_endpoint_and_are_told_apart() {
        let cases: [(&[Declared], &[&str]); 6] = [
            (&[("/hello", None)], &["s/hello"]),
            (&[("/", None), ("/?a=1", None)], &["s/root", "s/root-2"]),
            (&[("/a/b?c=d", None), ("/Ünï", None)], &["s/a-b", "s/-n-"]),
            (&[("/x", Some("night")), ("/x", None), ("/y", Some("night"))], &["s/night", "s/x", "s/night-2"]),
            // One that was named like that already is told apart, too.
            (
                &[("/x", None), ("/x", None), ("/x-2", None), ("/x", None)],
                &["s/x", "s/x-2", "s/x-2-2", "s/x-3"],
            ),
            (&[], &[]),
        ];
        for (declared, expected) in cases {
            let schedules: Vec<Schedule> = declared
                .iter()
                .map(|(endpoint, name)| Schedule {
                    endpoint: (*endpoint).into(),
                    name: name.map(str::to_owned),
                    ..Schedule::default()
                })
                .collect();
            assert_eq!(ids("s", &schedules), expected);
        }
    }
}

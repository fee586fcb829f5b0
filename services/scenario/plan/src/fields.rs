//! The fields that need a closer look. Checked while they are read, because only then the line is known.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use scenario_url::Url;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::Step;

/// More are no test of a server from one machine.
const MOST_USERS: u32 = 100_000;
/// A day.
const LONGEST: f64 = 86_400.0;

pub(crate) fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let users = i64::deserialize(deserializer)?;
    match u32::try_from(users) {
        Ok(users @ 1..=MOST_USERS) => Ok(users),
        _ => Err(D::Error::custom(format!("total_users is {users}, and must be from 1 to {MOST_USERS}"))),
    }
}

pub(crate) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.is_empty() { Err(D::Error::custom("an id is not empty")) } else { Ok(name) }
}

pub(crate) fn workflow<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Step>, D::Error> {
    let steps = Vec::<Step>::deserialize(deserializer)?;
    if steps.is_empty() { Err(D::Error::custom("workflow needs at least one step")) } else { Ok(steps) }
}

pub(crate) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = String::deserialize(deserializer)?;
    Url::parse(&url).map_err(D::Error::custom)?;
    Ok(url)
}

pub(crate) fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let method = String::deserialize(deserializer)?;
    if method == "CONNECT" || !is_token(&method) {
        return Err(D::Error::custom(format!("{method:?} is no method for a request")));
    }
    Ok(method)
}

pub(crate) fn headers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let headers = BTreeMap::<String, String>::deserialize(deserializer)?;
    for (name, value) in &headers {
        if !is_token(name) {
            return Err(D::Error::custom(format!("{name:?} is no name for a header")));
        }
        if ["content-length", "transfer-encoding", "connection"].contains(&name.to_ascii_lowercase().as_str())
        {
            let why = "it follows from body and keep_alive";
            return Err(D::Error::custom(format!("leave the header {name} out: {why}")));
        }
        if value.chars().any(|letter| letter.is_control() && letter != '\t') {
            return Err(D::Error::custom(format!("the header {name} has a line break or the like in it")));
        }
    }
    Ok(headers)
}

/// What RFC 9110 calls a token.
fn is_token(text: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    !text.is_empty() && text.chars().all(fits)
}

pub(crate) fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    match time(deserializer)? {
        Duration::ZERO => Err(D::Error::custom("this time must be longer than zero")),
        time => Ok(time),
    }
}

/// `500ms`, `10s`, `2m`, `1h`, or a number of seconds.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Time)
}

struct Time;

impl Visitor<'_> for Time {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 500ms, 10s, 2m or 1h, or a number of seconds, a day at most")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Duration, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Duration, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Duration, E> {
        match (0.0..=LONGEST).contains(&value) {
            true => Ok(Duration::from_secs_f64(value)),
            false => Err(E::invalid_value(Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
        let unit = match unit {
            "ms" => 0.001,
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(E::invalid_value(Unexpected::Str(text), &self)),
        };
        match number.trim().parse::<f64>() {
            Ok(number) if (0.0..=LONGEST).contains(&(number * unit)) => {
                Ok(Duration::from_secs_f64(number * unit))
            }
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

//! A scenario as its YAML says it. What is wrong with one is told with its line.

mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use scenario_url::Url;
use serde::Deserialize;

/// The file: the scenario under its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Scenario,
}

/// A load test: who asks for what, how often, how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A name for the report.
    #[serde(deserialize_with = "fields::name")]
    pub id: String,
    /// For the reader.
    #[serde(default)]
    pub description: String,
    /// How many users, and when.
    pub load: Load,
    /// What each user does, over and over.
    #[serde(deserialize_with = "fields::workflow")]
    pub workflow: Vec<Step>,
}

/// How many users, and when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// How many users there are in the end.
    #[serde(deserialize_with = "fields::users")]
    pub total_users: u32,
    /// The users start evenly over this time; at once by default.
    #[serde(default, deserialize_with = "fields::time")]
    pub ramp_duration: Duration,
    /// No request starts later.
    #[serde(deserialize_with = "fields::some_time")]
    pub test_duration: Duration,
    /// Addresses of this machine that the users' connections come from, in turn; the system's choice by default.
    #[serde(default)]
    pub ip_pool: Vec<IpAddr>,
}

/// One thing that a user does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What errors call it.
    #[serde(deserialize_with = "fields::name")]
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// For the reader.
    #[serde(default)]
    pub name: String,
    /// The request.
    pub params: Params,
    /// How long the user waits after it.
    #[serde(default, deserialize_with = "fields::time")]
    pub think_time: Duration,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request over HTTP or HTTPS.
    Http,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `GET` by default.
    #[serde(default = "get", deserialize_with = "fields::method")]
    pub method: String,
    /// `http://` or `https://`.
    #[serde(deserialize_with = "fields::url")]
    pub url: String,
    /// Sent as they are, beside `Host`, `User-Agent`, `Accept` and `Content-Length`.
    #[serde(default, deserialize_with = "fields::headers")]
    pub headers: BTreeMap<String, String>,
    /// Sent as it is.
    #[serde(default)]
    pub body: String,
    /// How long an answer may take, from the start of the request to its last byte; 10 s by default.
    #[serde(default = "ten_seconds", deserialize_with = "fields::some_time")]
    pub timeout: Duration,
    /// Whether a user's next request goes over the same connection; true by default.
    #[serde(default = "yes")]
    pub keep_alive: bool,
    /// Certificate authorities to trust beside Mozilla's, as PEM.
    #[serde(default)]
    pub ca: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn yes() -> bool {
    true
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

impl Scenario {
    /// Reads a scenario, or says what is wrong with it, and in which line.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! { with_snippet: false };
        let error = match serde_saphyr::from_str_with_options::<File>(yaml, options) {
            Ok(file) => return Ok(file.scenario),
            Err(error) => error,
        };
        // Some errors name neither key nor value; the line has both.
        let line = error
            .location()
            .and_then(|location| yaml.lines().nth((location.line() as usize).checked_sub(1)?));
        let line = line.map(|line| format!(": {}", line.trim())).unwrap_or_default();
        Err(format!("the scenario cannot be read: {error}{line}"))
    }

    /// The hosts and ports that it connects to, as `host:port`.
    #[must_use]
    pub fn destinations(&self) -> BTreeSet<String> {
        let urls = self.workflow.iter().filter_map(|step| Url::parse(&step.params.url).ok());
        urls.map(|url| url.destination()).collect()
    }
}

#[cfg(test)]
mod tests;

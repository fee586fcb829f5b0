//! Server-sent events, read as a browser reads them and held to the contract.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::contract;
use crate::http::Reply;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The last id that was sent with it or before it.
    pub id: Option<String>,
    /// `stdout`, `stderr`, `host`, `gap`, `state` or `end`.
    pub name: String,
    /// The data, valid.
    pub data: Value,
}

impl Event {
    /// Whether it is a line of the log.
    #[must_use]
    pub fn is_line(&self) -> bool {
        matches!(self.name.as_str(), "stdout" | "stderr" | "host")
    }

    /// The text of a line.
    #[must_use]
    pub fn text(&self) -> &str {
        self.data["line"].as_str().unwrap_or_default()
    }
}

/// A stream of events, until the server ends it.
#[derive(Debug)]
pub struct Events {
    body: BufReader<Reply>,
    last_id: Option<String>,
}

impl Events {
    /// The events of a reply.
    ///
    /// # Panics
    /// When the reply is no stream of events.
    #[must_use]
    pub fn new(reply: Reply) -> Self {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        Self { body: BufReader::new(reply), last_id: None }
    }

    /// The next event, or `None` when the server or its connection ended.
    fn read(&mut self) -> Option<Event> {
        let (mut name, mut data) = (String::new(), Vec::new());
        loop {
            let mut line = Vec::new();
            match self.body.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            let line = String::from_utf8(line).expect("a stream of events is UTF-8");
            // A lone return ends a line, too: whatever stands behind it would be a field of its own.
            let line = line.strip_suffix('\n').unwrap_or(&line);
            assert!(!line.contains('\r'), "a return inside of a line: {line:?}");
            let (field, value) = line.split_once(": ").or_else(|| line.split_once(':')).unwrap_or((line, ""));
            match field {
                "" if line.is_empty() => {
                    if !data.is_empty() {
                        let data = contract::hold_event(&name, &data.join("\n"));
                        return Some(Event { id: self.last_id.clone(), name, data });
                    }
                    name.clear();
                }
                // A comment.
                "" => {}
                "id" => self.last_id = Some(value.to_owned()),
                "event" => value.clone_into(&mut name),
                "data" => data.push(value.to_owned()),
                "retry" => assert!(value.parse::<u64>().is_ok(), "retry: {value}"),
                _ => panic!("no field of an event is called `{field}`: {line:?}"),
            }
        }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.read()
    }
}

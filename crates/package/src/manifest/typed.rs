//! A tree as a type: each fault is told, taken out, and the rest is read again.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::Wrong;
use super::document::{Document, Step, member};

/// So many faults are told of one manifest.
const MAX_FAULTS: usize = 50;

/// What stands for a text that is missing, so that the rest can be looked at.
const STAND_IN: &str = "x";

/// Reads what is right, and tells what is not. `None` when too little is right.
pub(super) fn read<T: DeserializeOwned>(document: &mut Document, faults: &mut Vec<Wrong>) -> Option<T> {
    for _ in 0..MAX_FAULTS {
        let error = match serde_path_to_error::deserialize(document.value()) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let steps: Vec<Step<'_>> = error
            .path()
            .iter()
            .filter_map(|segment| match segment {
                Segment::Map { key } => Some(Step::Member(key.as_str())),
                Segment::Seq { index } => Some(Step::Element(*index)),
                Segment::Enum { .. } | Segment::Unknown => None,
            })
            .collect();
        let container = document.key(&steps);
        let reason = error.inner().to_string();
        let named = |start: &str| reason.strip_prefix(start).and_then(|rest| rest.split('`').next());
        if let Some(name) = named("missing field `") {
            let top = steps.is_empty();
            let key = if top { document.missing(name) } else { member(&container, name) };
            faults.push((key, "it is missing".to_owned()));
            if top {
                document.stand_in(name, STAND_IN);
            } else if !document.take_out(&container) {
                return None;
            }
            continue;
        }
        // For a key that is unknown the path may end above it.
        let unknown = named("unknown field `")
            .filter(|name| !matches!(steps.last(), Some(Step::Member(last)) if last == name));
        let key = match unknown {
            Some(name) => document.key(&steps.into_iter().chain([Step::Member(name)]).collect::<Vec<_>>()),
            None => container,
        };
        let gone = !key.is_empty() && document.take_out(&key);
        faults.push((key, explain(&reason)));
        if !gone {
            return None;
        }
    }
    None
}

/// What serde says, and what to do where that is not plain.
fn explain(reason: &str) -> String {
    let scalar = ["integer `", "floating point `", "boolean `"];
    let bare = scalar.iter().any(|kind| reason.starts_with(&format!("invalid type: {kind}")));
    match bare && reason.ends_with("expected a string") {
        true => format!("{reason}: put it into quotes"),
        false => reason.to_owned(),
    }
}

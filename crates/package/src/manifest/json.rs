//! JSON as a tree.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::document::{Node, Tree, element, member};
use crate::fault::Place;

/// What a map holds, in its order and with names that come twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Map)
    }
}

type Refused = (Option<Place>, String);

/// Reads a text.
pub(super) fn tree(text: &str) -> Result<(Node, BTreeMap<String, Place>), Refused> {
    // The whole first: its depth is limited, and what is no JSON is told once.
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| {
        let place = (error.line() > 0)
            .then(|| Place { line: error.line() as u64, column: error.column().max(1) as u64 });
        let reason = error.to_string();
        let cut = reason.find(" at line ").unwrap_or(reason.len());
        (place, reason[..cut].to_owned())
    })?;
    serde_json::from_str::<Value>(whole.get()).map_err(|error| (None, error.to_string()))?;
    let mut reader = Reader { text, places: BTreeMap::new() };
    let root = reader.node(whole, String::new())?;
    Ok((root, reader.places))
}

struct Reader<'a> {
    text: &'a str,
    places: BTreeMap<String, Place>,
}

impl<'a> Reader<'a> {
    /// Where a part of the text begins, in bytes.
    fn offset(&self, part: &RawValue) -> usize {
        (part.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    fn node(&mut self, raw: &'a RawValue, key: String) -> Result<Node, Refused> {
        let offset = self.offset(raw);
        let place = Place::of(self.text, offset);
        self.places.entry(key.clone()).or_insert(place);
        let refused = |error: serde_json::Error| (Some(place), error.to_string());
        let tree = match raw.get().as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(raw.get()).map_err(refused)?;
                let mut map: Vec<(String, Node)> = Vec::with_capacity(members.len());
                for (name, value) in members {
                    let key = member(&key, &name);
                    let place = self.name(&name, value);
                    if map.iter().any(|(before, _)| *before == name) {
                        return Err((Some(place), format!("the key {key:?} is there twice")));
                    }
                    self.places.insert(key.clone(), place);
                    map.push((name, self.node(value, key)?));
                }
                Tree::Map(map)
            }
            Some(b'[') => {
                let list: Vec<&'a RawValue> = serde_json::from_str(raw.get()).map_err(refused)?;
                let nodes = list.into_iter().enumerate();
                Tree::List(
                    nodes
                        .map(|(index, one)| self.node(one, element(&key, index)))
                        .collect::<Result<_, _>>()?,
                )
            }
            _ => Tree::Scalar(serde_json::from_str(raw.get()).map_err(refused)?),
        };
        Ok(Node { key, tree })
    }

    /// Where the name of a member stands, that has this value.
    fn name(&self, name: &str, value: &RawValue) -> Place {
        let offset = self.offset(value);
        let before = self.text.get(..offset).unwrap_or_default();
        let before = before.trim_end().strip_suffix(':').unwrap_or(before).trim_end();
        let quoted = Value::from(name).to_string();
        // A name that is written with escapes is not found; then its value's place will do.
        match before.ends_with(&quoted) {
            true => Place::of(self.text, before.len() - quoted.len()),
            false => Place::of(self.text, offset),
        }
    }
}

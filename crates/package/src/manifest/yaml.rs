//! YAML as a tree. Only what JSON could say as well is taken: one document, keys that are texts, no merge keys, no tags.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::document::{Node, Tree, element, member};
use crate::fault::Place;

/// What aliases may add, in nodes; a manifest has no use for more.
const MAX_REPLAYED: usize = 1000;
/// How deep lists and maps may stand in each other.
const MAX_DEPTH: usize = 32;
/// Nodes altogether.
const MAX_EVENTS: usize = 20_000;

/// What is read, before it knows its keys.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true, false, a list or a map")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.into()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.into()))
            }

            fn visit_unit<E: Error>(self) -> Result<Raw, E> {
                Ok(Raw::Scalar(Value::Null))
            }

            fn visit_none<E: Error>(self) -> Result<Raw, E> {
                Ok(Raw::Scalar(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
                Raw::deserialize(deserializer)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    list.push(element);
                }
                Ok(Raw::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    list.push(entry);
                }
                Ok(Raw::Map(list))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

fn at(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

/// What a manifest says, and where each of its keys stands.
pub(super) type Placed = (Node, BTreeMap<String, Place>);

/// Reads a text.
pub(super) fn tree(text: &str) -> Result<Placed, (Option<Place>, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_events: MAX_EVENTS },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().filter(|location| *location != Location::UNKNOWN).map(at);
        (place, reason(&error))
    })?;
    let mut places = BTreeMap::from([(String::new(), at(raw.referenced))]);
    let root = node(raw.value, String::new(), &mut places);
    Ok((root, places))
}

/// What an error says, without the place that it names as well.
fn reason(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let first = text.lines().next().unwrap_or_default();
    let cut = first.find(" at line ").filter(|_| error.location().is_some()).unwrap_or(first.len());
    first[..cut].trim_end_matches([':', ',']).to_owned()
}

fn node(raw: Raw, key: String, places: &mut BTreeMap<String, Place>) -> Node {
    let tree = match raw {
        Raw::Scalar(value) => Tree::Scalar(value),
        Raw::List(list) => Tree::List(
            list.into_iter()
                .enumerate()
                .map(|(index, one)| {
                    let key = element(&key, index);
                    places.insert(key.clone(), at(one.referenced));
                    node(one.value, key, places)
                })
                .collect(),
        ),
        Raw::Map(map) => Tree::Map(
            map.into_iter()
                .map(|(name, one)| {
                    let key = member(&key, &name.value);
                    places.insert(key.clone(), at(name.referenced));
                    (name.value, node(one.value, key, places))
                })
                .collect(),
        ),
    };
    Node { key, tree }
}

//! A text as a tree whose nodes know where they stand.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Places;
use crate::fault::Place;
use crate::service;

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    /// Its key from the root, as `permissions.net[0]`; the root's is empty.
    pub(super) key: String,
    pub(super) tree: Tree,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Tree {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn value(&self) -> Value {
        match &self.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::List(list) => list.iter().map(Self::value).collect(),
            Tree::Map(map) => {
                Value::Object(map.iter().map(|(name, node)| (name.clone(), node.value())).collect())
            }
        }
    }

    /// Takes out the node of this key; false when there is none.
    fn take_out(&mut self, key: &str) -> bool {
        match &mut self.tree {
            Tree::Scalar(_) => false,
            Tree::List(list) => {
                let before = list.len();
                list.retain(|node| node.key != key);
                list.len() < before || list.iter_mut().any(|node| node.take_out(key))
            }
            Tree::Map(map) => {
                let before = map.len();
                map.retain(|(_, node)| node.key != key);
                map.len() < before || map.iter_mut().any(|(_, node)| node.take_out(key))
            }
        }
    }
}

/// The key of what stands in a map.
pub(super) fn member(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

/// The key of what stands in a list.
pub(super) fn element(key: &str, index: usize) -> String {
    format!("{key}[{index}]")
}

/// A step on the way to a node.
pub(super) enum Step<'a> {
    Member(&'a str),
    Element(usize),
}

/// A tree and where each key of it stands.
#[derive(Debug)]
pub(super) struct Document {
    root: Node,
    places: BTreeMap<String, Place>,
    /// Where a key of the root that is missing would stand, as the beginning of its own.
    below: &'static str,
}

impl Document {
    pub(super) fn new((root, places): (Node, BTreeMap<String, Place>)) -> Self {
        Self { root, places, below: "" }
    }

    pub(super) fn value(&self) -> Value {
        self.root.value()
    }

    /// The key of a node as it was written, after others have been taken out.
    pub(super) fn key(&self, steps: &[Step<'_>]) -> String {
        let (mut node, mut key) = (Some(&self.root), String::new());
        for step in steps {
            (node, key) = match (node.map(|node| &node.tree), step) {
                (Some(Tree::Map(map)), Step::Member(name)) => {
                    let found = map.iter().find(|(own, _)| own == name).map(|(_, node)| node);
                    (found, found.map_or_else(|| member(&key, name), |found| found.key.clone()))
                }
                (Some(Tree::List(list)), Step::Element(index)) => {
                    let found = list.get(*index);
                    (found, found.map_or_else(|| element(&key, *index), |found| found.key.clone()))
                }
                (_, Step::Member(name)) => (None, member(&key, name)),
                (_, Step::Element(index)) => (None, element(&key, *index)),
            };
        }
        key
    }

    pub(super) fn take_out(&mut self, key: &str) -> bool {
        self.root.take_out(key)
    }

    /// Puts a text where a key of the root is missing.
    pub(super) fn stand_in(&mut self, name: &str, text: &str) {
        if let Tree::Map(map) = &mut self.root.tree {
            let node = Node { key: name.to_owned(), tree: Tree::Scalar(text.into()) };
            map.push((name.to_owned(), node));
        }
    }

    /// Where each key stands.
    pub(super) fn places(&self) -> Places {
        Places(self.places.clone())
    }

    /// Makes the keys of a `service.json` those of a manifest: what only services have goes below `service`. Their keys stay as
    /// they were written.
    pub(super) fn gather_service(&mut self, folder: Option<&str>) {
        let Tree::Map(map) = &mut self.root.tree else { return };
        if has(map, "prefix") && !has(map, "service") {
            let (own, service) = std::mem::take(map).into_iter().partition(|(name, _)| service::is_own(name));
            *map = own;
            map.push(("service".to_owned(), Node { key: String::new(), tree: Tree::Map(service) }));
        }
        if !has(map, "name")
            && let Some(folder) = folder
        {
            self.stand_in("name", folder);
        }
    }

    /// The keys of a manifest that is a service's, as a `service.json` has them; each knows how it was written.
    pub(super) fn into_service(self) -> Option<Self> {
        let Tree::Map(mut map) = self.root.tree else { return None };
        let index = map.iter().position(|(name, _)| name == "service")?;
        let (_, service) = map.remove(index);
        let below = if service.key.is_empty() { "" } else { "service." };
        let Tree::Map(service) = service.tree else { return None };
        map.extend(service);
        let root = Node { key: String::new(), tree: Tree::Map(map) };
        Some(Self { root, places: self.places, below })
    }

    /// How a key of a `service.json` was written here.
    pub(super) fn written(&self, key: &str) -> String {
        let (name, rest) = key.split_at(key.find(['.', '[']).unwrap_or(key.len()));
        let Tree::Map(map) = &self.root.tree else { return key.to_owned() };
        match map.iter().find(|(own, _)| own == name) {
            Some((_, node)) => format!("{}{rest}", node.key),
            None => self.missing(key),
        }
    }

    /// The key of what is missing in the root.
    pub(super) fn missing(&self, name: &str) -> String {
        if service::is_own(name) { name.to_owned() } else { format!("{}{name}", self.below) }
    }
}

fn has(map: &[(String, Node)], name: &str) -> bool {
    map.iter().any(|(own, _)| own == name)
}

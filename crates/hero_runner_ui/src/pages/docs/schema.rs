//! JSON schemas in words.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

/// Where the document keeps types that have names.
const TYPES: &str = "#/components/schemas/";

/// A piece of a type's words; one that is a type of its own leads there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) link: Option<String>,
}

/// A field of an object, or a parameter.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) words: Vec<Part>,
    pub(super) description: String,
}

/// One of several things that a value can be.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) words: Vec<Part>,
    pub(super) description: String,
    pub(super) fields: Vec<Field>,
}

/// A type that has a name.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: String,
    pub(super) description: String,
    /// What it is, where it has neither fields nor variants.
    pub(super) words: Vec<Part>,
    pub(super) fields: Vec<Field>,
    pub(super) variants: Vec<Variant>,
}

fn text(text: impl Into<String>) -> Part {
    Part { text: text.into(), link: None }
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// A schema in words: `string or null`, `list of Attempt`, `"a" or "b"`.
pub(super) fn words(schema: &Value) -> Vec<Part> {
    if let Some(name) = reference(schema) {
        return vec![Part { text: name.to_owned(), link: Some(format!("#type-{name}")) }];
    }
    if let Some(value) = schema.get("const") {
        return vec![text(value.to_string())];
    }
    if let Some(values) = schema["enum"].as_array() {
        return vec![text(values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or "))];
    }
    if let Some(only) = schema["allOf"].as_array().and_then(|all| all.first()) {
        return words(only);
    }
    for any in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[any].as_array() {
            return joined(choices.iter().map(words));
        }
    }
    match &schema["type"] {
        Value::String(kind) => plain(kind, schema),
        Value::Array(kinds) => joined(kinds.iter().filter_map(Value::as_str).map(|kind| plain(kind, schema))),
        _ => vec![text("any value")],
    }
}

fn joined(choices: impl Iterator<Item = Vec<Part>>) -> Vec<Part> {
    let mut parts = Vec::new();
    for choice in choices {
        if !parts.is_empty() {
            parts.push(text(" or "));
        }
        parts.extend(choice);
    }
    parts
}

fn plain(kind: &str, schema: &Value) -> Vec<Part> {
    match kind {
        "array" => {
            let mut parts = vec![text("list of ")];
            parts.extend(words(&schema["items"]));
            parts
        }
        "object" if schema["additionalProperties"].is_object() => {
            let mut parts = vec![text("object of ")];
            parts.extend(words(&schema["additionalProperties"]));
            parts
        }
        "integer" | "number" => {
            let bound = |name: &str, words: &str| {
                schema[name].as_i64().filter(|bound| *bound != 0).map(|bound| format!(" {words} {bound}"))
            };
            let bounds = [bound("minimum", "from"), bound("maximum", "to")];
            vec![text(format!("{kind}{}", bounds.into_iter().flatten().collect::<String>()))]
        }
        other => vec![text(other)],
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(TYPES)
}

/// The fields of an object.
fn fields(schema: &Value) -> Vec<Field> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object();
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        required: required.contains(&name.as_str()),
        words: words(schema),
        description: description(schema),
    };
    properties.into_iter().flatten().map(field).collect()
}

/// A parameter of a method.
pub(super) fn parameter(row: &Value) -> Field {
    Field {
        name: row["name"].as_str().unwrap_or_default().to_owned(),
        required: row["required"].as_bool().unwrap_or_default(),
        words: words(&row["schema"]),
        description: description(row),
    }
}

fn variants(schema: &Value) -> Vec<Variant> {
    let choices = ["oneOf", "anyOf"].into_iter().find_map(|any| schema[any].as_array());
    let variant = |schema: &Value| {
        let fields = fields(schema);
        let words = if fields.is_empty() { words(schema) } else { Vec::new() };
        Variant { words, description: description(schema), fields }
    };
    choices.into_iter().flatten().map(variant).collect()
}

fn named(document: &Value, name: &str) -> Option<Type> {
    let schema = document["components"]["schemas"].get(name)?;
    let (fields, variants) = (fields(schema), variants(schema));
    let words = if fields.is_empty() && variants.is_empty() { words(schema) } else { Vec::new() };
    Some(Type { name: name.to_owned(), description: description(schema), words, fields, variants })
}

/// All types with names that these schemas lead to, the nearest first.
pub(super) fn reached<'a>(document: &Value, roots: impl Iterator<Item = &'a Value>) -> Vec<Type> {
    let mut seen = BTreeSet::new();
    let mut names = VecDeque::new();
    let mut open: Vec<&Value> = roots.collect();
    open.reverse();
    let mut types = Vec::new();
    loop {
        while let Some(value) = open.pop() {
            if let Some(name) = reference(value)
                && seen.insert(name.to_owned())
            {
                names.push_back(name.to_owned());
            }
            match value {
                Value::Object(object) => open.extend(object.values()),
                Value::Array(list) => open.extend(list),
                _ => {}
            }
        }
        let Some(name) = names.pop_front() else { return types };
        open.extend(document["components"]["schemas"].get(&name));
        types.extend(named(document, &name));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spoken(schema: &Value) -> String {
        words(schema).into_iter().map(|part| part.text).collect()
    }

    #[test]
    fn schemas_become_words() {
        for (schema, said) in [
            (json!({ "type": "string" }), "string"),
            (
                json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 9 }),
                "integer from 1 to 9 or null",
            ),
            (
                json!({ "type": "array", "items": { "$ref": "#/components/schemas/Attempt" } }),
                "list of Attempt",
            ),
            (
                json!({ "anyOf": [{ "$ref": "#/components/schemas/Outcome" }, { "type": "null" }] }),
                "Outcome or null",
            ),
            (json!({ "type": "object", "additionalProperties": { "type": "string" } }), "object of string"),
            (json!({ "enum": ["a", "b"] }), "\"a\" or \"b\""),
            (json!({ "const": "auto" }), "\"auto\""),
            (json!(true), "any value"),
        ] {
            assert_eq!(spoken(&schema), said);
        }
    }

    #[test]
    fn every_type_that_is_named_is_told_and_every_link_leads_somewhere() {
        let document = api::openrpc::document();
        for method in document["methods"].as_array().unwrap() {
            let types = reached(&document, [&method["params"], &method["result"]].into_iter());
            let known: BTreeSet<String> = types.iter().map(|one| format!("#type-{}", one.name)).collect();
            let parts = types.iter().flat_map(|one| {
                let inner = one.variants.iter().flat_map(|variant| {
                    variant.words.iter().chain(variant.fields.iter().flat_map(|field| &field.words))
                });
                one.words.iter().chain(one.fields.iter().flat_map(|field| &field.words)).chain(inner)
            });
            for link in parts.filter_map(|part| part.link.as_ref()) {
                assert!(known.contains(link), "{link} in {}", method["name"]);
            }
        }
    }
}

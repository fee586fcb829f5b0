//! JSON Schemas of files that people write, as editors want them.

use api::manifest::Manifest;
use api::service::ServiceSpec;
use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value};

/// Of `service.json`.
pub(super) fn service() -> Value {
    document::<ServiceSpec>("service.json of hero_runner")
}

/// Of the manifest of a package.
pub(super) fn manifest() -> Value {
    document::<Manifest>("Manifest of a package of hero_runner")
}

fn document<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schema_for!(T);
    schema.insert("title".to_owned(), title.into());
    let Value::Object(mut rest) = Value::from(schema) else { return Value::Null };
    // What it is stands first.
    let mut whole: Map<String, Value> =
        ["$schema", "title", "description"].iter().filter_map(|key| rest.shift_remove_entry(*key)).collect();
    whole.append(&mut rest);
    whole.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_copies_are_what_the_types_say() {
        for (name, document, verb) in [
            ("service.schema.json", service(), "services schema"),
            ("manifest.schema.json", manifest(), "check --schema"),
        ] {
            let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
            let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            assert_eq!(written, document, "write it anew: hero_runner {verb} > docs/{name}");
        }
    }

    #[test]
    fn they_know_what_is_needed_and_what_is_not_known() {
        let (service, manifest) = (service(), manifest());
        assert_eq!(service["required"], serde_json::json!(["prefix"]));
        assert_eq!(manifest["required"], serde_json::json!(["name"]));
        assert!(service["additionalProperties"] == false && manifest["additionalProperties"] == false);
        assert!(service["properties"]["memory_limit_mb"]["description"].is_string());
    }
}

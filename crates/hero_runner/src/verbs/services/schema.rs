//! `hero_runner services schema`.

use api::service::ServiceSpec;
use serde_json::{Map, Value};

use crate::Context;

/// The JSON Schema of service.json, as editors want it.
fn document() -> Value {
    let mut schema = schemars::schema_for!(ServiceSpec);
    schema.insert("title".to_owned(), "service.json of hero_runner".into());
    let Value::Object(mut rest) = Value::from(schema) else { return Value::Null };
    // What it is stands first.
    let mut whole: Map<String, Value> =
        ["$schema", "title", "description"].iter().filter_map(|key| rest.shift_remove_entry(*key)).collect();
    whole.append(&mut rest);
    whole.into()
}

pub(super) fn run(context: &Context) -> anyhow::Result<u8> {
    context.console.json(&document())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_copy_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/service.schema.json");
        let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let told = "write it anew: hero_runner services schema > docs/service.schema.json";
        assert_eq!(written, document(), "{told}");
    }

    #[test]
    fn it_knows_what_is_needed_and_what_is_not_known() {
        let schema = document();
        assert_eq!(schema["required"], serde_json::json!(["prefix"]));
        assert_eq!(schema["additionalProperties"], false);
        assert!(schema["properties"]["memory_limit_mb"]["description"].is_string());
    }
}

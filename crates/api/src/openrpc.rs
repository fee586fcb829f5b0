//! The OpenRPC document, generated from the types of this crate.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    error::{ErrorCode, ErrorData},
    method::{self, Method, Visitor},
};

/// The version of the OpenRPC specification. 1.3.2 is the newest that its own tools accept everywhere.
pub const OPENRPC_VERSION: &str = "1.3.2";

struct Rows {
    generator: SchemaGenerator,
    methods: Vec<Value>,
}

impl Visitor for Rows {
    fn row<M: Method>(&mut self) {
        // The root schema shows the fields in their order; what it refers to stays in the generator.
        let params = self.generator.root_schema_for::<M::Params>().to_value();
        let required: Vec<&str> =
            params["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let none = Map::new();
        let properties = params["properties"].as_object().unwrap_or(&none);
        let params: Vec<Value> = properties
            .iter()
            .map(|(name, schema)| {
                let mut row = json!({ "name": name, "required": required.contains(&name.as_str()) });
                if let Some(text) = schema["description"].as_str() {
                    row["description"] = text.into();
                }
                row["schema"] = schema.clone();
                row
            })
            .collect();
        let result = self.generator.subschema_for::<M::Reply>().to_value();
        let errors: Vec<Value> = M::ERRORS
            .iter()
            .map(|code| json!({ "$ref": format!("#/components/errors/{}", code.name()) }))
            .collect();
        let mut row = json!({
            "name": M::NAME,
            "summary": M::SUMMARY,
            "paramStructure": "either",
            "params": params,
            "result": { "name": format!("{}_reply", M::NAME.replace('.', "_")), "schema": result },
        });
        if !errors.is_empty() {
            row["errors"] = errors.into();
        }
        self.methods.push(row);
    }
}

/// The document as a value.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut rows = Rows { generator: settings.into_generator(), methods: Vec::new() };
    method::each(&mut rows);
    let _ = rows.generator.subschema_for::<ErrorData>();
    let schemas: Map<String, Value> = rows.generator.take_definitions(true).into_iter().collect();
    let errors: Map<String, Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let row = json!({
                "code": code.code(),
                "message": code.name(),
                "data": serde_json::to_value(ErrorData::from(*code)).unwrap_or_default(),
            });
            (code.name().to_owned(), row)
        })
        .collect();
    json!({
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "hero_runner",
            "version": crate::VERSION,
            "description": "Runs untrusted WebAssembly programs as sessions, each in a process of its own.",
            "license": { "name": "Apache-2.0" },
        },
        "servers": [{
            "name": "rpc",
            "url": "unix:hero_runner/rpc.sock",
            "summary": "POST /rpc over HTTP/1.1 on a Unix socket below HERO_SOCKET_DIR (by default ~/hero/var/sockets)",
        }],
        "methods": rows.methods,
        "components": { "schemas": schemas, "errors": errors },
    })
}

/// The document as text: what is committed, what `GET /openrpc.json` and `rpc.discover` answer.
#[must_use]
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_method_and_resolves_every_reference() {
        let document = document();
        let names: Vec<&str> =
            document["methods"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, method::NAMES);
        let mut open = vec![&document];
        let mut references = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(target)) = object.get("$ref") {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                        references += 1;
                    }
                    open.extend(object.values());
                }
                Value::Array(list) => open.extend(list),
                _ => {}
            }
        }
        assert!(references > 10);
    }

    #[test]
    fn the_committed_document_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openrpc.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == text(), "openrpc.json is stale: run `cargo xtask openrpc`");
    }
}

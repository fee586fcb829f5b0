//! `openrpc.json`: it is served as it is committed, and it is what OpenRPC says a document is.

use std::path::Path;

use e2e::{Server, Value, contract, json, places};

/// The meta-schema. What it says about schemas inside of a document is JSON Schema's own draft 7, which it refers to by
/// an address of its own.
fn meta_schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/openrpc-1.3.json");
    let text = std::fs::read_to_string(path).expect("the meta-schema is there");
    let mut schema: Value = serde_json::from_str(&text).expect("it is JSON");
    let root = schema.as_object_mut().expect("it is an object");
    root.remove("$schema");
    root.remove("$id");
    schema["definitions"]["JSONSchema"] = json!({ "$ref": "http://json-schema.org/draft-07/schema#" });
    schema["definitions"]["referenceObject"]["properties"]["$ref"] = json!({ "type": "string" });
    assert!(!schema.to_string().contains("meta.json-schema.tools"), "it refers to what is not here");
    schema
}

#[test]
fn the_document_is_valid_by_the_meta_schema_of_openrpc() {
    let validator = jsonschema::draft7::new(&meta_schema()).expect("the meta-schema is a schema");
    contract::check(&validator, &contract::DOCUMENT).unwrap();
    // That it is able to object.
    for (pointer, wrong) in [
        ("/openrpc", json!("9.9.9")),
        ("/methods/1/params/0/required", json!("yes")),
        ("/methods/1/paramStructure", json!("by-guess")),
        ("/methods/1/name", Value::Null),
        ("/info/title", json!(7)),
    ] {
        let mut document = contract::DOCUMENT.clone();
        *document.pointer_mut(pointer).unwrap() = wrong;
        assert!(contract::check(&validator, &document).is_err(), "{pointer}");
    }
}

#[test]
fn the_server_shows_the_committed_document_byte_for_byte() {
    let server = Server::start();
    let committed = std::fs::read(places::repository().join("openrpc.json")).unwrap();
    let reply = server.get("/openrpc.json");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert!(reply.body() == committed, "the served document is another");
    assert_eq!(server.call("rpc.discover", json!({})), *contract::DOCUMENT);
}

#[test]
fn every_documented_method_is_there_and_knows_its_parameters() {
    let server = Server::start();
    for row in contract::DOCUMENT["methods"].as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        let unknown = server.refusal(name, json!({ "no_such_parameter": 1 }));
        assert_eq!(unknown["code"], -32602, "{name}");
        assert!(unknown["message"].as_str().unwrap().contains("no_such_parameter"), "{name}: {unknown}");
        let required: Vec<&str> = row["params"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|param| param["required"] == true)
            .filter_map(|param| param["name"].as_str())
            .collect();
        if name == "session_start" {
            // It takes one of three.
            let missing = server.refusal(name, json!({}));
            assert!(
                missing["message"].as_str().unwrap().contains("module, template and script"),
                "{missing}"
            );
        } else if required.is_empty() {
            let _ = server.call(name, json!({}));
        } else {
            let missing = server.refusal(name, json!({}));
            assert_eq!(missing["code"], -32602, "{name}");
            assert!(missing["message"].as_str().unwrap().contains(required[0]), "{name}: {missing}");
        }
    }
}

#[test]
fn a_hero_tool_finds_the_service() {
    let server = Server::start();
    let found = server.get("/.well-known/heroservice.json").json();
    assert_eq!(found["protocol"], "openrpc");
    assert_eq!(found["name"], "hero_runner");
    assert_eq!(found["socket"], "rpc");
    for field in ["title", "version", "description"] {
        assert!(found[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    let health = server.get("/health").json();
    assert_eq!(health, server.call("health", json!({})));
    assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("hero_runner")));
    assert_eq!(health["version"], found["version"]);
}

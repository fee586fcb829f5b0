//! The contract that replies are held to: the committed `openrpc.json`, and the types of SSE events.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::places;

/// The committed document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let path = places::repository().join("openrpc.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("openrpc.json is JSON")
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

fn cached(name: &str, schema: impl FnOnce() -> Value) -> Arc<Validator> {
    let mut known = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.entry(name.to_owned()).or_insert_with(|| {
        let validator = jsonschema::draft7::new(&schema());
        Arc::new(validator.unwrap_or_else(|error| panic!("the schema of {name} is none: {error}")))
    });
    Arc::clone(found)
}

/// Says what is wrong with a value, if anything is.
///
/// # Errors
/// The places where it breaks the schema, and how.
pub fn check(validator: &Validator, value: &Value) -> Result<(), String> {
    let wrong: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn row(method: &str) -> Option<&'static Value> {
    DOCUMENT["methods"].as_array()?.iter().find(|row| row["name"] == method)
}

/// The schema inside the document, with what it may refer to.
fn in_document(schema: &Value) -> Value {
    json!({ "components": DOCUMENT["components"], "allOf": [schema] })
}

/// Holds a reply of `method` to the document. A method that is not in it may only be refused.
///
/// # Panics
/// When the reply is not as it has to be.
pub fn hold(method: &str, reply: &Value) {
    let fail = |why: &str| panic!("the reply of {method} breaks the contract: {why}\n{reply:#}");
    if reply["jsonrpc"] != "2.0" || reply.get("id").is_none() {
        fail("it is no JSON-RPC reply");
    }
    match (reply.get("result"), reply.get("error")) {
        (Some(result), None) => {
            let Some(row) = row(method) else { fail("no such method is documented") };
            let validator = cached(method, || in_document(&row["result"]["schema"]));
            if let Err(why) = check(&validator, result) {
                fail(&why);
            }
        }
        (None, Some(error)) => {
            if let Err(why) = hold_error(method, error) {
                fail(&why);
            }
        }
        _ => fail("it has to have either a result or an error"),
    }
}

fn hold_error(method: &str, error: &Value) -> Result<(), String> {
    let validator =
        cached("an error's data", || in_document(&json!({ "$ref": "#/components/schemas/ErrorData" })));
    check(&validator, &error["data"])?;
    let code = error["code"].as_i64().ok_or("its code is no number")?;
    if error["message"].as_str().is_none_or(str::is_empty) {
        return Err("it says nothing".to_owned());
    }
    // JSON-RPC's own are everybody's.
    if (-32700..=-32600).contains(&code) {
        return Ok(());
    }
    let name = error["data"]["code_name"].as_str().unwrap_or_default();
    let documented = &DOCUMENT["components"]["errors"][name];
    if documented["code"] != code {
        return Err(format!("{name} is documented as {}", documented["code"]));
    }
    let reference = json!({ "$ref": format!("#/components/errors/{name}") });
    let listed = row(method).and_then(|row| row["errors"].as_array());
    if listed.is_some_and(|listed| listed.contains(&reference)) {
        Ok(())
    } else {
        Err(format!("{name} is not among the method's documented errors"))
    }
}

/// Holds the data of an SSE event to its type.
///
/// # Panics
/// When the event is unknown or its data is not as it has to be.
pub fn hold_event(name: &str, data: &str) -> Value {
    let generator = || SchemaSettings::draft07().into_generator();
    let validator = cached(&format!("event {name}"), || match name {
        "stdout" | "stderr" | "host" => generator().into_root_schema_for::<api::LogLine>().to_value(),
        "gap" => generator().into_root_schema_for::<api::log::Gap>().to_value(),
        "state" => generator().into_root_schema_for::<api::log::StateEvent>().to_value(),
        "end" => generator().into_root_schema_for::<api::log::EndEvent>().to_value(),
        _ => panic!("no event is called `{name}`: {data}"),
    });
    let value: Value = serde_json::from_str(data)
        .unwrap_or_else(|error| panic!("the data of {name} is not JSON ({error}): {data}"));
    if let Err(why) = check(&validator, &value) {
        panic!("the event {name} breaks the contract: {why}\n{value:#}");
    }
    if let Some(kind) = value.get("kind").filter(|_| matches!(name, "stdout" | "stderr" | "host")) {
        assert_eq!(kind, name, "the event and its data disagree: {data}");
    }
    value
}

//! Values of components as JSON.
//!
//! Records are objects with WIT's field names, lists and tuples arrays, an `option` is `null` or the value (`{"some": …}`
//! where the value is an `option` again), a `result` is `{"ok": …}` or `{"err": …}`, a variant `{"case": …}` or `"case"` without
//! a payload, an enum `"case"`, flags an array of their names, a `char` a text of one character. Numbers are exact. Floats that are
//! no number are `"NaN"`, `"inf"` and `"-inf"`.

mod from_json;
mod to_json;
mod types;

use wasmtime::component::Val;
use wasmtime::component::types::ComponentFunc;

pub(crate) use types::signature;

/// The longest value that may be returned, in bytes of JSON. A session's frames carry no longer one.
const MAX_VALUE: usize = 1024 * 1024;

/// Arguments of a function from a JSON array.
///
/// # Errors
/// Which value is of another type than the function wants, and where.
pub(crate) fn arguments(function: &ComponentFunc, json: &str) -> Result<Vec<Val>, String> {
    let json = if json.trim().is_empty() { "[]" } else { json };
    let parsed = serde_json::from_str(json).map_err(|error| format!("the arguments are no JSON: {error}"))?;
    let serde_json::Value::Array(values) = parsed else {
        return Err("the arguments have to be a JSON array".to_owned());
    };
    let params = function.params();
    if values.len() != params.len() {
        return Err(format!("it takes {} arguments, {} are given", params.len(), values.len()));
    }
    let argument = |(index, ((name, ty), value)): (usize, ((&str, _), _))| {
        from_json::value(&ty, value).map_err(|fault| format!("argument {} \"{name}\"{fault}", index + 1))
    };
    params.zip(values).enumerate().map(argument).collect()
}

/// What a function has returned, and whether it is no error: of a `result` the payload counts.
///
/// # Errors
/// When the value is too long, or one that has no form in JSON.
pub(crate) fn returned(results: &[Val]) -> Result<(bool, String), String> {
    let (ok, value) = match results {
        [] => (true, None),
        [Val::Result(Ok(value))] => (true, value.as_deref()),
        [Val::Result(Err(value))] => (false, value.as_deref()),
        [value, ..] => (true, Some(value)),
    };
    let json = match value {
        Some(value) => to_json::text(value, MAX_VALUE)?,
        None => "null".to_owned(),
    };
    Ok((ok, json))
}

//! What a script that failed says on stderr.

use boa_engine::{Context, JsError, js_string};

use crate::text::Place;

/// The message for a script that cannot be parsed. `reached` is how far the parser came, for errors that tell no place.
pub fn syntax(error: &JsError, name: &str, reached: Place) -> String {
    let message = match error.as_native() {
        Some(native) => native.message().to_owned(),
        None => error.to_string(),
    };
    let (text, place) = match told(&message) {
        Some((text, place)) => (text, place),
        None => (message.as_str(), reached),
    };
    format!("Uncaught SyntaxError: {text}\n    at {name}:{}:{}", place.line, place.column)
}

/// Takes the place off a message of the parser.
fn told(message: &str) -> Option<(&str, Place)> {
    let (text, place) = message.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(", col ")?;
    Some((text, Place { line: line.parse().ok()?, column: column.parse().ok()? }))
}

/// The message for what a script threw and nobody caught.
pub fn uncaught(error: JsError, context: &mut Context) -> String {
    let shown = error.to_string();
    // A limit of the engine's own is nothing that a script could have thrown.
    named(error, context).unwrap_or_else(|| format!("Uncaught {shown}"))
}

/// An error object as it calls itself, and its own stack: what the engine shows gives the place of the outermost call
/// as that of the error.
fn named(error: JsError, context: &mut Context) -> Option<String> {
    let object = error.into_opaque(context).ok()?.as_object()?;
    let stack = object.get(js_string!("stack"), context).ok()?.as_string()?.to_std_string_lossy();
    let text = boa_engine::JsValue::from(object).to_string(context).ok()?.to_std_string_lossy();
    Some(format!("Uncaught {text}\n{}", stack.trim_end()))
}

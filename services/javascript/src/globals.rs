//! What a script finds beside what the language brings.

use std::io;

use boa_engine::object::builtins::JsArray;
use boa_engine::property::Attribute;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, js_string,
};
use envelope::{Envelope, end, next_line};

use crate::console;

/// Sets what is the same for all scripts.
pub fn install(context: &mut Context) -> JsResult<()> {
    boa_wintertc::timers::register(context)?;
    boa_wintertc::microtask::register(None, context)?;
    boa_wintertc::clone::register(None, context)?;
    boa_wintertc::base64::register(None, context)?;
    console::install(context)?;
    context.register_global_callable(js_string!("readLine"), 0, NativeFunction::from_fn_ptr(read_line))?;
    context.register_global_callable(js_string!("exit"), 1, NativeFunction::from_fn_ptr(exit))
}

/// Sets what a script is started with.
pub fn describe(envelope: &Envelope, context: &mut Context) -> JsResult<()> {
    let text = |text: &String| JsValue::from(JsString::from(text.as_str()));
    let args = std::iter::once(&envelope.name).chain(&envelope.args).map(text);
    let args = JsArray::from_iter(args, context);
    let env = JsObject::with_object_proto(context.intrinsics());
    for (name, value) in &envelope.env {
        env.create_data_property(JsString::from(name.as_str()), text(value), context)?;
    }
    let hidden = Attribute::WRITABLE | Attribute::CONFIGURABLE;
    context.register_global_property(js_string!("scriptArgs"), args, hidden)?;
    context.register_global_property(js_string!("env"), env, hidden)
}

fn read_line(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    match next_line(&mut io::stdin().lock()) {
        Ok(Some(line)) => Ok(JsString::from(line).into()),
        Ok(None) => Ok(JsValue::null()),
        Err(error) => {
            let message = format!("cannot read standard input: {error}");
            Err(JsNativeError::error().with_message(message).into())
        }
    }
}

fn exit(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    end(args.get_or_undefined(0).to_i32(context)?.into())
}

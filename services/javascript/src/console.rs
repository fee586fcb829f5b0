//! `console`, with each stream where it belongs.

use std::io;

use boa_engine::object::FunctionObjectBuilder;
use boa_engine::property::Attribute;
use boa_engine::{Context, JsArgs, JsObject, JsResult, JsString, JsValue, NativeFunction, js_string};
use boa_gc::{Finalize, Trace};
use boa_wintertc::console::{Console, ConsoleState, Logger};
use envelope::print_line;

#[derive(Debug, Trace, Finalize)]
struct Streams;

impl Logger for Streams {
    fn log(&self, message: String, state: &ConsoleState, _: &mut Context) -> JsResult<()> {
        print_line(io::stdout(), indented(&message, state));
        Ok(())
    }

    fn info(&self, message: String, state: &ConsoleState, context: &mut Context) -> JsResult<()> {
        self.log(message, state, context)
    }

    fn warn(&self, message: String, state: &ConsoleState, context: &mut Context) -> JsResult<()> {
        self.error(message, state, context)
    }

    fn error(&self, message: String, state: &ConsoleState, _: &mut Context) -> JsResult<()> {
        print_line(io::stderr(), indented(&message, state));
        Ok(())
    }

    fn trace(&self, message: String, state: &ConsoleState, context: &mut Context) -> JsResult<()> {
        let calls: Vec<_> =
            context.stack_trace().map(|frame| frame.code_block().name().to_std_string_escaped()).collect();
        let lines = calls.iter().fold(format!("Trace: {message}"), |text, call| text + "\n    at " + call);
        self.error(lines, state, context)
    }
}

/// The message as it stands in the group of now.
fn indented(message: &str, state: &ConsoleState) -> String {
    let indent = " ".repeat(state.indent());
    let lines: Vec<_> = message.split('\n').map(|line| format!("{indent}{line}")).collect();
    lines.join("\n")
}

/// Makes `console`, and `print` as another name for `console.log`.
pub fn install(context: &mut Context) -> JsResult<()> {
    let console = Console::init_with_logger(Streams, context);
    for name in ["log", "info", "debug", "warn", "error", "trace"] {
        let name = JsString::from(name);
        let method = console.get(name.clone(), context)?;
        if let Some(method) = method.as_object() {
            console.set(name.clone(), showing(method, name, context), true, context)?;
        }
    }
    let log = console.get(js_string!("log"), context)?;
    // The library's shows the insides of an object with all that it inherits.
    console.set(js_string!("dir"), log.clone(), true, context)?;
    let hidden = Attribute::WRITABLE | Attribute::CONFIGURABLE;
    context.register_global_property(js_string!("print"), log, hidden)?;
    context.register_global_property(Console::NAME, console, hidden)
}

/// A method of the library's that shows its first argument like all others, where it is not a text. The library would
/// make it a text, such as `[object Object]`, and look for `%d` and the like in it.
fn showing(method: JsObject, name: JsString, context: &mut Context) -> JsValue {
    let function = NativeFunction::from_copy_closure_with_captures(
        |this, args, method, context| {
            let first = args.get_or_undefined(0);
            if args.len() < 2 || first.is_string() {
                return method.call(this, args, context);
            }
            let mut args = args.to_vec();
            args[0] = JsString::from(first.display().to_string().replace('%', "%%")).into();
            method.call(this, &args, context)
        },
        method,
    );
    FunctionObjectBuilder::new(context.realm(), function).name(name).build().into()
}

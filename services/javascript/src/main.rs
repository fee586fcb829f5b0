//! Runs a JavaScript script that comes in an envelope on standard input (see `envelope`).
//!
//! Beside what the language brings, a script has
//!
//! ```text
//! print(...), console.log, .info, .debug     a line on stdout
//! console.warn, .error, .trace, .assert      a line on stderr
//! scriptArgs     its name and its arguments, an array of strings
//! env            its environment, an object of strings
//! readLine()     the next line of standard input without its end, null when there are no more
//! exit(code)     ends the script, with code 0 where none is given
//! setTimeout, setInterval, clearTimeout, clearInterval, queueMicrotask, structuredClone, atob, btoa
//! ```
//!
//! It is a classic script, or a module where its name ends in `.mjs`; there is nothing that a module could import.
//!
//! It ends when nothing is left to wait for. A script that throws, or leaves a rejected promise to nobody, has its
//! message on stderr and exit code 1. Without a script the code is 2.

mod console;
mod globals;
mod jobs;
mod report;
mod text;

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use boa_engine::{Context, JsResult, Module, Script, Source};
use envelope::{Envelope, SCRIPT_FAILED, end, print_line};

use crate::jobs::{Jobs, Rejections};
use crate::text::{Place, Text};

/// How many calls may be open. One takes up to 2.5 KiB of the stack, where a function of the language calls back.
const CALLS: usize = 3000;

/// How many values the open calls may hold together.
const VALUES: usize = 1 << 20;

fn main() {
    let mut context = match prepared() {
        Ok(context) => context,
        Err(error) => fail(format!("the engine does not start: {error}")),
    };
    let script = Envelope::receive();
    match run(&script, &mut context) {
        // Nothing is taken down: the process ends anyway.
        Ok(()) => end(0),
        Err(message) => fail(message),
    }
}

fn fail(message: String) -> ! {
    print_line(io::stderr(), message);
    end(SCRIPT_FAILED)
}

/// All that is the same for every script.
fn prepared() -> JsResult<Context> {
    let rejections = Rc::new(Rejections::default());
    let mut context = Context::builder()
        .job_executor(Rc::new(Jobs::new(Rc::clone(&rejections))))
        .host_hooks(rejections)
        .build()?;
    context.runtime_limits_mut().set_recursion_limit(CALLS);
    context.runtime_limits_mut().set_stack_size_limit(VALUES);
    globals::install(&mut context)?;
    context.eval(Source::from_bytes(include_str!("warm.js")))?;
    context.run_jobs()?;
    Ok(context)
}

/// Runs a script to its end, or says why it failed. One whose name ends in `.mjs` is a module, which may `await`.
fn run(envelope: &Envelope, context: &mut Context) -> Result<(), String> {
    let place = Cell::new(Place::default());
    let text = Text::new(&envelope.source, &place);
    let source = Source::from_reader(text, Some(Path::new(&envelope.name)));
    let syntax = |error| report::syntax(&error, &envelope.name, place.get());
    let result = globals::describe(envelope, context);
    let result = if envelope.name.ends_with(".mjs") {
        let module = Module::parse(source, None, context).map_err(syntax)?;
        // What it throws rejects a promise that nobody handles.
        result.map(|()| drop(module.load_link_evaluate(context)))
    } else {
        let script = Script::parse(source, None, context).map_err(syntax)?;
        result.and_then(|()| script.evaluate(context).map(drop))
    };
    result.and_then(|()| context.run_jobs()).map_err(|error| report::uncaught(error, context))
}

#[cfg(test)]
mod tests;

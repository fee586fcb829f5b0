//! Runs a Rhai script that comes in an envelope on standard input (see `envelope`).
//!
//! Beside what the language brings, a script has
//!
//! ```text
//! ARGS          its arguments, an array of strings
//! ENV           its environment, a map of strings
//! print(x)      a line on stdout
//! debug(x)      a line on stderr, with the place in the script
//! input()       the next line of standard input without its end, () when there are no more
//! exit()        ends the script, with code 0
//! exit(code)    ends the script
//! ```
//!
//! A script that fails has its message on stderr and exit code 1. Without a script the code is 2.

use std::collections::BTreeMap;
use std::io;

use envelope::{Envelope, SCRIPT_FAILED, end, next_line, print_line, stack_left};
use language::{Array, Dynamic, Engine, EvalAltResult, Map, Module};

/// How deep an expression may be nested. The parser takes 2 KiB of the stack for each level.
const EXPRESSION_DEPTH: usize = 256;

/// How much of the stack a script leaves alone, in bytes: enough for functions of the language that do not ask, and for
/// the parser, which `eval` calls.
const STACK_RESERVE: usize = 1 << 20;

fn main() {
    let mut engine = engine();
    // It is ours and has no error; if it had one, a script would still run.
    let _ = engine.run(include_str!("warm.rhai"));

    let Envelope { name, args, env, source } = Envelope::receive();
    engine.register_global_module(constants(args, env).into());
    match run(&engine, &name, &source) {
        // Nothing is taken down: the process ends anyway.
        Ok(()) => end(0),
        Err(error) => {
            print_line(io::stderr(), format!("{name}: {error}"));
            end(SCRIPT_FAILED)
        }
    }
}

fn engine() -> Engine {
    let mut engine = Engine::new();
    // What bounds calls is the stack, so their number need not.
    engine.set_max_call_levels(usize::MAX);
    engine.set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH);
    engine.on_progress(|_| (stack_left() < STACK_RESERVE).then_some(Dynamic::UNIT));

    engine.on_print(|text| print_line(io::stdout(), text.to_owned()));
    engine.on_debug(|text, source, position| {
        let place = match source {
            Some(source) => format!("{source} @ {position:?}"),
            None => format!("{position:?}"),
        };
        print_line(io::stderr(), format!("{place} | {text}"));
    });
    engine.register_fn("input", input);
    engine.register_fn("exit", || end(0));
    engine.register_fn("exit", |code: i64| end(code));
    engine
}

fn input() -> Result<Dynamic, Box<EvalAltResult>> {
    match next_line(&mut io::stdin().lock()) {
        Ok(Some(line)) => Ok(line.into()),
        Ok(None) => Ok(Dynamic::UNIT),
        Err(error) => Err(format!("cannot read standard input: {error}").into()),
    }
}

/// What a script is started with. In a module, because the language hides the variables of a script from its functions.
fn constants(args: Vec<String>, env: BTreeMap<String, String>) -> Module {
    let mut module = Module::new();
    module.set_var("ARGS", args.into_iter().map(Dynamic::from).collect::<Array>());
    module.set_var("ENV", env.into_iter().map(|(name, value)| (name.into(), value.into())).collect::<Map>());
    module
}

fn run(engine: &Engine, name: &str, source: &str) -> Result<(), Box<EvalAltResult>> {
    let mut ast = engine.compile(source)?;
    ast.set_source(name);
    engine.run_ast(&ast).map_err(|error| match *error.unwrap_inner() {
        // The language calls it terminated, whatever the reason.
        EvalAltResult::ErrorTerminated(_, position) => EvalAltResult::ErrorStackOverflow(position).into(),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_script(source: &str) -> Result<(), String> {
        let mut engine = engine();
        let env = BTreeMap::from([("K".to_owned(), "v".to_owned())]);
        engine.register_global_module(constants(vec!["a".to_owned(), "b c".to_owned()], env).into());
        run(&engine, "test.rhai", source).map_err(|error| error.to_string())
    }

    #[test]
    fn the_preparation_has_no_error() {
        engine().run(include_str!("warm.rhai")).unwrap();
    }

    #[test]
    fn arguments_and_environment_are_constants_that_functions_see() {
        let told = run_script("fn told() { `${ARGS.len()} ${ARGS[1]} ${ENV.K} ${ENV.L}` } throw told()");
        assert_eq!(told.unwrap_err(), "Runtime error: 2 b c v  (line 1, position 60)");
        assert!(run_script("ARGS = []").unwrap_err().starts_with("Cannot modify constant ARGS"));
    }

    #[test]
    fn errors_tell_their_place() {
        let error = run_script("fn f() {\n  nothing\n}\nf()").unwrap_err();
        assert!(
            error.starts_with("Variable not found: nothing @ 'test.rhai' (line 2, position 3)"),
            "{error}"
        );
        assert!(
            error.ends_with("in call to function 'f' (from 'test.rhai') (line 4, position 1)"),
            "{error}"
        );
        let error = run_script("print(1);\nlet x = ;").unwrap_err();
        assert!(error.starts_with("Syntax error: ") && error.ends_with("(line 2, position 9)"), "{error}");
    }

    #[test]
    fn an_expression_that_is_nested_too_deeply_is_an_error() {
        for (open, close) in [("(", ")"), ("[", "]"), ("!", ""), ("{", "}")] {
            let error = run_script(&format!("let x = {}1{};", open.repeat(10_000), close.repeat(10_000)));
            assert!(error.unwrap_err().contains("exceeds maximum complexity"));
        }
    }
}

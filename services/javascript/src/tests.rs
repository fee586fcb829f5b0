//! Tests of what can be seen without standard streams.

use std::collections::BTreeMap;

use boa_engine::js_string;

use super::*;

/// Runs a script; the answer is its global `result` as a text, or its message.
fn run_script(source: &str) -> Result<String, String> {
    run_named("test.js", source)
}

fn run_named(name: &str, source: &str) -> Result<String, String> {
    let mut context = prepared().unwrap();
    let envelope = Envelope {
        name: name.to_owned(),
        args: vec!["a".to_owned(), "b c".to_owned()],
        env: BTreeMap::from([("K".to_owned(), "v".to_owned())]),
        source: source.to_owned(),
    };
    run(&envelope, &mut context)?;
    let result = context.global_object().get(js_string!("result"), &mut context).unwrap();
    Ok(result.to_string(&mut context).unwrap().to_std_string_lossy())
}

#[test]
fn the_preparation_leaves_no_global() {
    let known = "base64,queueMicrotask,structuredClone,btoa,atob";
    let found = run_script("var result; result = Object.keys(globalThis).join()").unwrap();
    for name in found.split(',').filter(|name| *name != "result") {
        assert!(known.contains(name), "{found}");
    }
}

#[test]
fn arguments_and_environment() {
    let found = run_script("result = `${scriptArgs.length} ${scriptArgs.join()} ${env.K} ${env.L}`");
    assert_eq!(found.as_deref(), Ok("3 test.js,a,b c v undefined"));
}

#[test]
fn promises_and_timers_run_to_their_end_in_their_order() {
    let found = run_script(
        "result = '';
        setTimeout(() => result += 'd', 20);
        setTimeout(text => result += text, 10, 'c');
        clearTimeout(setTimeout(() => result += 'never', 1));
        let count = 0;
        const again = setInterval(() => { result += 'i'; if (++count == 2) clearInterval(again) }, 1);
        (async () => { await null; result += 'b' })();
        result += 'a'",
    );
    assert_eq!(found.as_deref(), Ok("abiicd"));
}

#[test]
fn a_syntax_error_tells_its_place() {
    for (source, place) in [
        ("let x = ;", "1:9"),
        ("\n\n  let 1x", "3:8"),
        ("let x = {\n  a: 1,\n", "3:1"),
        ("let ä = `\n\u{1f600}é", "2:3"),
    ] {
        let message = run_script(source).unwrap_err();
        assert!(message.starts_with("Uncaught SyntaxError: "), "{message}");
        assert!(message.ends_with(&format!("\n    at test.js:{place}")), "{message}");
        assert_eq!(message.lines().count(), 2, "{message}");
    }
}

#[test]
fn an_uncaught_error_has_its_stack() {
    let thrown = "function f() {\n  throw new RangeError('bad') }\nf()";
    for (source, stack) in [
        (thrown.to_owned(), "    at f (test.js:2:9)\n    at <main> (test.js:3:2)"),
        (format!("setTimeout(() => {{ {thrown} }})"), "    at f (test.js:2:9)\n    at <main> (test.js:3:2)"),
    ] {
        assert_eq!(run_script(&source).unwrap_err(), format!("Uncaught RangeError: bad\n{stack}"));
    }
    assert_eq!(run_script("throw 'text'").unwrap_err(), "Uncaught \"text\"\n    at <main> (test.js:1:7)");
    let own = run_script("class E extends Error { name = 'E' } throw new E('own')").unwrap_err();
    assert!(own.starts_with("Uncaught E: own\n    at "), "{own}");
}

#[test]
fn a_rejected_promise_that_nobody_handles_is_an_error() {
    let message = run_script("Promise.reject(new TypeError('late'))").unwrap_err();
    assert!(message.starts_with("Uncaught TypeError: late"), "{message}");
    let message = run_script("(async () => { await null; null.x })()").unwrap_err();
    assert!(message.starts_with("Uncaught TypeError: "), "{message}");
    assert_eq!(run_script("Promise.reject(1); setTimeout(() => result = 1)").unwrap_err(), "Uncaught 1");
    let handled = "result = 0; const p = Promise.reject(1); queueMicrotask(() => p.catch(() => result = 2))";
    assert_eq!(run_script(handled).as_deref(), Ok("2"));
}

#[test]
fn a_script_that_calls_itself_for_ever_is_an_error() {
    let look = || {
        for source in ["function f() { f() } f()", "const f = () => [1].map(f); f()"] {
            let message = run_script(source).unwrap_err();
            assert!(message.starts_with("Uncaught RuntimeLimitError: "), "{message}");
        }
        let deep = "const f = n => n ? 1 + f(n - 1) : 0; result = f(2900)";
        assert_eq!(run_script(deep).as_deref(), Ok("2900"));
    };
    // Without optimizations a call takes far more of the stack than in a guest.
    std::thread::Builder::new().stack_size(256 << 20).spawn(look).unwrap().join().unwrap();
}

#[test]
fn a_module_may_await_and_fail() {
    let waits = "globalThis.result = await new Promise(done => setTimeout(() => done('waited'), 5))";
    assert_eq!(run_named("test.mjs", waits).as_deref(), Ok("waited"));
    let message = run_named("test.mjs", "await null;\nthrow new Error('late')").unwrap_err();
    assert!(message.starts_with("Uncaught Error: late\n    at "), "{message}");
    let message = run_named("test.mjs", "let x = ;").unwrap_err();
    assert!(message.ends_with("\n    at test.mjs:1:9"), "{message}");
    let message = run_named("test.mjs", "import x from './other.mjs'").unwrap_err();
    assert!(message.starts_with("Uncaught "), "{message}");
    assert_eq!(run_script("#!/usr/bin/env node\nresult = 1").as_deref(), Ok("1"));
}

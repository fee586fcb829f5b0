//! Scripts: the runtimes that come with the server, and unmodified interpreters.

use std::collections::HashSet;

use e2e::{Server, Value, eventually, json};

/// Runs a script; its result and how it started.
fn script(server: &Server, runtime: &str, request: Value) -> (Value, String) {
    let mut params =
        json!({ "runtime": runtime, "script_name": format!("test.{runtime}"), "wait_ms": 60_000 });
    params.as_object_mut().expect("an object").extend(request.as_object().expect("an object").clone());
    let reply = server.call("session_start", params);
    let info = server.info(reply["session_id"].as_str().expect("an id"));
    (reply["result"].clone(), info["start"].as_str().expect("it started").to_owned())
}

/// Runs one until its runtime is warm.
fn until_warm(server: &Server, runtime: &str) {
    eventually("the runtime is warm", || {
        let (result, start) = script(server, runtime, json!({ "script": "" }));
        assert_eq!(result["exit_code"], 0, "{result:#}");
        (start == "warm").then_some(())
    });
}

struct Language {
    runtime: &'static str,
    /// Prints its arguments, a variable, and the lines of standard input, on both streams.
    everything: &'static str,
    syntax: &'static str,
    thrown: &'static str,
    exit: &'static str,
    random: Option<&'static str>,
}

const RHAI: Language = Language {
    runtime: "rhai",
    everything: r#"print(`${ARGS[0]} ${ENV["K"]}`); print(input()); print(input()); print(input() == ());"#,
    syntax: "let x = ;",
    thrown: r#"print("before"); throw "bad";"#,
    exit: r#"print("before"); exit(3); print("after");"#,
    random: None,
};

const JAVASCRIPT: Language = Language {
    runtime: "javascript",
    everything: "console.log(scriptArgs[1] + ' ' + env.K); print(readLine()); print(readLine()); print(readLine() === null);",
    syntax: "let x = ;",
    thrown: "console.log('before'); throw new Error('bad');",
    exit: "console.log('before'); exit(3); console.log('after');",
    random: Some("console.log(Math.random())"),
};

fn speaks(server: &Server, language: &Language) {
    let run = |request: Value| script(server, language.runtime, request).0;
    let input = json!({ "script": language.everything, "args": ["one"], "env_vars": { "K": "v" }, "stdin": "a\nb\n" });
    let (first, start) = script(server, language.runtime, input.clone());
    assert_eq!((&first["stdout"], start.as_str()), (&json!("one v\na\nb\ntrue\n"), "cold"), "{first:#}");
    until_warm(server, language.runtime);
    let (warm, start) = script(server, language.runtime, input);
    assert_eq!((&warm["stdout"], start.as_str()), (&first["stdout"], "warm"));
    let result = run(json!({ "script": language.syntax }));
    let name = format!("test.{}", language.runtime);
    assert_eq!((&result["exit_code"], &result["success"]), (&json!(1), &json!(false)), "{result:#}");
    assert!(result["stderr"].as_str().expect("a text").contains(&name), "{result:#}");
    let result = run(json!({ "script": language.thrown }));
    assert_eq!((&result["exit_code"], &result["stdout"]), (&json!(1), &json!("before\n")), "{result:#}");
    let message = result["stderr"].as_str().expect("a text");
    assert!(message.contains("bad") && message.contains(&name), "{message}");
    let result = run(json!({ "script": language.exit }));
    assert_eq!((&result["exit_code"], &result["stdout"]), (&json!(3), &json!("before\n")), "{result:#}");
    if let Some(random) = language.random {
        let drawn: HashSet<String> =
            (0..50).map(|_| run(json!({ "script": random }))["stdout"].to_string()).collect();
        assert_eq!(drawn.len(), 50, "{drawn:?}");
    }
    // A folder is nothing that a running interpreter can be given: one starts from the beginning.
    let (result, start) =
        script(server, language.runtime, json!({ "script": "", "dirs": [{ "host": "/tmp" }] }));
    assert_eq!((&result["exit_code"], start.as_str()), (&json!(0), "cold"), "{result:#}");
}

#[test]
fn rhai_runs_scripts() {
    speaks(&Server::start(), &RHAI);
}

#[test]
fn javascript_runs_scripts() {
    speaks(&Server::start(), &JAVASCRIPT);
}

#[test]
fn a_script_without_a_runtime_or_for_none_is_refused() {
    let server = Server::start();
    for (params, name) in [
        (json!({ "script": "1" }), "invalid_params"),
        (json!({ "script": "1", "runtime": "cobol" }), "template_not_found"),
        (json!({ "module": "hello", "runtime": "rhai" }), "invalid_params"),
        (json!({ "script": "1", "module": "hello", "runtime": "rhai" }), "invalid_params"),
    ] {
        assert_eq!(server.refusal_name("session_start", params.clone()), name, "{params}");
    }
    assert_eq!(server.refusal_name("template_remove", json!({ "name": "rhai" })), "invalid_state");
}

#[test]
fn the_interpreters_are_modules_like_others() {
    let server = Server::start();
    for request in [json!({ "module": "rhai" }), json!({ "module": "javascript" })] {
        let result = server.run(request);
        assert_eq!(result["exit_code"], 2);
        assert!(result["stderr"].as_str().unwrap().contains("no script came on standard input"));
    }
}

/// An unmodified interpreter, where the machine has it.
fn real(name: &str, bootstrap: &str, options: &[&str]) -> Option<Server> {
    let guest = std::path::PathBuf::from(std::env::var_os("HERO_REAL_GUESTS_DIR")?).join(name);
    let wasm = std::fs::read(guest).ok()?;
    let server = Server::start();
    let _ = server.upload("real", &wasm);
    let text =
        std::fs::read_to_string(e2e::places::repository().join("services/runtimes").join(bootstrap)).ok()?;
    let args: Vec<&str> = options.iter().copied().chain([text.as_str()]).collect();
    let _ = server.call(
        "template_create",
        json!({ "name": "real", "module": "real", "warm": "stdin", "args": args, "script": { "pass": "envelope" } }),
    );
    eventually("the interpreter is warm", || {
        let shown = server.call("template_get", json!({ "name": "real" }));
        assert_ne!(shown["state"], "failed", "{shown:#}");
        (shown["state"] == "warm").then_some(())
    });
    Some(server)
}

#[test]
fn unmodified_python_runs_scripts() {
    let Some(server) = real("cpython.wasm", "python.py", &["-c"]) else { return };
    let run =
        |source: &str| script(&server, "real", json!({ "script": source, "args": ["x"], "stdin": "line\n" }));
    let (result, start) =
        run("import sys, os\nprint(sys.argv, input(), __name__)\nprint('err', file=sys.stderr)\nsys.exit(3)");
    assert_eq!(start, "warm");
    assert_eq!(result["stdout"], "['test.real', 'x'] line __main__\n");
    assert_eq!((&result["stderr"], &result["exit_code"]), (&json!("err\n"), &json!(3)));
    let (result, _) = run("def f():\n    raise ValueError('bad')\nf()");
    let message = result["stderr"].as_str().unwrap();
    assert_eq!(result["exit_code"], 1);
    assert!(
        message.starts_with("Traceback (most recent call last):\n  File \"test.real\", line 3"),
        "{message}"
    );
    assert!(
        message.contains("    raise ValueError('bad')\n") && message.ends_with("ValueError: bad\n"),
        "{message}"
    );
    let (result, _) = run("print(1");
    assert!(result["stderr"].as_str().unwrap().contains("SyntaxError"), "{result:#}");
    let (result, _) = run("import atexit\natexit.register(lambda: print('last'))\nprint('first')");
    assert_eq!((&result["stdout"], &result["exit_code"]), (&json!("first\nlast\n"), &json!(0)));
    let drawn: HashSet<String> = (0..20)
        .map(|_| run("import random, os\nprint(random.random(), os.urandom(4))").0["stdout"].to_string())
        .collect();
    assert_eq!(drawn.len(), 20, "{drawn:?}");
}

#[test]
fn unmodified_quickjs_runs_scripts() {
    let Some(server) = real("quickjs.wasm", "quickjs.js", &["--std", "--eval"]) else { return };
    let run =
        |source: &str| script(&server, "real", json!({ "script": source, "args": ["x"], "stdin": "line\n" }));
    let (result, start) = run("console.log(scriptArgs[1], std.in.getline()); std.exit(3)");
    assert_eq!(start, "warm");
    assert_eq!((&result["stdout"], &result["exit_code"]), (&json!("x line\n"), &json!(3)), "{result:#}");
    let (result, _) = run("throw new Error('bad')");
    assert_eq!(result["exit_code"], 1);
    assert!(result["stderr"].as_str().unwrap().contains("Error: bad"), "{result:#}");
}

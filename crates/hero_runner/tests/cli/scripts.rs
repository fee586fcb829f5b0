use std::io::Write as _;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use api::ErrorCode;
use serde_json::{Value, json};

use crate::fake::{Answer, Ask, Fake, Seen};
use crate::templates::template;

fn runtime(name: &str, pass: &str, extension: &str, interpreter: &str, origin: &str) -> Value {
    let script = json!({ "pass": pass, "extensions": [extension], "interpreters": [interpreter] });
    let spec = json!({ "module": name, "warm": "stdin", "script": script });
    template(name, &spec, "warm", &json!({ "origin": origin }))
}

fn runtimes() -> Value {
    json!({ "templates": [
        template("hello", &json!({ "module": "hello" }), "warm", &json!({ "origin": "automatic" })),
        runtime("javascript", "envelope", "js", "node", "builtin"),
        runtime("lua", "stdin", "lua", "lua5", "created"),
        runtime("mine", "envelope", "js", "qjs", "created"),
        runtime("python", "envelope", "py", "python3", "created"),
        runtime("rhai", "envelope", "rhai", "rhai-run", "builtin"),
    ] })
}

/// A server with these runtimes; and what `session_start` was told.
fn server() -> (Fake, Arc<Mutex<Value>>) {
    let asked = Arc::new(Mutex::new(Value::Null));
    let seen = asked.clone();
    let fake = Fake::new(move |ask: Ask| match ask.name.as_str() {
        "template_list" => Answer::Result(runtimes()),
        "session_start" => {
            *seen.lock().unwrap() = ask.params;
            Answer::Result(json!({ "session_id": "ses-1" }))
        }
        "session_stdin" => Answer::Result(json!({ "ok": true })),
        "/sse/session/ses-1" => {
            let end = r#"{"outcome":{"kind":"exited","code":3},"state":"failed"}"#;
            Answer::Sse(format!("event: end\ndata: {end}\n\n"))
        }
        other => panic!("{other}"),
    });
    (fake, asked)
}

/// Runs a script of this name and text, with arguments before and behind it; what was asked for.
fn started(name: &str, source: &[u8], before: &[&str], behind: &[&str]) -> Value {
    let (fake, asked) = server();
    let path = fake.path().join(name);
    std::fs::write(&path, source).unwrap();
    let seen = fake.run(&[&["run", "-d"], before, &[path.to_str().unwrap()], behind].concat());
    assert_eq!((seen.code, seen.out.as_str(), seen.err.as_str()), (Some(0), "ses-1\n", ""));
    asked.lock().unwrap().clone()
}

#[test]
fn a_script_is_sent_with_its_runtime_and_everything_else() {
    let source = "#!/usr/bin/python3 -u\nprint('hé')\n";
    let before = ["-e", "A=b", "--timeout", "1s", "--memory", "64M", "--label", "k=v", "--runtime", "python"];
    let expected = json!({
        "script": source, "runtime": "python", "script_name": "hello.txt", "args": ["-x", "y"],
        "env_vars": { "A": "b" }, "stdin_open": false, "timeout_ms": 1000, "memory_limit_mb": 64, "labels": { "k": "v" },
    });
    assert_eq!(started("hello.txt", source.as_bytes(), &before, &["-x", "y"]), expected);
}

#[test]
fn the_runtime_is_chosen_by_flag_then_first_line_then_extension() {
    for (name, source, flags, runtime) in [
        ("a.py", "", &[][..], "python"),
        ("a.py", "#!/usr/bin/env node\n", &[], "javascript"),
        ("a.js", "#!/usr/bin/env node\n", &["--runtime", "lua"], "lua"),
        // What somebody asked for comes before what the server brings.
        ("a.js", "", &[], "mine"),
        ("a", "#!/bin/lua5\n", &[], "lua"),
    ] {
        assert_eq!(started(name, source.as_bytes(), flags, &[])["runtime"], runtime, "{name} {source}");
    }
    assert_eq!(started("a.rhai", b"#!/usr/bin/env rhai\nprint(1)", &[], &[])["script"], "//\nprint(1)");
}

#[test]
fn a_file_in_this_folder_needs_no_slash_when_it_has_an_extension() {
    let (fake, asked) = server();
    for name in ["hello.py", "hello"] {
        std::fs::write(fake.path().join(name), "#!python3\n").unwrap();
        let seen = Seen::of(fake.command(&["run", "-d", name]).current_dir(fake.path()).output().unwrap());
        assert_eq!(seen.code, Some(0), "{}", seen.err);
        let asked = asked.lock().unwrap();
        match name {
            "hello" => assert_eq!(asked["module"], "hello"),
            _ => assert_eq!((&asked["script_name"], &asked["module"]), (&json!("hello.py"), &Value::Null)),
        }
    }
    let fake = Fake::new(|_| Answer::Error(ErrorCode::ModuleNotFound));
    std::fs::write(fake.path().join("hello"), "").unwrap();
    let seen = Seen::of(fake.command(&["run", "hello"]).current_dir(fake.path()).output().unwrap());
    assert_eq!(seen.code, Some(125));
    let told = "module_not_found\n  hint: `hero_runner run ./hello` runs the file of this name\n";
    assert!(seen.err.ends_with(told), "{}", seen.err);
    let seen = fake.run(&["run", "none.py"]);
    let told =
        "hero_runner: module_not_found, and no such file\n  hint: name a .wasm file, a script, or a module ";
    assert!(seen.err.starts_with(told), "{}", seen.err);
}

fn fed(fake: &Fake, args: &[&str], input: &[u8]) -> Seen {
    let mut command = fake.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Whoever does not want it may close it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output: Output = child.wait_with_output().unwrap();
    Seen::of(output)
}

#[test]
fn a_script_from_standard_input_has_none_of_its_own() {
    let (fake, asked) = server();
    let seen = fed(&fake, &["run", "--runtime", "python", "-", "one"], b"print()");
    assert_eq!((seen.code, seen.err.as_str()), (Some(3), ""));
    let expected = json!({
        "script": "print()", "runtime": "python", "script_name": "-", "args": ["one"], "stdin_open": false,
    });
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[test]
fn standard_input_goes_to_scripts_that_can_have_it() {
    for (name, open) in [("a.py", true), ("a.lua", false)] {
        let (fake, asked) = server();
        let path = fake.path().join(name);
        std::fs::write(&path, "").unwrap();
        assert_eq!(fed(&fake, &["run", path.to_str().unwrap()], b"input").code, Some(3));
        assert_eq!(asked.lock().unwrap()["stdin_open"], open, "{name}");
    }
}

#[test]
fn a_template_takes_every_word_as_an_argument() {
    let (fake, asked) = server();
    assert_eq!(fake.run(&["run", "-d", "--template", "echo", "one", "--two"]).code, Some(0));
    let expected = json!({ "template": "echo", "args": ["one", "--two"], "stdin_open": false });
    assert_eq!(*asked.lock().unwrap(), expected);
    assert_eq!(fake.run(&["run", "-d", "--template", "echo"]).code, Some(0));
    assert_eq!(*asked.lock().unwrap(), json!({ "template": "echo", "stdin_open": false }));
    assert_eq!(fake.run(&["run", "--template", "a", "--runtime", "b", "c"]).code, Some(2));
    assert_eq!(fake.run(&["run"]).code, Some(2));
}

#[test]
fn what_cannot_be_run_is_told_with_what_can_be_done() {
    let (fake, asked) = server();
    let file = |name: &str, bytes: &[u8]| {
        let path = fake.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let strange = file("a.xyz", b"");
    let binary = file("a.py", b"\xff\xfe");
    let module = file("program", b"\0asm\x01\0\0\0");
    let folder = format!("{}/.", fake.path().display());
    let there = "there are lua (.lua), mine (.js), python (.py), javascript (.js), rhai (.rhai);";
    for (args, message, hint) in [
        (&["run", &strange][..], "a.xyz: no runtime for .xyz", there),
        (&["run", "--runtime", "perl", &strange], "there is no runtime \"perl\"", there),
        (&["run", "--runtime", "python", "none"], "none: there is no such file", "name a script"),
        (&["run", "./none.py"], "./none.py: there is no such file", "name a .wasm file, a script, or"),
        (&["run", &binary], "no script in UTF-8: invalid utf-8 sequence", "name a .wasm file, or a script"),
        (&["run", "--runtime", "python", &module], "is a WebAssembly module, no script", "run it without"),
        (&["run", &folder], "it is no package", "put the file into the package"),
    ] {
        let seen = fake.run(args);
        assert_eq!(seen.code, Some(125), "{args:?}: {seen:?}");
        let (told, hinted) = seen.err.split_once("\n  hint: ").unwrap();
        assert!(told.contains(message) && hinted.starts_with(hint), "{args:?}: {}", seen.err);
    }
    assert_eq!(*asked.lock().unwrap(), Value::Null);
    let refusing = Fake::new(|ask| match ask.name.as_str() {
        "template_list" => Answer::Result(runtimes()),
        _ => Answer::Error(ErrorCode::TooLarge),
    });
    let script = file("b.py", b"");
    let seen = refusing.run(&["run", &script]);
    assert!(seen.err.starts_with("hero_runner: cannot run b.py: too_large\n  hint: "), "{}", seen.err);
}

#[test]
fn a_module_without_the_usual_extension_is_still_one() {
    let digest = "sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476";
    let fake = Fake::new(move |ask| match ask.name.as_str() {
        "module_get" => {
            assert_eq!(ask.params["name"], digest);
            Answer::Result(json!({
                "name": digest, "digest": digest, "kind": "core", "size": 8, "created_at": 1,
                "artifact": { "state": "interpreted" }, "imports": [], "exports": [],
            }))
        }
        "session_start" => {
            assert_eq!(ask.params, json!({ "module": digest, "stdin_open": false }));
            Answer::Result(json!({ "session_id": "ses-1" }))
        }
        other => panic!("{other}"),
    });
    let path = fake.path().join("program");
    std::fs::write(&path, b"\0asm\x01\0\0\0").unwrap();
    let seen = fake.run(&["run", "-d", path.to_str().unwrap()]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), "ses-1\n"), "{}", seen.err);
}

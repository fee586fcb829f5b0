use api::template::TemplateInfo;
use serde_json::json;

use super::*;

fn runtime(name: &str, pass: &str, extensions: &[&str], interpreters: &[&str]) -> TemplateInfo {
    let info = json!({
        "name": name,
        "spec": {
            "module": name, "warm": "stdin",
            "script": { "pass": pass, "extensions": extensions, "interpreters": interpreters },
        },
        "origin": "created", "state": "warm", "why": null, "retry_in_ms": null, "digest": null, "pid": null,
        "warm_ms": null, "pss_kb": null, "parked": 0, "running": 0, "sessions_total": 0, "failures": 0,
    });
    serde_json::from_value(info).unwrap()
}

fn runtimes() -> [TemplateInfo; 4] {
    [
        runtime("javascript", "envelope", &["js", "mjs"], &["node", "qjs"]),
        runtime("lua", "stdin", &["lua"], &[]),
        runtime("python", "envelope", &["py"], &["python", "python3"]),
        runtime("rhai", "envelope", &["rhai"], &[]),
    ]
}

fn chosen(name: &str, source: &str) -> String {
    match Script::of(&runtimes(), None, name, source.to_owned()) {
        Ok(script) => script.runtime,
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_first_line_names_an_interpreter() {
    for (line, name) in [
        ("#!/usr/bin/python3 -u\nprint()", Some("python3")),
        ("#!/usr/bin/env python3", Some("python3")),
        ("#!/usr/bin/env -S python3 -u\r\n", Some("python3")),
        ("#!/usr/bin/env -i A=b /opt/bin/node\n", Some("node")),
        ("#! /bin/sh\n", Some("sh")),
        ("#!qjs", Some("qjs")),
        ("#!/usr/bin/env", None),
        ("#!/usr/bin/\n", None),
        ("#!\npython", None),
        ("\n#!/bin/sh", None),
        ("# comment", None),
        ("", None),
    ] {
        assert_eq!(interpreter(line), name, "{line:?}");
    }
}

#[test]
fn the_first_line_goes_before_the_extension() {
    assert_eq!(chosen("a.py", ""), "python");
    assert_eq!(chosen("A.PY", ""), "python");
    assert_eq!(chosen("a.py", "#!/usr/bin/env node\n"), "javascript");
    assert_eq!(chosen("a", "#!/usr/bin/python\n"), "python");
    assert_eq!(chosen("a", "#!/usr/local/bin/python3.12\n"), "python");
    assert_eq!(chosen("a.js", "#!/usr/bin/env -S hero_runner run\n"), "javascript");
    assert_eq!(chosen("-", "#!lua\n"), "lua");
}

#[test]
fn whoever_finds_no_runtime_says_what_it_looked_for_and_what_there_is() {
    for (name, source, message) in [
        ("a.xyz", "", "a.xyz: no runtime for .xyz"),
        ("a", "", "a: neither an extension nor a `#!` line says what runs it"),
        ("a", "#!/bin/sh\n", "a: no runtime for sh, which its `#!` line names"),
        ("a.sh", "#!/bin/sh\n", "a.sh: no runtime for sh, which its `#!` line names, nor for .sh"),
        ("-", "", "the script from standard input has no `#!` line that says what runs it"),
    ] {
        assert_eq!(chosen(name, source), message);
    }
    assert_eq!(
        offer(&runtimes()),
        "there are javascript (.js .mjs), lua (.lua), python (.py), rhai (.rhai); --runtime NAME chooses one, \
         `hero_runner runtime add` adds one"
    );
    assert!(offer(&[]).starts_with("there are no runtimes yet"));
}

#[test]
fn a_runtime_is_chosen_by_its_name_or_by_one_that_it_knows() {
    let of = |chosen| Script::of(&runtimes(), Some(chosen), "a.py", "#!/bin/node\n".to_owned());
    assert_eq!(of("lua").unwrap().runtime, "lua");
    assert_eq!(of("node").unwrap().runtime, "javascript");
    assert_eq!(of("perl").unwrap_err().to_string(), "there is no runtime \"perl\"");
}

#[test]
fn only_an_envelope_leaves_standard_input_to_the_script() {
    let reads =
        |name: &str, chosen| Script::of(&runtimes(), Some(chosen), name, String::new()).unwrap().reads_input;
    assert!(reads("a.py", "python"));
    assert!(!reads("a.lua", "lua"));
    assert!(!reads("-", "python"));
}

#[test]
fn rhai_gets_a_comment_instead_of_the_first_line() {
    let source = |runtime, source: &str| {
        Script::of(&runtimes(), Some(runtime), "a", source.to_owned()).unwrap().source
    };
    assert_eq!(source("rhai", "#!/usr/bin/env rhai\nprint(1);\n"), "//\nprint(1);\n");
    assert_eq!(source("rhai", "#!rhai"), "//");
    assert_eq!(source("rhai", "print(1);"), "print(1);");
    assert_eq!(source("python", "#!python\n1"), "#!python\n1");
}

#[test]
fn files_are_modules_or_text() {
    let read = |bytes: &[u8]| read("f", bytes);
    assert_eq!(read(b"\0asm\x01\0\0\0").unwrap(), Content::Module);
    assert_eq!(read(b"").unwrap(), Content::Script(String::new()));
    assert_eq!(read("print('ä')".as_bytes()).unwrap(), Content::Script("print('ä')".into()));
    assert!(read(b"\x7fELF\xff").unwrap_err().to_string().starts_with("f is no WebAssembly module, and no"));
    let endless = super::read("f", std::io::repeat(b'#')).unwrap_err();
    assert_eq!(endless.to_string(), "f is too large for a script: it has more than 64 MiB");
    let folder = tempfile::tempdir().unwrap();
    assert!(read_file(folder.path()).is_err() && read_file(&folder.path().join("none")).is_err());
}

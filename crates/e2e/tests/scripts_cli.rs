//! Templates, runtimes and scripts from the command line.

use std::io::Write;
use std::process::{Output, Stdio};

use e2e::{Server, Value, json, places};

fn run(server: &Server, args: &[&str]) -> Output {
    server.cli(args).stdin(Stdio::null()).output().expect("the command line can be run")
}

fn fed(server: &Server, args: &[&str], input: &[u8]) -> Output {
    let mut command = server.cli(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command line can be run");
    // It may end without reading.
    let _ = child.stdin.take().expect("it has a standard input").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

/// What a command prints that is to succeed.
fn shown(server: &Server, args: &[&str]) -> String {
    let output = run(server, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    text(&output.stdout).to_owned()
}

fn parsed(server: &Server, args: &[&str]) -> Value {
    let text = shown(server, &[args, &["-o", "json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
}

/// What a command says that is to fail with this code.
fn refused(server: &Server, args: &[&str], code: i32) -> String {
    let output = run(server, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    text(&output.stderr).to_owned()
}

/// The newest session.
fn newest(server: &Server) -> Value {
    server.call("session_list", json!({ "limit": 1 }))["sessions"][0].clone()
}

#[test]
fn a_template_is_created_listed_used_and_removed() {
    let server = Server::start();
    let guest = places::guest("echo");
    let args =
        ["templates", "create", "mine", "--module", guest.to_str().unwrap(), "--warm", "stdin", "--wait"];
    let told = shown(&server, &args);
    assert!(told.starts_with("mine warm, "), "{told}");
    let row = shown(&server, &["templates"]);
    let row: Vec<&str> =
        row.lines().find(|line| line.starts_with("mine")).unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[2], row[3]), ("mine", "stdin", "warm"));
    for input in ["one\n", "two, without an end", ""] {
        let output = fed(&server, &["run", "--template", "mine"], input.as_bytes());
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), input), "{output:?}");
        let session = newest(&server);
        assert_eq!((&session["template"], &session["start"]), (&json!("mine"), &json!("warm")));
        let inspected = shown(&server, &["inspect", session["session_id"].as_str().unwrap()]);
        assert!(
            inspected.contains("mine") && inspected.contains("warm, forked from a template"),
            "{inspected}"
        );
    }
    assert!(shown(&server, &["ps", "-a"]).contains("mine"));
    assert_eq!(parsed(&server, &["templates", "show", "mine"])["sessions_total"], 3);
    let stats = shown(&server, &["stats"]);
    assert!(stats.contains("templates  ") && stats.contains("mine: pid "), "{stats}");
    let refusal = refused(&server, &["run", "--template", "mine", "argument"], 125);
    assert!(refusal.contains("cannot give a session its own arguments"), "{refusal}");
    assert_eq!(shown(&server, &["templates", "rm", "mine"]), "mine\n");
    let left = parsed(&server, &["templates", "list"]);
    assert!(left.as_array().unwrap().iter().all(|template| template["origin"] == "builtin"), "{left:#}");
    let gone = refused(&server, &["templates", "rm", "mine"], 1);
    assert!(gone.contains("there is no template \"mine\"\n  hint: "), "{gone}");
    let gone = refused(&server, &["run", "--template", "mine"], 125);
    assert!(gone.contains("there is no template \"mine\""), "{gone}");
}

#[test]
fn a_template_that_cannot_be_warm_says_why() {
    let server = Server::start();
    let args = ["templates", "create", "ends", "--module", "hello", "--warm", "stdin", "--wait"];
    let told = refused(&server, &args, 1);
    assert!(told.starts_with("hero_runner: template ends did not become warm: "), "{told}");
    let facts = shown(&server, &["templates", "show", "ends"]);
    assert!(facts.contains("failed") && facts.contains("why") && facts.contains("tried again"), "{facts}");
    // A session of it runs all the same.
    assert_eq!(shown(&server, &["run", "--template", "ends"]), "hello, world\n");
    assert_eq!(newest(&server)["start"], "cold");
}

#[test]
fn an_export_can_be_run_before_sessions_begin() {
    let server = Server::start();
    let wasm = wat::parse_str(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1) (global $code (mut i32) (i32.const 1))
            (func (export "prepare") (global.set $code (i32.const 42)))
            (func (export "_start") (call $exit (global.get $code))))"#,
    );
    std::fs::write(server.dir().join("made.wasm"), wasm.unwrap()).unwrap();
    let args = ["templates", "create", "made", "--module", "made.wasm", "--warm", "export:prepare", "--wait"];
    assert!(shown(&server, &args).starts_with("made warm"));
    assert_eq!(run(&server, &["run", "--template", "made"]).status.code(), Some(42));
    assert_eq!(newest(&server)["start"], "warm");
}

/// The guest `echo` runs a script by printing it.
#[test]
fn a_script_runs_in_its_runtime() {
    let server = Server::start();
    let guest = places::guest("echo");
    let args = ["runtime", "add", "printer", guest.to_str().unwrap(), "--like", "stdin", "--ext", "txt"];
    let told = shown(&server, &[&args[..], &["--interpreter", "print"]].concat());
    assert!(told.starts_with("printer is warm after "), "{told}");
    assert!(told.ends_with("run a script with `hero_runner run FILE.txt`\n"), "{told}");
    let row = shown(&server, &["runtime"]);
    assert!(row.contains("printer") && row.contains("txt") && row.contains("print  "), "{row}");

    let script = "#!/usr/bin/env print\nhello, wörld\n";
    for name in ["hello.txt", "hello"] {
        std::fs::write(server.dir().join(name), script).unwrap();
    }
    for file in ["hello.txt", "./hello.txt", "./hello"] {
        let output = run(&server, &["run", file]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), script), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        let session = newest(&server);
        assert_eq!((&session["template"], &session["start"]), (&json!("printer"), &json!("warm")));
        assert_eq!(session["module"], "printer");
    }
    for args in [&["run", "--runtime", "printer", "-"][..], &["run", "-"]] {
        let output = fed(&server, args, script.as_bytes());
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), script), "{output:?}");
    }
    // Input that is not for the script is not taken for a part of it.
    let output = fed(&server, &["run", "hello.txt"], b"more");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), script), "{output:?}");
    let id = shown(&server, &["run", "-d", "hello.txt"]);
    assert_eq!(server.wait(id.trim())["stdout"], script);
    let lines = shown(&server, &["-o", "json", "run", "hello.txt"]);
    assert!(
        lines.ends_with("}\n") && lines.contains("wörld") && lines.contains("\"exit_code\":0"),
        "{lines}"
    );

    let refusal = refused(&server, &["run", "hello.txt", "argument"], 125);
    assert!(refusal.starts_with("hero_runner: cannot run hello.txt: runtime \"printer\": "), "{refusal}");
    assert_eq!(shown(&server, &["runtime", "rm", "printer"]), "printer\n");
    refused(&server, &["run", "hello.txt"], 125);
    assert!(shown(&server, &["modules"]).contains("printer"), "its module stays");
}

/// The guest `echo` prints the envelope, and then what would be the script's own input.
#[test]
fn a_script_has_arguments_variables_input_and_limits_of_its_own() {
    let server = Server::start();
    shown(&server, &["runtime", "add", "printer", "echo", "--like", "envelope", "--ext", ".txt"]);
    std::fs::write(server.dir().join("a.txt"), "one\ntwo").unwrap();
    for (before, start) in
        [(&[][..], "warm"), (&["--dir", ".::/here"], "cold"), (&["--memory", "32M"], "cold")]
    {
        let args = [&["run", "-e", "A=b"], before, &["a.txt", "-x", "y"]].concat();
        let output = fed(&server, &args, b"my input\n");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let (head, rest) = text(&output.stdout).split_once('\n').unwrap();
        let envelope =
            json!({ "name": "a.txt", "args": ["-x", "y"], "env": { "A": "b" }, "source": "one\ntwo" });
        assert_eq!(serde_json::from_str::<Value>(head).unwrap(), envelope);
        assert_eq!(rest, "my input\n");
        assert_eq!(newest(&server)["start"], start, "{before:?}");
    }
    // Its input stays open, so it ends only when its time does.
    let mut command = server.cli(&["run", "--timeout", "200ms", "a.txt"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let input = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(124));
    drop(input);
}

#[test]
fn a_script_that_cannot_be_run_says_what_is_missing() {
    let server = Server::start();
    shown(&server, &["runtime", "add", "printer", "echo", "--ext", "txt"]);
    let file = |name: &str, bytes: &[u8]| std::fs::write(server.dir().join(name), bytes).unwrap();
    file("a.xyz", b"text");
    file("b.txt", b"\xff");
    file("large.txt", &vec![b'x'; 9 << 20]);
    for (args, message, hint) in [
        (&["run", "a.xyz"][..], "a.xyz: no runtime for .xyz", "printer (.txt)"),
        (&["run", "--runtime", "perl", "a.xyz"], "there is no runtime \"perl\"", "printer (.txt)"),
        (&["run", "b.txt"], "no script in UTF-8", "a script in UTF-8"),
        (&["run", "large.txt"], "cannot run large.txt", "body_max_bytes"),
    ] {
        let told = refused(&server, args, 125);
        assert!(
            told.contains(message) && told.contains(hint) && told.contains("\n  hint: "),
            "{args:?}: {told}"
        );
    }
    let told = refused(&server, &["runtime", "add", "ends", "hello"], 1);
    assert!(told.contains("template ends did not become warm: "), "{told}");
    let told = refused(&server, &["runtime", "add", "NO NAME", "echo"], 1);
    assert!(told.contains("cannot create runtime NO NAME: ") && told.contains("hint: "), "{told}");
}

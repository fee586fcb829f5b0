//! The command line against a running server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};

use e2e::{Server, Value, eventually, json, places};
use nix::sys::signal::Signal;

fn run(server: &Server, args: &[&str]) -> Output {
    server.cli(args).stdin(Stdio::null()).output().expect("the command line can be run")
}

fn fed(server: &Server, args: &[&str], input: &[u8]) -> Output {
    let mut child = server
        .cli(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command line can be run");
    let mut stdin = child.stdin.take().expect("it has a standard input");
    // Both at once: what it prints has to be read while it is fed.
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("it reads"));
        child.wait_with_output().expect("it ends")
    })
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

/// What a successful command prints as JSON.
fn parsed(server: &Server, args: &[&str]) -> Value {
    let output = run(server, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
}

#[test]
fn run_prints_what_the_guest_prints_and_ends_as_it_ends() {
    let server = Server::start();
    let output = run(&server, &["run", "hello"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(0), "hello, world\n", "")
    );
    let output = run(&server, &["run", "faulty_exit7"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(7), ""));
    assert!(text(&output.stderr).starts_with("exiting with 7\n"), "{output:?}");
}

#[test]
fn run_ends_with_the_codes_that_its_help_names() {
    let server = Server::start();
    for (args, code, stdout) in [
        (&["run", "faulty_trap"][..], 134, "about to trap\n"),
        (&["run", "--timeout", "300ms", "faulty_spin"], 124, "spinning\n"),
        (&["run", "--memory", "24M", "faulty_oom"], 137, "16 MiB\n"),
        (&["run", "nothing"], 125, ""),
        (&["run", "./nothing.wasm"], 125, ""),
        (&["run", "--no-such-flag", "hello"], 2, ""),
    ] {
        let output = run(&server, args);
        assert_eq!(
            (output.status.code(), text(&output.stdout)),
            (Some(code), stdout),
            "{args:?}: {output:?}"
        );
        assert!(!output.stderr.is_empty(), "{args:?} says nothing");
    }
}

#[test]
fn run_takes_a_file_and_uploads_it_once() {
    let server = Server::start();
    let wasm = wat::parse_str(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 42))))"#,
    );
    let file = server.dir().join("mine.wasm");
    std::fs::write(&file, wasm.unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(run(&server, &["run", "./mine.wasm"]).status.code(), Some(42));
    }
    let guest = places::guest("hello");
    let output = run(&server, &["run", guest.to_str().unwrap()]);
    assert_eq!(text(&output.stdout), "hello, world\n", "{output:?}");
    std::fs::write(&file, "not a module").unwrap();
    let output = run(&server, &["run", "./mine.wasm"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("mine.wasm"), "{output:?}");
}

#[test]
fn run_forwards_standard_input_byte_for_byte() {
    let server = Server::start();
    let output = fed(&server, &["run", "echo"], b"one\ntwo\nno newline");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "one\ntwo\nno newline"), "{output:?}");
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
    let output = fed(&server, &["run", "echo"], &bytes);
    assert_eq!(output.stdout.len(), bytes.len());
    assert!(output.stdout == bytes, "the bytes are others");
}

#[test]
fn run_hands_on_arguments_variables_and_folders() {
    let server = Server::start();
    let output = run(&server, &["run", "-e", "A=1", "environ", "one", "--two", "-3"]);
    assert_eq!(text(&output.stdout), "arg 0 environ\narg 1 one\narg 2 --two\narg 3 -3\nA=1\ncwd /\n");
    // Behind the module's name everything is the module's, also what looks like ours.
    let output = run(&server, &["run", "environ", "-o", "json", "--help", "--", "x"]);
    let expected = "arg 0 environ\narg 1 -o\narg 2 json\narg 3 --help\narg 4 --\narg 5 x\ncwd /\n";
    assert_eq!(text(&output.stdout), expected, "{output:?}");
    std::fs::create_dir(server.dir().join("data")).unwrap();
    let write = ["run", "--dir", "data::/d:rw", "files", "write", "/d/new", "text"];
    assert_eq!(run(&server, &write).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(server.dir().join("data/new")).unwrap(), "text");
    let output = run(&server, &["run", "--dir", "data::/d", "-w", "/d", "files", "read", "new"]);
    assert_eq!(text(&output.stdout), "text", "{output:?}");
    let write = ["run", "--dir", "data::/d", "files", "write", "/d/new", "changed"];
    assert_eq!(run(&server, &write).status.code(), Some(1));
}

#[test]
fn run_stops_its_session_on_ctrl_c() {
    let server = Server::start();
    let mut child = server
        .cli(&["run", "ticker", "100000", "10"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    assert_eq!(first, "tick 1\n", "it streams while the guest runs");
    e2e::signal_to(child.id(), Signal::SIGINT);
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
    let list = server.call("session_list", json!({}));
    assert_eq!(list["sessions"][0]["state"], "cancelled");
}

#[test]
fn every_result_is_also_json() {
    let server = Server::start();
    let id = server.session(json!({ "module": "ticker", "args": ["3", "1"] }));
    let _ = server.wait(&id);
    let sessions = parsed(&server, &["ps", "-a", "-o", "json"]);
    assert!(sessions.to_string().contains(&id), "{sessions:#}");
    let shown = parsed(&server, &["inspect", &id, "-o", "json"]);
    assert_eq!(shown["session"], server.info(&id));
    assert_eq!(shown["result"], server.wait(&id));
    assert_eq!(parsed(&server, &["wait", &id, "-o", "json"]), server.wait(&id));
    assert_eq!(parsed(&server, &["stop", &id, "-o", "json"]), json!({ "stopped": [id] }));
    let modules = parsed(&server, &["modules", "-o", "json"]);
    assert_eq!(modules, server.call("module_list", json!({}))["modules"]);
    let module = parsed(&server, &["modules", "get", "hello", "-o", "json"]);
    assert_eq!(module, server.call("module_get", json!({ "name": "hello" })));
    assert_eq!(parsed(&server, &["stats", "-o", "json"])["server_pid"], server.pid());
    let status = parsed(&server, &["--status", "-o", "json"]);
    assert_eq!((&status["running"], &status["stats"]["server_pid"]), (&json!(true), &json!(server.pid())));
    let lines = run(&server, &["logs", &id, "-o", "json"]);
    let lines: Vec<Value> =
        text(&lines.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, server.lines(&id));
    let output = run(&server, &["-o", "json", "run", "hello"]);
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["line"], &lines[1]["result"]["exit_code"]), (&json!("hello, world"), &json!(0)));
    let error = run(&server, &["inspect", "ses-none0", "-o", "json"]);
    assert_eq!(error.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&error.stderr).unwrap();
    assert_eq!(told["error"]["code_name"], "session_not_found");
}

#[test]
fn people_see_tables_and_words() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_exit7", "labels": { "who": "me" } }));
    let _ = server.wait(&id);
    let shown = |args: &[&str]| {
        let output = run(&server, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        let text = text(&output.stdout).to_owned();
        assert!(!text.contains('\x1b'), "colours are for terminals: {text:?}");
        text
    };
    assert!(shown(&["ps", "-a"]).contains(&id));
    let inspected = shown(&["inspect", &id]);
    assert!(inspected.contains("exited with code 7") && inspected.contains("who=me"), "{inspected}");
    assert!(shown(&["modules"]).contains("hello"));
    assert!(shown(&["modules", "get", "hello"]).contains("fd_write"));
    assert!(shown(&["stats"]).contains("wasmedge"));
    assert!(shown(&["--status"]).contains(&format!("pid {}", server.pid())));
    assert!(shown(&["--version"]).contains(api::VERSION));
    assert!(shown(&["--help"]).contains("Exit codes"));
}

#[test]
fn logs_are_shown_whole_from_the_end_and_live() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_flood", "args": ["5000"] }));
    let _ = server.wait(&id);
    let lines = |args: &[&str]| -> Vec<String> {
        let output = run(&server, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        text(&output.stdout).lines().map(str::to_owned).collect()
    };
    let all = lines(&["logs", &id]);
    assert_eq!(all.len(), 5000);
    assert_eq!(lines(&["logs", &id[..12], "-n", "3"]), all[4997..]);
    assert_eq!(lines(&["logs", &id, "-n", "2500"]), all[2500..]);
    assert_eq!(lines(&["logs", &id, "--stderr"]), [""; 0]);
    let live = server.session(json!({ "module": "ticker", "args": ["20", "10"] }));
    assert_eq!(
        lines(&["logs", "-f", &live]),
        (1..=20).map(|tick| format!("tick {tick}")).collect::<Vec<_>>()
    );
    let noisy = server.session(json!({ "module": "faulty_noisy_bytes" }));
    let _ = server.wait(&noisy);
    let output = run(&server, &["logs", &noisy]);
    let around = |bytes: &[u8]| output.stdout.windows(bytes.len()).any(|window| window == bytes);
    assert!(around(b"\xff\xfe\x80 is not UTF-8\n") && around(b"nul \0 inside\n"), "bytes stay as they are");
    assert!(output.stdout.ends_with(b"no newline at the end"));
}

#[test]
fn a_log_of_long_lines_is_shown_to_its_end() {
    let server = Server::start();
    // 40 MB: many pages, each cut by its bytes before it has its number of lines.
    let args = json!(["400000", "--no-newline"]);
    let id = server.session(json!({ "module": "faulty_flood", "args": args }));
    assert_eq!(server.wait(&id)["success"], true);
    let output = run(&server, &["logs", &id]);
    assert_eq!(output.stdout.len(), 40_000_000);
    let count = server.info(&id)["log_next_seq"].to_string();
    let output = run(&server, &["logs", &id, "-n", &count]);
    assert_eq!(output.stdout.len(), 40_000_000);
}

#[test]
fn wait_ends_as_the_guest_ended_or_gives_up() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_exit7" }));
    assert_eq!(run(&server, &["wait", &id]).status.code(), Some(7));
    let endless = server.session(json!({ "module": "ticker", "args": ["100000", "100"] }));
    assert_eq!(run(&server, &["wait", "--timeout", "50ms", &endless]).status.code(), Some(124));
    assert_eq!(run(&server, &["stop", &endless]).status.code(), Some(0));
    assert_eq!(run(&server, &["wait", &endless]).status.code(), Some(143));
    assert_eq!(run(&server, &["stop", "ses-none0"]).status.code(), Some(1));
}

#[test]
fn run_in_the_background_prints_the_id_and_leaves_the_session() {
    let server = Server::start();
    let output = run(&server, &["run", "-d", "--label", "a=b", "ticker", "100000", "100"]);
    let id = text(&output.stdout).trim().to_owned();
    assert_eq!(server.info(&id)["labels"], json!({ "a": "b" }));
    assert!(text(&run(&server, &["ps"]).stdout).contains(&id));
    assert_eq!(run(&server, &["stop", &id]).status.code(), Some(0));
}

#[test]
fn modules_are_put_shown_and_removed() {
    let server = Server::start();
    let guest = places::guest("hello");
    let file = guest.to_str().unwrap();
    assert_eq!(run(&server, &["modules", "put", "greeter", file]).status.code(), Some(0));
    assert_eq!(text(&run(&server, &["run", "greeter"]).stdout), "hello, world\n");
    assert_eq!(run(&server, &["modules", "rm", "greeter"]).status.code(), Some(0));
    assert_eq!(run(&server, &["modules", "rm", "greeter"]).status.code(), Some(1));
    let refused = run(&server, &["modules", "put", "NOT A NAME", file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("hint:"), "{refused:?}");
}

#[test]
fn doctor_tells_what_is_there_and_fails_only_when_something_is_missing() {
    let server = Server::start();
    let output = run(&server, &["doctor", "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = if report["result"] == "fail" { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.len() >= 8, "{report:#}");
    for check in checks {
        assert!(check["level"] == "ok" || check["hint"].is_string(), "no hint: {check:#}");
    }
    let people = run(&server, &["doctor"]);
    assert_eq!(people.status.code(), Some(code));
    assert_eq!(
        text(&people.stdout).lines().filter(|line| !line.trim_start().starts_with("->")).count(),
        checks.len()
    );
}

#[test]
fn completions_are_there_for_every_shell() {
    let server = Server::start();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&server, &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("hero_runner"), "{shell}");
    }
}

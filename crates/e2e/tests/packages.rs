//! Packages: run, checked and inspected by the command line; and services that are packages.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use e2e::{Server, Setup, Value, json, places, services};

/// A folder of this name with a guest as its module, and a manifest if there is one.
fn package(server: &Server, name: &str, guest: &str, manifest: Option<&str>) -> PathBuf {
    let folder = server.dir().join(name);
    fs::create_dir(&folder).expect("the folder is new");
    fs::copy(places::guest(guest), folder.join("app.wasm")).expect("the guest is built");
    fs::write(folder.join("note"), "a note\n").expect("the folder is there");
    if let Some(manifest) = manifest {
        fs::write(folder.join(format!("{name}.qyv")), manifest).expect("the folder is there");
    }
    folder
}

fn cli(server: &Server, args: &[&str]) -> Output {
    server.cli(args).stdin(Stdio::null()).output().expect("the command line can be run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_package_reads_its_folder_only_with_the_permission_to() {
    let server = Server::start();
    let read = "name: reader\npermissions: { fs: read }\n";
    let rows = [
        ("granted", Some(read), Some(0)),
        ("listed", Some("name: listed\npermissions: { fs: { read: [\".::/\"] } }\n"), Some(0)),
        ("none", Some("name: none\n"), Some(1)),
        ("emptied", Some("name: emptied\npermissions: { fs: { read: [] }, net: [] }\n"), Some(1)),
        ("bare", None, Some(1)),
    ];
    for (name, manifest, code) in rows {
        let folder = package(&server, name, "files", manifest);
        let output = cli(&server, &["run", folder.to_str().unwrap(), "read", "/note"]);
        assert_eq!(output.status.code(), code, "{name}: {output:?}");
        assert_eq!(text(&output.stdout), if code == Some(0) { "a note\n" } else { "" }, "{name}");
        let told = text(&output.stderr).contains("has no permission fs: no folder was granted");
        assert_eq!(told, code != Some(0), "{name}: {output:?}");
    }
    // To read is not to write, and to write does not lead out.
    let folder = server.dir().join("granted");
    let file = folder.join("granted.qyv");
    let write = ["run", file.to_str().unwrap(), "write", "/new", "x"];
    assert_eq!(cli(&server, &write).status.code(), Some(1));
    fs::write(&file, "name: writer\npermissions: { fs: read-write }\n").unwrap();
    assert_eq!(cli(&server, &write).status.code(), Some(0));
    assert_eq!(fs::read_to_string(folder.join("new")).unwrap(), "x");
    let out = ["run", file.to_str().unwrap(), "read", "/../none/note"];
    assert_eq!(cli(&server, &out).status.code(), Some(1));
}

#[test]
fn a_manifest_says_what_a_session_gets() {
    let server = Server::start();
    let manifest = "name: say\nargs: [one]\nenv: { MODE: fast, OTHER: a }\nlimits: { timeout_ms: 60000, memory_mb: 32, output_bytes: 100000 }\n";
    let folder = package(&server, "say", "environ", Some(manifest));
    let output = cli(&server, &["run", "-d", "--env", "OTHER=b", folder.to_str().unwrap(), "two"]);
    assert!(output.status.success(), "{output:?}");
    let id = text(&output.stdout).trim().to_owned();
    let result = server.call("session_wait", json!({ "session_id": id }));
    let stdout = result["stdout"].as_str().unwrap();
    assert!(stdout.contains("MODE=fast") && stdout.contains("OTHER=b"), "{stdout}");
    let session = server.call("session_get", json!({ "session_id": id }));
    assert_eq!(session["args"], json!(["one", "two"]));
    assert_eq!(session["labels"]["package"], "say");
    let limits = &session["limits"];
    assert_eq!(
        (&limits["timeout_ms"], &limits["memory_limit_mb"], &limits["output_limit_bytes"]),
        (&json!(60000), &json!(32), &json!(100_000))
    );
}

#[test]
fn what_is_not_offered_or_not_there_is_refused_by_name() {
    let server = Server::start();
    let folder = package(&server, "runs", "hello", Some("name: runs\npermissions: { exec: true }\n"));
    let output = cli(&server, &["-o", "json", "run", folder.to_str().unwrap()]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), &error["error"]["code_name"]),
        (Some(125), &json!("permission_denied"))
    );
    fs::write(folder.join("runs.qyv"), "name: runs\nentrypoint: gone.wasm\n").unwrap();
    let output = cli(&server, &["-o", "json", "run", folder.to_str().unwrap()]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), &error["error"]["code_name"]), (Some(125), &json!("wasm_not_found")));
    fs::write(folder.join("runs.qyv"), "name: runs\nlimts: {}\n").unwrap();
    let output = cli(&server, &["run", folder.to_str().unwrap()]);
    let told = text(&output.stderr);
    assert!(
        told.contains("runs.qyv:2:1: limts: unknown field") && output.status.code() == Some(125),
        "{told}"
    );
}

#[test]
fn check_tells_every_fault_and_says_so_in_its_exit_code() {
    let server = Server::start();
    let good = package(&server, "good", "hello", None);
    let output = cli(&server, &["check", good.to_str().unwrap()]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "ok\n"), "{output:?}");
    let bad = package(
        &server,
        "bad",
        "hello",
        Some("name: Bad\nfallback: ../out.wasm\npermissions: { net: [nowhere] }\n"),
    );
    fs::write(bad.join("app.wasm"), b"\0asm\x01\0\0\0\x63").unwrap();
    let output = cli(&server, &["check", bad.to_str().unwrap()]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for part in [
        "bad.qyv:1:1: name: ",
        "bad.qyv:2:1: fallback: ",
        "bad.qyv:3:22: permissions.net[0]: ",
        "app.wasm: not valid: ",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let output = cli(&server, &["check", bad.join("bad.qyv").to_str().unwrap(), "--format", "json"]);
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &checked["ok"]), (Some(1), &json!(false)));
    assert_eq!((&checked["faults"][0]["line"], &checked["faults"][0]["key"]), (&json!(1), &json!("name")));
}

#[test]
fn inspect_needs_no_server() {
    let mut server = Server::start();
    server.stop();
    let file = places::guest("hello");
    let file = file.to_str().unwrap();
    let output = cli(&server, &["inspect", file]);
    let told = text(&output.stdout);
    assert!(output.status.success() && told.contains("core module, WASI preview1"), "{output:?}");
    assert!(
        told.contains("wasi_snapshot_preview1.fd_write  ")
            && told.contains("func (i32, i32, i32, i32) -> (i32)"),
        "{told}"
    );
    let output = cli(&server, &["inspect", file, "--format", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["kind"], &found["wasi"], &found["worlds"]),
        (&json!("module"), &json!("preview1"), &json!(["command"]))
    );
    let output = cli(&server, &["inspect", file, "--format", "yaml"]);
    assert!(text(&output.stdout).starts_with("kind: module\n"), "{output:?}");
    let garbage = server.dir().join("garbage.wasm");
    fs::write(&garbage, b"\0asm\x09\0\0\0").unwrap();
    let output = cli(&server, &["inspect", garbage.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("offset 0x4"), "{output:?}");
}

#[test]
fn a_service_is_a_package_and_its_fallback_takes_over() {
    let hello = services::spec("hello", json!({ "port": "auto" }));
    let server = Setup::with_services(&[("hello", hello)]).start();
    let folder = server.services_dir().join("boxed");
    fs::create_dir_all(folder.join("config")).unwrap();
    fs::copy(places::guest("hello"), folder.join("good.wasm")).unwrap();
    fs::write(
        folder.join("app.wasm"),
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#)
            .unwrap(),
    )
    .unwrap();
    let mut spec = services::spec(
        "boxed",
        json!({ "port": "auto", "entrypoint": "good.wasm", "limits": { "memory_mb": 64 } }),
    );
    server.declare("boxed", &spec);
    let _ = server.call("service_reload", json!({}));
    let service = server.until_service("boxed", "ready");
    assert_eq!(service["memory_limit_mb"], 64);
    // One whose module always fails, and is allowed to fail twice.
    spec["entrypoint"] = json!("app.wasm");
    spec["fallback"] = json!("good.wasm");
    spec["retries"] = json!({ "max": 1, "backoff": { "initial_ms": 1, "max_ms": 1 } });
    server.order("service_stop", "boxed");
    server.declare("boxed", &spec);
    let _ = server.call("service_reload", json!({}));
    server.order("service_start", "boxed");
    let service = server.until_service("boxed", "ready");
    let good = service["module"].as_str().unwrap().to_owned();
    assert!(good.starts_with("sha256:"), "{service:#}");
    let ends = server.service_detail("boxed")["ends"].as_array().unwrap().len();
    assert!(ends >= 2, "both failures are kept: {ends}");
    for (key, value, part) in [
        ("fallback", json!("../x.wasm"), "leaves"),
        ("memory_limit_mb", json!(32), "limits.memory_mb"),
        ("restart", json!({ "intensity": 2 }), "retries"),
        ("name", json!("other"), "folder"),
    ] {
        let mut wrong = spec.clone();
        wrong[key] = value;
        server.declare("wrong", &wrong);
        fs::create_dir_all(server.services_dir().join("wrong")).unwrap();
        fs::copy(folder.join("good.wasm"), server.services_dir().join("wrong/good.wasm")).unwrap();
        fs::copy(folder.join("app.wasm"), server.services_dir().join("wrong/app.wasm")).unwrap();
        let _ = server.call("service_reload", json!({}));
        let problem = server.problem("wrong");
        assert!(problem.contains(part), "{key}: {problem}");
    }
}

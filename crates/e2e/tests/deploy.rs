//! Packages become versions of services: ready first, then the traffic moves; and back.

use e2e::packages::{guest, gzip, manifest, package, sha256, tar, upload, zip};
use e2e::{Door, Server, Setup, Traffic, Value, eventually, json};

const TOKEN: &str = "a-token-of-this-test";

fn setup() -> Setup {
    Setup::with_services(&[])
}

fn hello() -> Vec<u8> {
    package("app", "hello", json!({}), json!({ "version": "1.0" }))
}

fn crashy() -> Vec<u8> {
    package("app", "crashy", json!({ "health": { "path": "/health" } }), json!({ "version": "2.0" }))
}

#[test]
fn versions_come_and_go_without_a_failing_request() {
    let mut server = setup().start();
    let first = server.deploy(&hello());
    assert_eq!((&first["version"]["version"], &first["version"]["current"]), (&json!(1), &json!(true)));
    assert_eq!(first["version"]["sha256"], sha256(&hello()));
    assert_eq!((&first["service"]["state"], &first["service"]["version"]), (&json!("ready"), &json!(1)));
    assert_eq!(server.text_via("/app/hello"), "hello, world\n");

    let traffic = Traffic::start(4, &server.gateway(), "/app/hello", "hello");
    traffic.flows(50);
    let second = server.deploy(&crashy());
    assert_eq!((&second["version"]["version"], &second["version"]["label"]), (&json!(2), &json!("2.0")));
    assert_eq!(server.text_via("/app/hello"), "hello from crashy\n");
    traffic.flows(50);
    let detail = server.call("service_rollback", json!({ "name": "app" }));
    assert_eq!(detail["service"]["version"], 1, "{detail:#}");
    assert_eq!(server.text_via("/app/hello"), "hello, world\n");
    traffic.flows(50);
    let (bad, _) = traffic.stop();
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(server.versions("app"), (vec![2, 1], Some(1)));
    eventually("the ones of before are gone", || (server.running_of("app").len() == 1).then_some(()));

    // Neither a reload nor the end of the server changes which one serves.
    let session = server.service_session("app");
    let _ = server.call("service_reload", json!({}));
    assert_eq!(server.service_session("app"), session);
    server.kill();
    server.start_again();
    server.until_service("app", "ready");
    assert_eq!(
        (server.text_via("/app/hello").as_str(), server.versions("app")),
        ("hello, world\n", (vec![2, 1], Some(1)))
    );
    let detail = server.call("service_rollback", json!({ "name": "app", "version": 2 }));
    assert_eq!(detail["service"]["version"], 2);
    assert_eq!(server.text_via("/app/hello"), "hello from crashy\n");
    // The next one has a number of its own.
    assert_eq!(server.deploy(&hello())["version"]["version"], 3);

    assert_eq!(
        server.refusal_name("service_rollback", json!({ "name": "app", "version": 9 })),
        "version_not_found"
    );
    assert_eq!(server.refusal_name("service_rollback", json!({ "name": "nobody" })), "service_not_found");
    assert_eq!(server.refusal_name("service_versions", json!({ "name": "nobody" })), "service_not_found");
    let _ = server.order("service_remove", "app");
    assert!(server.version_files("").is_empty(), "{:?}", server.version_files(""));
    assert!(deployed_modules(&server).is_empty());
    assert_eq!(server.via("/app/hello").status, 404);
}

fn deployed_modules(server: &Server) -> Vec<String> {
    let list = server.call("module_list", json!({}))["modules"].clone();
    let names = list.as_array().into_iter().flatten().filter_map(|module| module["name"].as_str());
    names.filter(|name| name.starts_with("deployed-")).map(str::to_owned).collect()
}

#[test]
fn the_same_package_is_not_deployed_twice_and_every_format_is_taken() {
    let server = setup().start();
    server.deploy(&hello());
    let session = server.service_session("app");
    let again = server.upload_package(&hello());
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["version"]["version"], 1);
    assert_eq!(server.service_session("app"), session);

    let (text, wasm) = (manifest("app", json!({}), json!({})), guest("hello"));
    let files: [(&str, &[u8]); 2] = [("./app.qyv", text.as_bytes()), ("./app.wasm", &wasm)];
    let plain = [("app.qyv", text.as_bytes()), ("app.wasm", &wasm[..])];
    let door = Door::Unix(server.socket());
    for (kind, bytes, number) in [
        ("application/x-tar", tar(&files), 2),
        ("application/zip", zip(&plain), 3),
        ("application/octet-stream", gzip(&tar(&plain)), 4),
    ] {
        let sum = sha256(&bytes);
        let headers = [("content-type", kind), ("x-content-sha256", sum.as_str())];
        let reply = upload(&door, "/upload", &headers, &bytes);
        assert_eq!(
            (reply.status, reply.json()["version"]["version"].as_u64()),
            (201, Some(number)),
            "{kind}"
        );
    }
    // Under another name and prefix it is another service.
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["service"]["prefix"] = json!("other");
    let bytes = zip(&[("app.qyv", other.to_string().as_bytes()), ("app.wasm", &wasm)]);
    let reply = upload(&door, "/upload?name=other", &[("content-type", "application/zip")], &bytes);
    assert_eq!(reply.status, 201);
    assert_eq!(server.text_via("/other/hello"), "hello, world\n");
}

#[test]
fn events_tell_how_far_it_is() {
    let server = setup().compiling().start();
    let headers = [("content-type", "application/gzip"), ("accept", "text/event-stream")];
    let door = Door::Unix(server.socket());
    let events = |bytes: &[u8]| {
        let reply = upload(&door, "/upload", &headers, bytes);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
        let text = reply.text();
        let names: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect();
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or("null");
        (names, serde_json::from_str::<Value>(last).unwrap())
    };
    let (names, last) = events(&hello());
    assert_eq!(names, ["received", "unpacked", "compiled", "starting", "ready", "deployed"]);
    assert_eq!(last["service"]["name"], "app");
    // The version that takes the traffic does not run interpreted.
    let module = server.call("module_get", json!({ "name": last["version"]["digest"] }));
    assert_eq!(module["artifact"]["state"], "compiled", "{module:#}");
    let (names, last) = events(&hello());
    assert_eq!(
        (names.last().map(String::as_str), &last["version"]["version"]),
        (Some("unchanged"), &json!(1))
    );
    let (names, last) = events(b"no archive");
    assert_eq!(
        (names.join(" ").as_str(), &last["data"]["code_name"]),
        ("received error", &json!("deploy_error"))
    );
}

#[test]
fn old_versions_go_with_their_modules() {
    let server = setup().set("keep_versions", 1).start();
    let numbered = |guest: &str, number: u32| {
        package("app", guest, json!({}), json!({ "env": { "N": number.to_string() } }))
    };
    server.deploy(&numbered("hello", 1));
    server.deploy(&numbered("hello", 2));
    server.deploy(&numbered("crashy", 3));
    assert_eq!(server.versions("app"), (vec![3, 2], Some(3)));
    assert_eq!(deployed_modules(&server).len(), 2);
    server.deploy(&numbered("crashy", 4));
    assert_eq!(server.versions("app"), (vec![4, 3], Some(4)));
    assert_eq!(server.version_files("app"), ["3", "4", "current"]);
    // What still runs keeps its module until the next look.
    eventually("the first module is gone", || {
        if deployed_modules(&server).len() == 1 {
            return Some(());
        }
        server.deploy(&numbered("crashy", 5));
        server.deploy(&numbered("crashy", 6));
        None
    });
}

#[test]
fn a_declaration_by_hand_and_versions_take_turns() {
    let by_hand = e2e::services::spec("app", json!({ "module": "crashy" }));
    let mut server = Setup::with_services(&[("app", by_hand.clone())]).start();
    server.until_service("app", "ready");
    assert_eq!(server.text_via("/app/hello"), "hello from crashy\n");
    assert_eq!(server.versions("app"), (vec![], None));
    server.deploy(&hello());
    assert_eq!(server.text_via("/app/hello"), "hello, world\n");
    server.kill();
    server.start_again();
    server.until_service("app", "ready");
    assert_eq!(server.text_via("/app/hello"), "hello, world\n");
    let detail = server.call("service_deploy", json!({ "name": "app", "spec": by_hand }));
    assert_eq!(detail["service"].get("version"), None, "{detail:#}");
    assert_eq!(server.text_via("/app/hello"), "hello from crashy\n");
    assert_eq!(server.versions("app"), (vec![1], None));
    let _ = server.call("service_rollback", json!({ "name": "app" }));
    assert_eq!(
        (server.text_via("/app/hello").as_str(), server.versions("app")),
        ("hello, world\n", (vec![1], Some(1)))
    );
}

#[test]
fn the_command_line_deploys_to_sockets_and_gateways() {
    let server = setup().set("upload_token", TOKEN).start();
    let folder = server.dir().join("package");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("app.qyv"), manifest("app", json!({}), json!({}))).unwrap();
    std::fs::write(folder.join("app.wasm"), guest("hello")).unwrap();
    let package = folder.to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let output = server.cli(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = run(&["deploy", &package]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("app deployed, version 1 http://"), "{out}");
    let e2e::Door::Tcp(address) = server.gateway() else { unreachable!("the gateway has a port") };
    let gateway = format!("http://{address}");
    let (code, out, err) = run(&["deploy", &package, "--to", &gateway, "--token", TOKEN]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("app already deployed, version 1"), "{out}");

    std::fs::write(folder.join("app.wasm"), guest("crashy")).unwrap();
    let token = server.dir().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let token = token.to_str().unwrap();
    let manifest = folder.join("app.qyv");
    let (code, out, err) =
        run(&["deploy", manifest.to_str().unwrap(), "--to", &gateway, "--token-file", token, "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let deployed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&deployed["version"]["version"], &deployed["service"]["state"]),
        (&json!(2), &json!("ready"))
    );
    assert_eq!(server.text_via("/app/hello"), "hello from crashy\n");

    let (code, _, err) = run(&["deploy", &package, "--to", &gateway, "--token", "another-token-of-16"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("token is none that may deploy") && err.contains("hint"), "{err}");
    let (code, _, err) = run(&["deploy", &package, "--to", "/nowhere/rpc.sock", "--retries", "1"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("1 of 1") && err.contains("no server listens"), "{err}");
    let both = format!("{gateway},{}", server.socket().display());
    let (code, out, err) = run(&["deploy", &package, "--to", &both, "--token", TOKEN]);
    assert_eq!((code, out.lines().count()), (Some(0), 2), "{out}{err}");

    let (code, out, _) = run(&["services", "versions", "app"]);
    assert_eq!((code, out.lines().count()), (Some(0), 3), "{out}");
    let (code, out, err) = run(&["services", "rollback", "app"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, "app ready, version 1\n");
    assert_eq!(server.text_via("/app/hello"), "hello, world\n");
    let (code, _, err) = run(&["services", "rollback", "app", "7"]);
    assert!(code == Some(1) && err.contains("no version 7"), "{err}");
}

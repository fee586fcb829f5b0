//! Uploads that are broken, hostile, or come at the wrong moment: all of a version, or nothing of it.

use std::io::Write;

use e2e::packages::{guest, gzip, manifest, package, sha256, tar, upload, zip};
use e2e::{Door, Server, Setup, Traffic, Value, eventually, json};

const TOKEN: &str = "a-token-of-this-test";
const GZIP: (&str, &str) = ("content-type", "application/gzip");

fn hello() -> Vec<u8> {
    package("app", "hello", json!({}), json!({}))
}

/// A version that never answers its probes well, for so long.
fn sick(seconds: u64) -> Vec<u8> {
    let health = json!({ "health": { "start_period_secs": seconds, "timeout_ms": 200 } });
    package("app", "crashy", health, json!({ "env": { "CRASH": "never_healthy" } }))
}

/// A server with version 1 of `app`.
fn server() -> Server {
    let server = Setup::with_services(&[]).start();
    server.deploy(&hello());
    server
}

/// Version 1 serves, and nothing else is there.
fn is_as_before(server: &Server) {
    eventually("only version 1 runs", || (server.running_of("app").len() == 1).then_some(()));
    assert_eq!(server.text_via("/app/hello"), "hello, world\n");
    assert_eq!(server.versions("app"), (vec![1], Some(1)));
    assert_eq!(
        (server.version_files(""), server.version_files("app")),
        (vec!["app".to_owned()], vec!["1".to_owned(), "current".to_owned()])
    );
    let list = server.call("module_list", json!({}))["modules"].clone();
    let named = |name: &str| name.starts_with("deployed-");
    let pinned = list
        .as_array()
        .expect("the test has what it needs")
        .iter()
        .filter(|module| module["name"].as_str().is_some_and(named));
    assert_eq!(pinned.count(), 1, "{list:#}");
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let server = server();
    let text = manifest("app", json!({}), json!({}));
    let (text, wasm) = (text.as_bytes(), guest("crashy"));
    let zeros = vec![0; 64 << 20];
    let link = {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "app.wasm", "/etc/passwd").unwrap();
        archive.into_inner().unwrap()
    };
    let zip_link = {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        archive.add_symlink("app.wasm", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
        archive.finish().unwrap().into_inner()
    };
    let rows: [(&str, Vec<u8>, u16, &str, &str); 9] = [
        ("tar ..", tar(&[("app.qyv", text), ("../../../evil", b"x")]), 422, "deploy_error", "leaves"),
        ("zip ..", zip(&[("app.qyv", text), ("a/../../evil", b"x")]), 422, "deploy_error", "leaves"),
        ("absolute", tar(&[("/tmp/evil", b"x")]), 422, "deploy_error", "absolute"),
        ("tar link", link, 422, "deploy_error", "link"),
        ("zip link", zip_link, 422, "deploy_error", "link"),
        ("tar bomb", gzip(&tar(&[("app.qyv", text), ("app.wasm", &zeros)])), 413, "too_large", "times"),
        ("zip bomb", zip(&[("app.qyv", text), ("app.wasm", &zeros)]), 413, "too_large", "times"),
        ("twice", tar(&[("app.wasm", &wasm), ("./app.wasm", &wasm)]), 422, "deploy_error", "twice"),
        ("no archive", b"name: app".to_vec(), 422, "deploy_error", "neither"),
    ];
    for (what, bytes, status, code, why) in rows {
        let (name, message) = server.refused_package(status, &bytes);
        assert!(name == code && message.contains(why), "{what}: {name}: {message}");
        assert!(!message.contains("versions"), "the server's folders are its own: {message}");
    }
    assert!(!server.dir().join("evil").exists() && !server.state_dir().join("evil").exists());
    is_as_before(&server);
}

#[test]
fn wrong_packages_are_refused_with_the_reason() {
    let server = server();
    let whole =
        |manifest: &str, wasm: &[u8]| gzip(&tar(&[("app.qyv", manifest.as_bytes()), ("app.wasm", wasm)]));
    let good = manifest("app", json!({}), json!({}));
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 64]].concat();
    let mut aot = guest("hello");
    aot.extend_from_slice(b"\0\x0c\x08wasmedgeabc");
    let rows = [
        ("native code", whole(&good, &elf), "module_load", "compiled elsewhere"),
        ("machine code in a section", whole(&good, &aot), "module_load", "compiled elsewhere"),
        ("no module", whole(&good, b"no module"), "module_load", "app.wasm"),
        ("its file is missing", gzip(&tar(&[("app.qyv", good.as_bytes())])), "wasm_not_found", "app.wasm"),
        ("no manifest", gzip(&tar(&[("x", b"1")])), "wasm_not_found", "app.wasm"),
        ("no service", whole(r#"{"name":"app"}"#, &guest("hello")), "manifest_invalid", "prefix"),
        (
            "an unknown key",
            whole(&manifest("app", json!({}), json!({ "permisions": 1 })), &guest("hello")),
            "manifest_invalid",
            "permisions",
        ),
        (
            "the gateway's own prefix",
            whole(&manifest("app", json!({ "prefix": "upload" }), json!({})), &guest("hello")),
            "manifest_invalid",
            "gateway",
        ),
        (
            "a folder that is not there",
            whole(
                &manifest("app", json!({}), json!({ "permissions": { "fs": { "read": ["data"] } } })),
                &guest("hello"),
            ),
            "manifest_invalid",
            "data",
        ),
    ];
    for (what, bytes, code, why) in rows {
        let (name, message) = server.refused_package(422, &bytes);
        assert!(name == code && message.contains(why), "{what}: {name}: {message}");
    }
    is_as_before(&server);
}

#[test]
fn requests_that_are_wrong_are_refused_before_anything_is_unpacked() {
    let server = Setup::with_services(&[]).set("max_package_mb", 1).start();
    let door = Door::Unix(server.socket());
    let bytes = hello();
    let wrong = sha256(b"something else");
    let status = |path: &str, headers: &[(&str, &str)], bytes: &[u8]| {
        let reply = upload(&door, path, headers, bytes);
        let status = reply.status;
        (status, reply.json()["data"]["code_name"].as_str().unwrap_or_default().to_owned())
    };
    let code = |name: &str| name.to_owned();
    assert_eq!(
        status("/upload", &[GZIP, ("x-content-sha256", &wrong)], &bytes),
        (422, code("digest_mismatch"))
    );
    assert_eq!(status("/upload", &[GZIP, ("x-content-sha256", "12")], &bytes), (400, code("invalid_params")));
    assert_eq!(
        status("/upload", &[("content-type", "text/plain")], &bytes),
        (415, code("media_type_not_supported"))
    );
    assert_eq!(status("/upload?name=No%20name", &[GZIP], &bytes), (400, code("name_invalid")));
    assert_eq!(status("/upload?x=1", &[GZIP], &bytes), (400, code("invalid_query")));
    assert_eq!(status("/upload", &[GZIP], &vec![0x1f; (1 << 20) + 1]), (413, code("too_large")));
    assert_eq!(server.get("/upload").status, 405);
    assert!(server.version_files("").is_empty());
}

#[test]
fn the_gateway_takes_packages_from_who_brings_a_token() {
    let without = Setup::with_services(&[]).start();
    let bearer = format!("Bearer {TOKEN}");
    let reply = upload(&without.gateway(), "/upload", &[GZIP, ("authorization", &bearer)], &hello());
    assert_eq!(reply.status, 404);

    let server =
        Setup::with_services(&[]).set("upload_token", TOKEN).set("gateway_body_max_bytes", 1000).start();
    let bytes = hello();
    let post = |headers: &[(&str, &str)], path: &str| {
        let reply = upload(&server.gateway(), path, headers, &bytes);
        (reply.status, reply.json())
    };
    let (status, body) = post(&[GZIP], "/upload");
    assert_eq!((status, &body["data"]["code_name"]), (401, &json!("token_missing")));
    for wrong in ["Bearer another-token-of-16", "Bearer a-token-of-this-tesu", "Basic YTpi", "Bearer"] {
        let (status, body) = post(&[GZIP, ("authorization", wrong)], "/upload");
        assert!(status == 403 || status == 401, "{wrong}: {status} {body}");
    }
    assert!(server.version_files("").is_empty());
    let (status, _) = post(&[GZIP, ("authorization", &bearer)], "/upload/more");
    assert_eq!(status, 404);
    assert_eq!(server.via("/upload").status, 401);
    // The limit of requests to services is not that of packages.
    let (status, body) = post(&[GZIP, ("authorization", &bearer)], "/upload");
    assert_eq!((status, &body["version"]["version"]), (201, &json!(1)), "{body:#}");
    assert_eq!(server.text_via("/app/hello"), "hello, world\n");
    let config = std::fs::read_to_string(server.dir().join("server.log")).unwrap();
    assert!(!config.contains(TOKEN), "the token is not in the log");
}

#[test]
fn an_upload_that_is_cut_leaves_nothing() {
    let server = server();
    let bytes = package("app", "crashy", json!({}), json!({}));
    {
        let door = Door::Unix(server.socket());
        let mut stream = door.connect(e2e::patience()).unwrap();
        let head = format!(
            "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/gzip\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&bytes[..bytes.len() / 2]).unwrap();
        eventually("the upload has begun", || (server.version_files("").len() == 2).then_some(()));
        drop(stream);
        eventually("what came is gone", || (server.version_files("").len() == 1).then_some(()));
    }
    // One that was cut before it was sent: whole as a request, and not as an archive.
    let (name, _) = server.refused_package(422, &bytes[..bytes.len() / 2]);
    assert_eq!(name, "deploy_error");
    is_as_before(&server);
}

#[test]
fn two_at_once_end_one_after_the_other() {
    let server = server();
    let door = Door::Unix(server.socket());
    let of = |guest: &str, n: &str| package("app", guest, json!({}), json!({ "env": { "N": n } }));
    let send = |bytes: Vec<u8>| {
        let door = door.clone();
        std::thread::spawn(move || upload(&door, "/upload", &[GZIP], &bytes).status)
    };
    let both = [send(of("crashy", "1")), send(of("hello", "2"))];
    assert_eq!(both.map(|one| one.join().unwrap()), [201, 201]);
    assert_eq!(server.versions("app"), (vec![3, 2, 1], Some(3)));
    let same = [send(of("crashy", "3")), send(of("crashy", "3"))];
    let mut status = same.map(|one| one.join().unwrap());
    status.sort_unstable();
    assert_eq!(status, [200, 201], "the second finds it deployed");
    assert_eq!(server.versions("app").1, Some(4));
    assert_eq!(server.text_via("/app/hello"), "hello from crashy\n");
}

#[test]
fn a_version_that_never_becomes_healthy_is_not_noticed_by_anybody() {
    let server = server();
    let traffic = Traffic::start(4, &server.gateway(), "/app/hello", "hello, world");
    traffic.flows(20);
    let (name, message) = server.refused_package(422, &sick(1));
    assert_eq!(name, "deploy_error");
    assert!(message.contains("503") && message.contains("version 2"), "{message}");
    let exits = package("app", "faulty_exit7", json!({}), json!({}));
    let (name, message) = server.refused_package(422, &exits);
    assert!(name == "deploy_error" && message.contains("exited with code 7"), "{name}: {message}");
    traffic.flows(20);
    let (bad, _) = traffic.stop();
    assert!(bad.is_empty(), "{bad:?}");
    is_as_before(&server);
    // Of a new service that fails nothing is left at all.
    let fresh = package("fresh", "faulty_exit7", json!({}), json!({}));
    let _ = server.refused_package(422, &fresh);
    assert_eq!(server.refusal_name("service_get", json!({ "name": "fresh" })), "service_not_found");
    is_as_before(&server);
}

#[test]
fn a_handler_that_does_not_answer_a_first_request_is_not_taken() {
    let server = server();
    let handler = |module: &str, rest: Value| package("ask", module, json!({ "kind": "handler" }), rest);
    server.deploy(&handler("cgi_echo", json!({})));
    for (module, why) in [
        ("faulty_exit7", "exited with code 7"),
        ("faulty_trap", "right head"),
        ("hello", "right head"),
        // A component that is a program, and no handler.
        ("launch_component", "wasi:http"),
    ] {
        let (name, message) = server.refused_package(422, &handler(module, json!({})));
        assert_eq!(name, "deploy_error", "{module}: {message}");
        assert!(message.contains(why), "{module}: {message}");
        assert_eq!(server.versions("ask"), (vec![1], Some(1)), "{module}");
    }
    let slow = package(
        "ask",
        "http_hello",
        json!({ "kind": "handler", "health": { "path": "/spin", "start_period_secs": 1 } }),
        json!({}),
    );
    let (_, message) = server.refused_package(422, &slow);
    assert!(message.contains("no answer in 1 s"), "{message}");
    let deployed = server.deploy(&handler("http_hello", json!({})));
    assert_eq!(deployed["version"]["current"], true, "{deployed:#}");
    assert!(server.text_via("/ask/").contains("hello"), "the version that was taken serves");
}

#[test]
fn a_server_that_is_killed_while_it_tries_a_version_starts_with_the_one_of_before() {
    let mut server = server();
    let door = Door::Unix(server.socket());
    let bytes = sick(3600);
    let cut = std::thread::spawn(move || {
        e2e::http::Request { method: "POST", path: "/upload", headers: &[GZIP], body: &bytes }
            .send_to(&door, e2e::patience() * 2)
            .is_err()
    });
    eventually("the new version is tried", || (server.running_of("app").len() == 2).then_some(()));
    assert_eq!(server.text_via("/app/hello"), "hello, world\n", "the old one serves meanwhile");
    assert!(server.version_files("app").contains(&"2".to_owned()));
    server.kill();
    assert!(cut.join().unwrap(), "the upload ends without an answer");
    server.start_again();
    server.until_service("app", "ready");
    eventually("what is left is gone", || {
        let list = server.call("module_list", json!({}))["modules"].clone();
        let names = list.as_array()?.iter().filter_map(|module| module["name"].as_str());
        (names.filter(|name| name.starts_with("deployed-")).count() == 1).then_some(())
    });
    is_as_before(&server);
    // And the same again, while it is still on its way.
    let mut stream = Door::Unix(server.socket()).connect(e2e::patience()).unwrap();
    stream.write_all(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
    eventually("the upload has begun", || (server.version_files("").len() == 2).then_some(()));
    server.kill();
    server.start_again();
    server.until_service("app", "ready");
    is_as_before(&server);
}

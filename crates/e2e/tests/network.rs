//! What of the network a guest can reach: what its permissions list, and what was given to it.

use e2e::services::{free_port, get, spec};
use e2e::{Door, Server, Setup, Value, census, eventually, json};

/// Asks the relay to call an address.
fn call(server: &Server, relay: &str, url: &str) -> (u16, String) {
    let reply = server.straight(relay, &format!("/call?url={url}"));
    (reply.status, reply.text())
}

/// At which step a call failed, and why.
fn failure(server: &Server, relay: &str, url: &str) -> (String, String) {
    let (status, text) = call(server, relay, url);
    assert_eq!(status, 502, "{relay} {url}: {text}");
    let error: Value = serde_json::from_str(&text).expect("it says why in JSON");
    let part = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    (part("step"), part("error"))
}

fn relay(net: Value) -> Value {
    spec("relay", json!({ "module": "relay", "permissions": { "net": net } }))
}

fn with_prefix(mut spec: Value, prefix: &str) -> Value {
    spec["prefix"] = json!(prefix);
    spec
}

#[test]
fn a_service_connects_where_its_permissions_say_and_nowhere_else() {
    let (port, other) = (free_port(), free_port());
    let services = [
        ("hello", spec("hello", json!({ "module": "hello", "port": port }))),
        ("other", spec("other", json!({ "module": "crashy", "port": other }))),
        ("nothing", with_prefix(relay(json!(false)), "nothing")),
        ("listed", with_prefix(relay(json!([format!("127.0.0.1:{port}")])), "listed")),
        ("anything", with_prefix(relay(json!(true)), "anything")),
    ];
    let server = Setup::with_services(&services).start();
    for (name, _) in &services {
        server.until_service(name, "ready");
    }
    let (hello, crashy) =
        (format!("http://127.0.0.1:{port}/hello"), format!("http://127.0.0.1:{other}/hello"));
    let (step, error) = failure(&server, "nothing", &hello);
    assert_eq!(step, "permission", "{error}");
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    let lines = server.lines(&server.service_session("nothing"));
    let told = format!("may not connect to 127.0.0.1:{port}; permissions.net has to list it");
    assert!(lines.iter().any(|line| line["line"].as_str().unwrap_or_default().contains(&told)), "{lines:#?}");

    assert_eq!(call(&server, "listed", &hello), (200, "hello, world\n".to_owned()));
    assert_eq!(failure(&server, "listed", &crashy).0, "permission", "another port");
    assert_eq!(
        failure(&server, "listed", &format!("http://127.0.0.2:{port}/")).0,
        "permission",
        "another address"
    );
    assert_eq!(
        failure(&server, "listed", "http://example.invalid/").0,
        "permission",
        "a name is not even looked up"
    );
    assert_eq!(call(&server, "anything", &hello), (200, "hello, world\n".to_owned()));
    assert_eq!(call(&server, "anything", &crashy), (200, "hello from crashy\n".to_owned()));
    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let (step, error) = failure(&server, "anything", &nobody);
    assert_eq!(step, "connect", "{error}");
    assert!(error.contains("refused"), "{error}");
    assert_eq!(server.text_via("/listed/health"), "OK");

    // The kernel's word: filters for all, and those that may connect come from a zygote of their own.
    let pid = |name: &str| server.service(name)["instances"][0]["pid"].as_u64().unwrap() as u32;
    for (name, _) in &services {
        assert_eq!(census::status(pid(name), "Seccomp").as_deref(), Some("2"), "{name}");
        assert_eq!(census::status(pid(name), "NoNewPrivs").as_deref(), Some("1"), "{name}");
    }
    let parent = |name: &str| census::process(pid(name)).unwrap().parent;
    assert_eq!(parent("hello"), parent("nothing"));
    assert_eq!(parent("listed"), parent("anything"));
    assert_ne!(parent("hello"), parent("listed"), "without permissions there is nothing that could connect");
    assert_eq!(parent("hello"), server.zygote_pid());
}

#[test]
fn a_session_can_neither_listen_nor_take_the_place_of_a_service() {
    let port = free_port();
    let services = [("hello", spec("hello", json!({ "module": "hello", "port": port })))];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    for permissions in [json!({}), json!({ "net": true })] {
        for port in [port, free_port()] {
            let request = json!({ "module": "hello", "env_vars": { "PORT": port.to_string() }, "permissions": permissions });
            let result = server.run(request);
            assert_eq!(result["success"], false, "{permissions} {result:#}");
            assert!(
                result["stderr"].as_str().unwrap().contains(&format!("hello: port {port}: ")),
                "{result:#}"
            );
        }
    }
    assert_eq!(server.text_of("hello", "/hello"), "hello, world\n");
    let bad = json!({ "module": "hello", "permissions": { "net": ["example.org"] } });
    assert_eq!(server.refusal_name("session_start", bad), "invalid_params");
    let bad = json!({ "module": "hello", "permissions": { "disk": true } });
    assert_eq!(server.refusal_name("session_start", bad), "invalid_params");
}

#[test]
fn a_service_listens_on_its_own_port_only() {
    let services = [
        // It is told another port than the one that it was given.
        (
            "astray",
            spec(
                "astray",
                json!({ "module": "hello", "env": { "PORT": "1" }, "restart": { "intensity": 0 } }),
            ),
        ),
        ("hello", spec("hello", json!({ "module": "hello" }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    let failed = server.until_service("astray", "failed");
    assert!(failed["reason"].as_str().unwrap().contains("exited with code 1"), "{failed:#}");
    let end = server.service_detail("astray")["ends"][0]["session_id"].as_str().unwrap().to_owned();
    let lines = server.lines(&end);
    let told = |line: &Value| line["line"].as_str().unwrap_or_default().contains("may not listen on port 1");
    assert!(lines.iter().any(told), "{lines:#?}");
    // A listener is reached on loopback and nowhere else.
    let address = server.service("hello")["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    assert_eq!(get(&e2e::services::door(&address), "/hello").status, 200);
}

/// The inodes of the sockets that listen on a port of 127.0.0.1.
fn listening_on(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel has a table of sockets");
    let local = format!("0100007F:{port:04X}");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields[1] == local && fields[3] == "0A")
        .map(|fields| fields[9].to_owned())
        .collect()
}

#[test]
fn a_process_has_the_sockets_of_its_own_service_and_no_others() {
    let ports = [free_port(), free_port()];
    let services = [
        ("a", spec("a", json!({ "module": "hello", "port": ports[0] }))),
        ("b", spec("b", json!({ "module": "hello", "port": ports[1] }))),
        ("cgi", spec("cgi", json!({ "module": "cgi_echo", "kind": "handler" }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("a", "ready");
    server.until_service("b", "ready");
    let Door::Tcp(gateway) = server.gateway() else { panic!("the gateway listens on TCP") };
    let pid = |name: &str| server.service(name)["instances"][0]["pid"].as_u64().unwrap() as u32;
    let holds = |pid: u32, port: u16| {
        let sockets = listening_on(port);
        assert_eq!(sockets.len(), 1, "nobody, or more than one, listens on {port}");
        let found = |(_, target): &(u32, std::path::PathBuf)| {
            target.to_string_lossy() == format!("socket:[{}]", sockets[0])
        };
        census::open_files(pid).iter().any(found)
    };
    for (name, own, other) in [("a", ports[0], ports[1]), ("b", ports[1], ports[0])] {
        assert!(holds(pid(name), own), "{name} does not listen on its port");
        assert!(!holds(pid(name), other), "{name} has the port of the other one");
        assert!(!holds(pid(name), gateway.port()), "{name} has the gateway's port");
    }
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.text_via("/cgi/slow?ms=500"));
        let session = eventually("it runs", || server.running_of("cgi").pop());
        let pid = server.worker(session["session_id"].as_str().unwrap());
        for port in [ports[0], ports[1], gateway.port()] {
            assert!(!holds(pid, port), "a handler has the port {port}");
        }
        assert_eq!(slow.join().expect("it is answered"), "at last\n");
    });
    // What waits for a session has none either.
    for worker in server.parked() {
        assert!(!holds(worker, ports[0]) && !holds(worker, gateway.port()), "a parked worker has a port");
    }
}

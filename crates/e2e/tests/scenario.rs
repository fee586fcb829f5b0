//! The load generator: components that are composed, run in sessions, and spread over several.

use std::fs;
use std::process::Output;

use e2e::{Door, Server, Value, json, places, services};

const PARTS: [&str; 4] = ["core_libs", "http_action", "executor", "scheduler"];

/// A scenario of so many users who ask this URL for a second.
fn scenario(users: u32, url: &str, more: &str) -> String {
    format!(
        "scenario:\n  id: test\n  load: {{ total_users: {users}, ramp_duration: 100ms, test_duration: 1s{more} }}\n  \
         workflow:\n    - {{ id: one, type: http, params: {{ url: \"{url}\", timeout: 5s }}, think_time: 5ms }}\n"
    )
}

/// What `hero_runner scenario run` makes of a text.
fn run(server: &Server, text: &str, flags: &[&str]) -> Output {
    let file = server.dir().join("scenario.yaml");
    fs::write(&file, text).expect("a file can be written");
    let args = [&["scenario", "run", file.to_str().expect("a path in UTF-8")], flags].concat();
    server.cli(&args).output().expect("the command line runs")
}

fn result(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn server() -> Server {
    let hello = services::spec("hello", json!({ "port": "auto" }));
    let server = e2e::Setup::with_services(&[("hello", hello)]).start();
    let _ = server.upload("scenario", &fs::read(places::guest("scenario")).expect("a file"));
    let _ = server.until_service("hello", "ready");
    server
}

#[test]
fn a_scenario_runs_against_a_service_in_one_session_and_in_several() {
    let server = server();
    let Door::Tcp(gateway) = server.gateway() else { panic!("the gateway listens on a port") };
    let url = format!("http://{gateway}/hello/hello");
    for (processes, users) in [("1", 4), ("3", 7)] {
        let output = run(&server, &scenario(users, &url, ""), &["--processes", processes]);
        let measured = result(&output);
        let number = |key: &str| measured[key].as_f64().unwrap_or_else(|| panic!("{key}: {measured:#}"));
        assert_eq!(measured["total_users"], users);
        assert!(number("total_requests") > 10.0, "{measured:#}");
        assert_eq!((number("failed"), &measured["errors"]), (0.0, &json!({})), "{measured:#}");
        assert_eq!(number("successful"), number("total_requests"));
        let [p50, p95, p99] = ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms"].map(number);
        assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{measured:#}");
        assert!(number("duration_seconds") > 0.9 && number("throughput_rps") > 10.0, "{measured:#}");
    }
    let out = server.dir().join("out");
    let output = run(&server, &scenario(2, &url, ""), &["--out", out.to_str().expect("a path in UTF-8")]);
    let _ = result(&output);
    let kept: Value =
        serde_json::from_slice(&fs::read(out.join("result.json")).expect("a file")).expect("JSON");
    assert_eq!(kept["scenario"], "test");
    assert!(fs::read_to_string(out.join("latency.svg")).expect("a chart").contains("<svg"));
}

#[test]
fn what_cannot_be_reached_is_counted_and_what_is_wrong_is_told() {
    let server = server();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let nobody = format!("http://{}/", nobody.expect("a port that nobody listens on any more"));
    let measured = result(&run(&server, &scenario(2, &nobody, ""), &[]));
    assert_eq!(measured["successful"], 0);
    assert!(measured["failed"].as_u64().expect("a number") > 0, "{measured:#}");
    assert_eq!(measured["errors"].as_object().expect("kinds").len(), 1, "{measured:#}");
    // Of TEST-NET-1, which no machine has.
    let foreign = scenario(1, &nobody, ", ip_pool: [192.0.2.1]");
    let cases = [
        (scenario(0, &nobody, ""), "total_users"),
        (scenario(1, "not a url", ""), "url"),
        (scenario(1, "ftp://127.0.0.1/", ""), "ftp"),
        (foreign, "192.0.2.1"),
        (format!("{}  workflaw: []\n", scenario(1, &nobody, "")), "workflaw"),
    ];
    for (text, part) in cases {
        let output = run(&server, &text, &[]);
        let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(told.contains(part), "{part}: {told}");
        let measured: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(!output.status.success() || measured["successful"] == 0, "{part}: {told}");
        assert!(!told.contains("trap"), "{told}");
    }
}

#[test]
fn the_scheduler_alone_misses_the_executor() {
    let server = Server::start();
    let scheduler = fs::read(places::scenario_part("scheduler")).expect("a file");
    let _ = server.upload("scheduler", &scheduler);
    let wanted = json!({ "module": "scheduler", "invoke": "run-scenario", "invoke_args": ["scenario: {}"] });
    let error = server.refusal("session_start", wanted);
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("hero:scenario/executor@0.1.0"), "{message}");
    assert_eq!(error["data"]["code_name"], "module_import_missing");
}

#[test]
fn compose_plugs_components_together_or_says_where_it_cannot() {
    let server = Server::start();
    let plan = places::repository().join("services/scenario/scenario.wac");
    let out = server.dir().join("composed.wasm");
    let dependencies: Vec<String> = PARTS
        .iter()
        .map(|part| format!("hero:{}={}", part.replace('_', "-"), places::scenario_part(part).display()))
        .collect();
    let compose = |plan: &std::path::Path, dependencies: &[String]| {
        let mut command = server.cli(&["compose", plan.to_str().expect("a path in UTF-8"), "--out"]);
        command.arg(&out).args(dependencies.iter().flat_map(|one| ["--dep", one]));
        command.output().expect("the command line runs")
    };
    let output = compose(&plan, &dependencies);
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read(&out).expect("a component").starts_with(b"\0asm\x0d\0\x01\0"));
    let output = compose(&plan, &dependencies[1..]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("hero:core-libs"), "{told}");
    let wrong = server.dir().join("wrong.wac");
    fs::write(&wrong, "package a:b;\n\nlet x = nwe hero:executor { ... };\n").expect("a file can be written");
    let output = compose(&wrong, &dependencies);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("wrong.wac:3:"), "{told}");
}

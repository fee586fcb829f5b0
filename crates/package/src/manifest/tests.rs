use super::*;
use api::permission::{Fs, Net};

fn told(format: Format, text: &str) -> Vec<String> {
    let file = Path::new(if format == Format::Yaml { "app.qyv" } else { "service.json" });
    match read(file, format, text, Some("box")) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.list().iter().map(ToString::to_string).collect(),
    }
}

fn qyv(text: &str) -> Manifest {
    read(Path::new("app.qyv"), Format::Yaml, text, None).unwrap_or_else(|faults| panic!("{faults}")).0
}

#[test]
fn all_keys_of_a_manifest() {
    let manifest = qyv(r#"
$schema: manifest.schema.json
name: sorter
version: "1.2"
description: Sorts lines.
entrypoint: bin/sorter.wasm
runtime: wasmtime
permissions:
  net: [example.org:443, "[::1]:80"]
  fs: { read: [data, /srv/words::/words], read-write: [out] }
  exec: false
env: { MODE: fast }
args: [--quiet]
limits: { memory_mb: 64, timeout_ms: 5000, output_bytes: 1000000 }
retries: { max: 3, backoff: { initial_ms: 10, max_ms: 100 }, on: failure }
fallback: bin/slow.wasm
ready: { line: READY, timeout_ms: 1000 }
"#);
    assert_eq!((manifest.name.as_str(), manifest.limits.memory_mb), ("sorter", Some(64)));
    assert!(matches!(&manifest.permissions.net, Net::Listed(list) if list.len() == 2));
    assert!(matches!(&manifest.permissions.fs, Fs::Listed(folders) if folders.read.len() == 2));
    // The same in JSON is the same.
    let text = serde_json::to_string_pretty(&manifest).unwrap();
    assert_eq!(read(Path::new("manifest.json"), Format::Json, &text, None).unwrap().0, manifest);
}

#[test]
fn what_is_not_granted_is_denied_and_an_empty_list_grants_nothing() {
    assert!(qyv("name: a").permissions.is_nothing());
    let empty = qyv("name: a\npermissions:\n  net: []\n  fs: { read: [], read-write: [] }\n");
    assert!(empty.permissions.is_nothing());
    assert!(qyv("name: a\npermissions: { net: false, fs: none, exec: false }").permissions.is_nothing());
}

#[test]
fn every_fault_is_told_with_its_place() {
    let text = r#"name: Bad Name
versoin: "1"
entrypoint: ../elsewhere.wasm
permissions:
  net:
    - example.org:443
    - example.org
    - 10.0.0.1:99999
  fs: { raed: [a], read: [../b, c, c] }
  exec: maybe
env: { PORT: 8080, "A=B": x }
limits: { memory_mb: 0, timeout_ms: -1 }
retries: { max: 1000 }
ready: {}
"#;
    let found = told(Format::Yaml, text);
    let expected = [
        ("app.qyv:1:1: name: ", "is no name"),
        ("app.qyv:2:1: versoin: unknown field", "versoin"),
        ("app.qyv:3:1: entrypoint: ", "leaves the package"),
        ("app.qyv:7:7: permissions.net[1]: \"example.org\" is not host:port", "example.org:443"),
        ("app.qyv:8:7: permissions.net[2]: ", "99999"),
        ("app.qyv:9:9: permissions.fs.raed: unknown field", "read-write"),
        ("app.qyv:9:27: permissions.fs.read[0]: ", "leaves the package"),
        ("app.qyv:9:36: permissions.fs.read[2]: ", "twice"),
        ("app.qyv:10:3: permissions.exec: invalid type", "boolean"),
        ("app.qyv:11:1: env: \"A=B\"", "variable"),
        ("app.qyv:11:8: env.PORT: invalid type", "put it into quotes"),
        ("app.qyv:12:11: limits.memory_mb: 0 is not 1 to 4096", ""),
        ("app.qyv:12:25: limits.timeout_ms: invalid value", "-1"),
        ("app.qyv:13:12: retries.max: 1000 is not 0 to 100", ""),
        ("app.qyv:14:1: ready: it needs line or export", ""),
    ];
    for (start, part) in expected {
        assert!(
            found.iter().any(|one| one.starts_with(start) && one.contains(part)),
            "{start}{part}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn what_is_no_yaml_or_too_much_of_it_is_told() {
    for (text, start, part) in [
        ("name: [a", "app.qyv:", ""),
        ("name: a\nname: b\n", "app.qyv:2:1: ", "name"),
        ("name: a\n<<: { version: b }\n", "app.qyv:2:1: ", ""),
        ("", "app.qyv", ""),
        ("- a\n", "app.qyv:1:1: ", "expected struct Manifest"),
        ("name: a\n---\nname: b\n", "app.qyv:", ""),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
            "app.qyv:",
            "alias",
        ),
    ] {
        let found = told(Format::Yaml, text);
        assert!(
            found.first().is_some_and(|one| one.starts_with(start) && one.contains(part)),
            "{text:?}: {found:#?}"
        );
    }
    let deep = format!("name: {}x{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(told(Format::Yaml, &deep).len(), 1);
    assert!(told(Format::Yaml, &"#".repeat(MAX_BYTES as usize + 1))[0].contains("may have"));
}

#[test]
fn json_has_places_too() {
    let text = "{\n  \"name\": \"a\",\n  \"permissions\": { \"net\": [\"x\"] },\n  \"nmae\": 1\n}\n";
    let found = told(Format::Json, text);
    assert!(
        found[0].starts_with("service.json:3:28: permissions.net[0]: \"x\" is not host:port"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("service.json:4:3: nmae: unknown field"), "{found:#?}");
    assert_eq!(
        told(Format::Json, "{\"name\":\"a\",\n \"name\":\"b\"}"),
        ["service.json:2:2: the key \"name\" is there twice"]
    );
    assert!(told(Format::Json, "{\"name\":")[0].starts_with("service.json:1:8: EOF"));
}

#[test]
fn a_service_is_checked_by_the_keys_that_it_has() {
    let found = told(
        Format::Json,
        "{ \"prefix\": \"/a\",\n \"limits\": { \"memory_mb\": 1 }, \"memory_limit_mb\": 2,\n \"halth\": {} }",
    );
    let starts = [
        "service.json:1:3: prefix: ",
        "service.json:1:1: port: a listener needs",
        "service.json:2:14: limits.memory_mb: 1 is not 2",
        "service.json:3:2: halth: unknown field",
    ];
    for start in starts {
        assert!(found.iter().any(|one| one.starts_with(start)), "{start}\n{found:#?}");
    }
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    let found = told(Format::Yaml, "name: a\nservice:\n  port: 0\n  health: { pth: / }\n");
    let starts = [
        "app.qyv:2:1: service.prefix: it is missing",
        "app.qyv:3:3: service.port: ",
        "app.qyv:4:13: service.health.pth: unknown",
    ];
    for start in starts {
        assert!(found.iter().any(|one| one.starts_with(start)), "{start}\n{found:#?}");
    }
    let (manifest, _) = read(
        Path::new("service.json"),
        Format::Json,
        r#"{"prefix":"p","port":"auto","limits":{"memory_mb":9}}"#,
        Some("box"),
    )
    .unwrap();
    assert_eq!(manifest.name, "box");
    let spec = service::spec(&manifest).unwrap().unwrap();
    assert_eq!(
        (spec.prefix.as_str(), spec.limits.memory_mb, spec.name.as_deref()),
        ("p", Some(9), Some("box"))
    );
}

//! Every guest in `services/` is there for a test.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::{Server, json, places};

/// The names of the guests as modules: the packages below `services/`.
fn guests(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        // A library is in the guests that use it.
        if entry.file_name() == "target" || !path.is_dir() || path.join("src/lib.rs").exists() {
            continue;
        }
        let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
        match manifest.lines().find_map(|line| line.strip_prefix("name = ")) {
            Some(name) => drop(found.insert(name.trim_matches('"').to_owned())),
            None => found.extend(guests(&path)),
        }
    }
    found
}

#[test]
fn every_guest_is_registered_by_its_name() {
    let server = Server::start();
    let list = server.call("module_list", json!({}));
    let modules = list["modules"].as_array().unwrap();
    let names: BTreeSet<String> =
        modules.iter().map(|module| module["name"].as_str().unwrap().to_owned()).collect();
    let guests = guests(&places::repository().join("services"));
    assert!(guests.len() >= 14, "{guests:?}");
    let missing: Vec<_> = guests.difference(&names).collect();
    assert!(missing.is_empty(), "{missing:?} of {names:?}");
    let components = |module: &&e2e::Value| module["kind"] == "component";
    let components: Vec<&str> =
        modules.iter().filter(components).map(|module| module["name"].as_str().unwrap()).collect();
    assert_eq!(components, ["http_hello", "launch_component", "scenario"]);
}

#[test]
fn every_guest_is_run_by_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut texts = String::new();
    for entry in std::fs::read_dir(tests).unwrap().flatten() {
        texts += &std::fs::read_to_string(entry.path()).unwrap_or_default();
    }
    for guest in guests(&places::repository().join("services")) {
        let as_module = format!("\"module\": \"{guest}\"");
        assert!(texts.contains(&as_module), "no test says {as_module}");
    }
}

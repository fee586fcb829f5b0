//! The house: which crate may use which, and who may hold unsafe code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use e2e::{Value, places};

/// The layers, from the ground up. A crate uses crates of lower layers only.
const LAYERS: [&[&str]; 5] = [
    &["api", "frames", "sys"],
    &["engine", "prefork", "client", "listen", "package"],
    &["engine_wasmedge", "engine_wasmtime", "gateway", "supervisor", "store"],
    &["worker", "services"],
    &["hero_runner_server", "hero_runner", "hero_runner_ui", "hero_runner_zygote", "e2e", "xtask"],
];

/// Arrows inside of a layer that are meant.
const SAME_LAYER: [(&str, &str); 2] = [
    // What a core module may import is the engine's to say.
    ("package", "engine"),
    // The supervisor keeps what the store stores.
    ("supervisor", "store"),
];

/// What a crate must not depend on, beyond what the layers say; `*` stands for what follows.
const FORBIDDEN: [(&str, &[&str]); 13] = [
    ("api", &["tokio", "frames"]),
    ("prefork", &["tokio"]),
    ("worker", &["tokio"]),
    ("frames", &["tokio"]),
    ("sys", &["tokio"]),
    ("engine", &["tokio"]),
    ("store", &["tokio", "frames"]),
    ("supervisor", &["engine*", "worker", "prefork", "wasmedge*"]),
    ("gateway", &["engine*", "prefork", "frames", "wasmedge*", "axum"]),
    ("engine_wasmedge", &["tokio", "hyper", "axum", "supervisor", "frames"]),
    ("engine_wasmtime", &["axum", "supervisor", "frames"]),
    ("package", &["tokio", "frames", "wasmtime*"]),
    ("hero_runner_server", &["engine*", "worker", "prefork", "wasmedge*"]),
];

/// Crates that know the public contract, the client, packages and how a program listens, and nothing else of ours.
const CLIENTS: [&str; 2] = ["hero_runner", "hero_runner_ui"];

/// The crates that may contain `unsafe`.
const UNSAFE: [&str; 3] = ["sys", "engine_wasmedge", "engine_wasmtime"];

/// The direct dependencies of every crate of the workspace, without those of its tests and its build script.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(places::repository())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let direct = |package: &Value| {
        let normal = list(&package["dependencies"]).into_iter().filter(|one| one["kind"].is_null());
        normal.map(|dependency| name(&dependency)).collect()
    };
    list(&metadata["packages"]).iter().map(|package| (name(package), direct(package))).collect()
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[test]
fn every_crate_has_its_place_in_the_table_and_every_place_its_crate() {
    let crates: BTreeSet<String> = dependencies().into_keys().collect();
    let placed: BTreeSet<String> = LAYERS.concat().iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(crates, placed);
}

#[test]
fn arrows_point_down_only() {
    let mut wrong = Vec::new();
    for (user, used) in dependencies() {
        for used in used.iter().filter(|used| layer(used).is_some()) {
            let meant = SAME_LAYER.contains(&(user.as_str(), used.as_str()));
            if layer(used) >= layer(&user) && !meant {
                wrong.push(format!("{user} -> {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these arrows do not point down: {wrong:?}");
}

#[test]
fn nobody_depends_on_what_has_to_stay_out() {
    let dependencies = dependencies();
    let mut wrong = Vec::new();
    for (user, patterns) in FORBIDDEN {
        for used in &dependencies[user] {
            let matches = |pattern: &&&str| match pattern.strip_suffix('*') {
                Some(beginning) => used.starts_with(beginning),
                None => used == *pattern,
            };
            if patterns.iter().any(|pattern| matches(&pattern)) {
                wrong.push(format!("{user} -> {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these must not be: {wrong:?}");
}

#[test]
fn clients_know_the_public_contract_and_nothing_else_of_ours() {
    let dependencies = dependencies();
    for client in CLIENTS {
        let ours: Vec<&String> = dependencies[client].iter().filter(|used| layer(used).is_some()).collect();
        let known = |name: &str| ["api", "client", "listen", "package"].contains(&name);
        assert!(ours.iter().all(|name| known(name)), "{client}: {ours:?}");
    }
}

#[test]
fn only_the_zygote_maps_an_engine() {
    let users: Vec<String> = dependencies()
        .into_iter()
        .filter(|(_, used)| used.contains("engine_wasmedge") || used.contains("engine_wasmtime"))
        .map(|(user, _)| user)
        .collect();
    assert_eq!(users, ["hero_runner_zygote"]);
}

fn sources(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn unsafe_code_has_two_homes() {
    let crates = places::repository().join("crates");
    let mut files = Vec::new();
    sources(&crates, &mut files);
    assert!(files.len() > 50);
    let mut homes = BTreeSet::new();
    for file in files {
        if file.starts_with(crates.join("xtask/rival")) {
            // A program to measure against, in a workspace of its own.
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let uses = code.clone().any(|line| {
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"]
                .iter()
                .any(|words| line.contains(words) && !line.contains(&format!("\"{words}")))
        });
        if uses {
            let home = file.strip_prefix(&crates).unwrap().iter().next().unwrap();
            homes.insert(home.to_string_lossy().into_owned());
        }
    }
    assert!(homes.iter().all(|home| UNSAFE.contains(&home.as_str())), "{homes:?}");
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let root = places::repository();
    let mut files = Vec::new();
    for dir in ["crates", "services"] {
        sources(&root.join(dir), &mut files);
    }
    let long: Vec<String> = files
        .iter()
        .map(|file| (file, std::fs::read_to_string(file).unwrap_or_default().lines().count()))
        .filter(|(_, lines)| *lines >= 400)
        .map(|(file, lines)| format!("{} {lines}", file.strip_prefix(&root).unwrap_or(file).display()))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

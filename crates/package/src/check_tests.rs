use super::*;

const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1) (func (export "_start")) (func (export "warm")))"#;

fn package(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("box").tempdir().unwrap();
    for (name, text) in files {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        match name.ends_with(".wasm") {
            true => std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap(),
            false => std::fs::write(&file, text).unwrap(),
        }
    }
    dir
}

fn told(dir: &tempfile::TempDir) -> Vec<String> {
    check(dir.path())
        .faults
        .iter()
        .map(|fault| fault.to_string().replace(dir.path().to_str().unwrap(), "DIR"))
        .collect()
}

#[test]
fn a_good_package_and_what_it_is_granted() {
    let manifest = "name: a\nentrypoint: bin/a.wasm\npermissions: { net: [example.org:443], fs: { read: [data] } }\nready: { export: warm }\n";
    let dir = package(&[("a.qyv", manifest), ("bin/a.wasm", PROGRAM), ("data/x", "")]);
    let checked = check(dir.path());
    assert!(checked.ok && checked.name.as_deref() == Some("a"), "{checked:#?}");
    assert_eq!(checked.notes, ["it may connect to example.org:443", "it may read data"]);
    let opened = crate::Package::open(&dir.path().join("a.qyv")).unwrap();
    assert!(opened.entrypoint.ends_with("bin/a.wasm") && opened.dirs.len() == 1);
}

#[test]
fn a_bare_module_is_a_package_without_any_right() {
    let dir = package(&[("app.wasm", PROGRAM)]);
    let app = dir.path().join("app");
    std::fs::create_dir(&app).unwrap();
    std::fs::rename(dir.path().join("app.wasm"), app.join("app.wasm")).unwrap();
    let checked = check(&app);
    assert!(checked.ok, "{checked:#?}");
    assert_eq!(checked.notes, ["app.wasm may need the permission fs (path_open), which is denied"]);
    let opened = crate::Package::open(&app).unwrap();
    assert!(
        opened.manifest.permissions.is_nothing() && opened.manifest.name == "app" && opened.file.is_none()
    );
}

#[test]
fn faults_of_the_manifest_and_of_both_modules_are_told_together() {
    let manifest = "nam: a\nentrypoint: a.wasm\nfallback: b.wasm\nready: { export: nothing }\n";
    let library = r#"(module (import "env" "f" (func)) (func (export "_initialize")))"#;
    let dir = package(&[("x.qyv", manifest), ("a.wasm", library)]);
    std::fs::write(dir.path().join("b.wasm"), b"\x7fELF....").unwrap();
    let found = told(&dir);
    let expected = [
        "DIR/x.qyv:1:1: name: it is missing",
        "DIR/x.qyv:1:1: nam: unknown field",
        "a.wasm: it imports what is not offered: env.f",
        "a.wasm: it exports `_initialize`",
        "a.wasm: it does not export its memory",
        "DIR/x.qyv:4:10: ready.export: a.wasm exports no \"nothing\"",
        "b.wasm: the file is native code (ELF",
    ];
    for start in expected {
        assert!(found.iter().any(|one| one.starts_with(start)), "{start}\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn paths_stay_in_the_package() {
    let dir = package(&[(
        "x.qyv",
        "name: a\nentrypoint: in.wasm\nfallback: none.wasm\npermissions: { fs: { read: [way] } }\n",
    )]);
    let outside = package(&[("out.wasm", PROGRAM)]);
    std::os::unix::fs::symlink(outside.path().join("out.wasm"), dir.path().join("in.wasm")).unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("way")).unwrap();
    let found = told(&dir);
    assert_eq!(
        found,
        [
            "DIR/x.qyv:2:1: entrypoint: \"in.wasm\" leaves the package by a link",
            "DIR/x.qyv:3:1: fallback: there is no file \"none.wasm\" in the package",
            "DIR/x.qyv:4:29: permissions.fs.read[0]: \"way\" leaves the package by a link",
        ]
    );
    assert_eq!(check(dir.path()).faults[1].code, ErrorCode::WasmNotFound);
}

#[test]
fn one_manifest_and_no_more() {
    let dir = package(&[("a.qyv", "name: a"), ("config/service.json", "{}"), ("app.wasm", PROGRAM)]);
    assert!(told(&dir)[0].contains("more than one manifest: a.qyv, config/service.json"));
    let empty = package(&[]);
    assert!(told(&empty)[0].contains("no package"));
    let service = package(&[
        ("config/service.json", r#"{"name":"x","prefix":"a","port":"auto"}"#),
        ("app.wasm", PROGRAM),
    ]);
    assert_eq!(told(&service), [""; 0]);
    let opened = crate::Package::open(&service.path().join("config/service.json")).unwrap();
    assert_eq!(opened.folder, service.path().canonicalize().unwrap());
}

#[test]
fn components_have_to_be_whole_and_to_offer_something() {
    let library = r#"(component (import "hero:x/y@1.0.0" (instance)))"#;
    let dir = package(&[("a.qyv", "name: a\nruntime: wasmedge"), ("app.wasm", library)]);
    let found = told(&dir);
    let starts = [
        "app.wasm: it imports what nobody offers: hero:x/y@1.0.0",
        "app.wasm: it exports no function",
        "DIR/a.qyv:2:1: runtime: app.wasm is a component",
    ];
    assert!(starts.iter().zip(&found).all(|(start, one)| one.starts_with(start)), "{found:#?}");
}

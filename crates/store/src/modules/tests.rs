//! Tests of the store of modules.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use api::module::ArtifactState;

use super::*;

const CORE: EngineKind = EngineKind::Wasmedge;

/// A valid program, another one for every number.
pub(super) fn program(number: u32) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 1) (func (export "_start") (drop (i32.const {number}))))"#
    ))
    .unwrap()
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn open_as(&self, tag: &str) -> Modules {
        let database = Database::open(self.dir.path()).unwrap();
        Modules::open(&database, Settings { anonymous_keep: 3, ..Settings::new(tag) }).unwrap()
    }

    fn open(&self) -> Modules {
        self.open_as("wasmedge-0.17.1-x86_64")
    }

    fn files(&self, folder: &str) -> HashSet<String> {
        let entries = fs::read_dir(self.dir.path().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn put(modules: &Modules, name: Option<&str>, bytes: &[u8]) -> Result<ModuleDetail> {
    let mut upload = modules.upload(name)?;
    for piece in bytes.chunks(7) {
        upload.write(piece)?;
    }
    upload.finish(None)
}

#[test]
fn an_upload_is_found_by_name_and_digest_and_survives() {
    let place = Place::new();
    let modules = place.open();
    let detail = put(&modules, Some("hello"), &program(1)).unwrap();
    assert_eq!(detail.info.name, "hello");
    assert_eq!(detail.exports.len(), 2);
    for modules in [modules, place.open()] {
        let by_name = modules.resolve("hello").unwrap();
        assert_eq!(fs::read(&by_name.path).unwrap(), program(1));
        assert_eq!(fs::metadata(&by_name.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(modules.resolve(&detail.info.digest).unwrap().path, by_name.path);
        assert_eq!(modules.resolve(&detail.info.digest[7..]).unwrap().path, by_name.path);
        assert_eq!(modules.list(), std::slice::from_ref(&detail.info));
        assert_eq!(modules.detail("hello").unwrap(), detail);
        assert!(modules.problems().is_empty());
        assert_eq!(modules.resolve("other").unwrap_err().code, ErrorCode::ModuleNotFound);
    }
}

#[test]
fn a_refused_upload_leaves_nothing() {
    let place = Place::new();
    let modules = place.open();
    assert_eq!(put(&modules, Some("x"), b"").unwrap_err().code, ErrorCode::ModuleInvalid);
    assert_eq!(put(&modules, Some("x"), &program(1)[..20]).unwrap_err().code, ErrorCode::ModuleInvalid);
    let mut upload = modules.upload(Some("x")).unwrap();
    upload.write(&program(1)).unwrap();
    assert_eq!(upload.finish(Some(&"0".repeat(64))).unwrap_err().code, ErrorCode::DigestMismatch);
    drop(modules.upload(Some("x")).unwrap());
    assert!(place.files("modules").is_empty());
    assert!(modules.list().is_empty());
}

#[test]
fn an_announced_digest_may_have_its_prefix_and_capitals() {
    let modules = Place::new();
    let modules = modules.open();
    let digest = put(&modules, Some("x"), &program(1)).unwrap().info.digest;
    for expected in [digest.clone(), digest[7..].to_owned(), digest[7..].to_uppercase()] {
        let mut upload = modules.upload(Some("x")).unwrap();
        upload.write(&program(1)).unwrap();
        upload.finish(Some(&expected)).unwrap();
    }
}

#[test]
fn an_upload_has_a_limit() {
    let place = Place::new();
    let database = Database::open(place.dir.path()).unwrap();
    let modules = Modules::open(&database, Settings { max_bytes: 100, ..Settings::new("t") }).unwrap();
    let mut upload = modules.upload(None).unwrap();
    upload.write(&[0; 100]).unwrap();
    assert_eq!(upload.write(&[0]).unwrap_err().code, ErrorCode::TooLarge);
}

#[test]
fn names_follow_the_rule() {
    let place = Place::new();
    let modules = place.open();
    for name in ["a", "0", "a.b-c_d9", &"a".repeat(63), &"x".repeat(64)] {
        assert!(modules.upload(Some(name)).is_ok(), "{name}");
    }
    for name in ["", "A", ".a", "-a", "_a", "a/b", "a b", "ä", "a\n", &"x".repeat(65), &"a".repeat(64)] {
        assert_eq!(modules.upload(Some(name)).unwrap_err().code, ErrorCode::NameInvalid, "{name}");
    }
}

#[test]
fn content_goes_with_its_last_name() {
    let place = Place::new();
    let modules = place.open();
    let digest = put(&modules, Some("a"), &program(1)).unwrap().info.digest;
    put(&modules, Some("b"), &program(1)).unwrap();
    assert_eq!(modules.remove(&digest, |_| false).unwrap_err().code, ErrorCode::InvalidState);
    modules.remove("a", |_| true).unwrap();
    assert_eq!(place.files("modules").len(), 1);
    assert_eq!(modules.remove("b", |used| used == digest).unwrap_err().code, ErrorCode::ModuleInUse);
    modules.remove("b", |_| false).unwrap();
    assert!(place.files("modules").is_empty());
    assert_eq!(modules.remove("b", |_| false).unwrap_err().code, ErrorCode::ModuleNotFound);
    assert!(place.open().list().is_empty());
}

#[test]
fn a_replaced_content_goes_once_nobody_holds_it() {
    let place = Place::new();
    let modules = place.open();
    put(&modules, Some("a"), &program(1)).unwrap();
    let held = modules.resolve("a").unwrap();
    put(&modules, Some("a"), &program(2)).unwrap();
    assert!(held.path.exists());
    assert_ne!(modules.resolve("a").unwrap().digest, held.digest);
    let path = held.path.clone();
    drop(held);
    put(&modules, Some("b"), &program(3)).unwrap();
    assert!(!path.exists());
    assert_eq!(place.files("modules").len(), 2);
}

#[test]
fn only_the_last_used_anonymous_contents_stay() {
    let place = Place::new();
    let modules = place.open();
    let digests: Vec<_> = (0..3).map(|n| put(&modules, None, &program(n)).unwrap().info.digest).collect();
    std::thread::sleep(std::time::Duration::from_millis(5));
    drop(modules.resolve(&digests[0]).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(5));
    put(&modules, None, &program(9)).unwrap();
    assert_eq!(modules.anonymous().len(), 3);
    assert!(modules.resolve(&digests[0]).is_ok(), "it was used last");
    assert!(modules.list().is_empty());
    assert_eq!(place.files("modules").len(), 3);
    modules.remove(&digests[0], |_| false).unwrap();
    assert_eq!(place.open().anonymous().len(), 2);
}

#[test]
fn leftovers_of_a_crash_are_removed_and_a_lost_file_is_reported() {
    let place = Place::new();
    let lost = {
        let modules = place.open();
        put(&modules, Some("kept"), &program(1)).unwrap();
        put(&modules, Some("lost"), &program(2)).unwrap();
        modules.resolve("lost").unwrap().path
    };
    fs::remove_file(&lost).unwrap();
    let folder = place.dir.path().join("modules");
    fs::write(folder.join(".upload-1-1"), "half").unwrap();
    fs::write(folder.join(format!("{}.wasm", "a".repeat(64))), "unknown").unwrap();
    fs::write(folder.join("README"), "not ours").unwrap();
    let modules = place.open();
    assert_eq!(place.files("modules").len(), 2, "{:?}", place.files("modules"));
    assert_eq!(modules.problems().len(), 1);
    assert!(modules.problems()[0].contains("\"lost\""));
    assert!(modules.resolve("kept").is_ok());
    let error = modules.resolve("lost").unwrap_err();
    assert!(error.code == ErrorCode::ModuleNotFound && error.message.contains("gone"), "{error}");
    put(&modules, Some("lost"), &program(2)).unwrap();
    assert!(modules.resolve("lost").is_ok());
}

#[test]
fn artifacts_belong_to_content_and_engine() {
    let place = Place::new();
    let modules = place.open();
    let digest = put(&modules, Some("a"), &program(1)).unwrap().info.digest;
    assert_eq!(modules.resolve("a").unwrap().artifact(CORE), None);
    modules.set_artifact(&digest, CORE, ArtifactState::Compiling).unwrap();
    assert_eq!(modules.list()[0].artifact, ArtifactState::Compiling);
    assert_eq!(place.open().list()[0].artifact, ArtifactState::Interpreted, "a crash ends compiling");

    let temporary = modules.artifact_temp_path(&digest).unwrap();
    fs::write(&temporary, b"").unwrap();
    assert!(modules.commit_artifact(&digest, CORE, &temporary, 5).is_err());
    assert!(place.files("artifacts").is_empty());
    fs::write(&temporary, b"code").unwrap();
    let compiled = modules.commit_artifact(&digest, CORE, &temporary, 5).unwrap();
    assert_eq!(compiled, ArtifactState::Compiled { size: 4, compile_ms: 5 });
    let path = modules.resolve("a").unwrap().artifact(CORE).unwrap().clone();
    assert_eq!(*path, *modules.artifact_path(&digest, CORE).unwrap());
    assert_eq!(place.open().list()[0].artifact, compiled);

    fs::write(&*path, b"cut").unwrap();
    assert_eq!(place.open().list()[0].artifact, ArtifactState::Interpreted, "another size than noted");
    assert!(!path.exists());

    modules.set_artifact(&digest, CORE, ArtifactState::Failed { why: "é".repeat(2000) }).unwrap();
    let ArtifactState::Failed { why } = place.open().list()[0].artifact.clone() else { panic!("not failed") };
    assert!(why.len() <= 2000 && why.starts_with('é'));
    assert_eq!(place.open_as("other engine").list()[0].artifact, ArtifactState::Interpreted);
}

#[test]
fn a_module_may_have_an_artifact_for_each_engine() {
    let place = Place::new();
    let modules = place.open();
    let digest = put(&modules, Some("a"), &program(1)).unwrap().info.digest;
    for (engine, code) in [(CORE, "one"), (EngineKind::Wasmtime, "other")] {
        let temporary = modules.artifact_temp_path(&digest).unwrap();
        fs::write(&temporary, code).unwrap();
        modules.commit_artifact(&digest, engine, &temporary, 1).unwrap();
    }
    for modules in [modules, place.open()] {
        let found = modules.resolve("a").unwrap();
        assert_eq!(fs::read_to_string(found.artifact(CORE).unwrap()).unwrap(), "one");
        assert_eq!(fs::read_to_string(found.artifact(EngineKind::Wasmtime).unwrap()).unwrap(), "other");
        assert_eq!(found.engine(), CORE);
    }
    assert_eq!(place.files("artifacts").len(), 2);
    place.open().remove("a", |_| false).unwrap();
    assert!(place.files("artifacts").is_empty());
}

#[test]
fn a_component_is_kept_with_what_it_lacks() {
    let place = Place::new();
    let text = r#"(component (import "test:store/keys@1.0.0" (instance (export "get" (func))))
        (type $t (enum "a")) (export "kind" (type $t)))"#;
    let detail = put(&place.open(), Some("part"), &wat::parse_str(text).unwrap()).unwrap();
    assert_eq!((detail.info.kind, detail.missing.len()), (ModuleKind::Component, 1));
    let found = place.open().resolve("part").unwrap();
    assert_eq!(found.engine(), EngineKind::Wasmtime);
    assert!(found.complete("part").unwrap_err().message.contains("test:store/keys@1.0.0"));
}

#[test]
fn artifacts_of_another_engine_and_unfinished_ones_are_removed() {
    let place = Place::new();
    let modules = place.open();
    let digest = put(&modules, Some("a"), &program(1)).unwrap().info.digest;
    let temporary = modules.artifact_temp_path(&digest).unwrap();
    fs::write(&temporary, b"code").unwrap();
    modules.commit_artifact(&digest, CORE, &temporary, 5).unwrap();
    fs::write(modules.artifact_temp_path(&digest).unwrap(), b"half").unwrap();
    drop(place.open());
    assert_eq!(place.files("artifacts").len(), 1);
    drop(place.open_as("wasmedge 0.18/skylake"));
    assert!(place.files("artifacts").is_empty());
}

#[test]
fn tags_become_file_names_and_stay_distinct() {
    let tags = ["a/b", "a_b", "a b", "", "../../x", "wasmedge-0.17.1", &"x".repeat(200), &"x".repeat(201)];
    let names: HashSet<_> = tags.iter().map(|tag| artifact::file_tag(tag)).collect();
    assert_eq!(names.len(), tags.len());
    assert!(names.iter().all(|name| !name.contains('/') && name.len() < 100 && !name.is_empty()));
}

#[test]
fn after_the_loss_of_the_registry_contents_are_found_again() {
    let place = Place::new();
    let digest = put(&place.open(), Some("a"), &program(1)).unwrap().info.digest;
    fs::write(place.dir.path().join("hero_runner.db"), [7; 9000]).unwrap();
    fs::write(place.dir.path().join(format!("modules/{}.wasm", "b".repeat(64))), "damaged").unwrap();
    let modules = place.open();
    assert!(modules.resolve(&digest).is_ok());
    assert_eq!(modules.anonymous().len(), 1);
    assert_eq!(modules.problems().len(), 2, "{:?}", modules.problems());
}

#[test]
fn a_folder_is_registered_and_read_again_only_where_it_changed() {
    let place = Place::new();
    let guests = tempfile::tempdir().unwrap();
    let at = |name: &str| guests.path().join(name);
    fs::write(at("one.wasm"), program(1)).unwrap();
    fs::write(at("two.wasm"), program(2)).unwrap();
    fs::write(at("Bad Name.wasm"), program(3)).unwrap();
    fs::write(at("broken.wasm"), "no").unwrap();
    fs::write(at("notes.txt"), "no").unwrap();
    fs::create_dir(at("dir.wasm")).unwrap();
    let modules = place.open();
    let found = modules.register_dir(guests.path()).unwrap();
    let outcomes: Vec<_> =
        found.iter().map(|f| f.outcome.as_ref().map(|r| r.changed).map_err(|e| e.code)).collect();
    assert_eq!(
        outcomes,
        [
            Err(ErrorCode::NameInvalid),
            Err(ErrorCode::ModuleInvalid),
            Err(ErrorCode::PathNotAllowed),
            Ok(true),
            Ok(true)
        ]
    );
    // Files as fresh as these are read again; older ones are recognised by their looks.
    let digest = modules.resolve("one").unwrap().digest;
    assert!(!modules.put_path("one", &at("one.wasm")).unwrap().changed);
    fs::write(at("one.wasm"), program(7)).unwrap();
    let again = modules.put_path("one", &at("one.wasm")).unwrap();
    assert!(again.changed && again.info.digest != *digest);
    assert_eq!(modules.put_path("x", &at("none.wasm")).unwrap_err().code, ErrorCode::PathNotAllowed);
    assert!(modules.register_dir(&at("nowhere")).is_err());
}

#[test]
fn a_file_that_looks_the_same_is_not_read() {
    let place = Place::new();
    let guests = tempfile::tempdir().unwrap();
    let path = guests.path().join("one.wasm");
    fs::write(&path, program(1)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let digest = place.open().put_path("one", &path).unwrap().info.digest;
    let modules = place.open();
    // Root reads anything, so a planted row shows that the file was not looked into.
    let other = put(&modules, Some("other"), &program(5)).unwrap().info.digest;
    modules.registry().execute("UPDATE sources SET digest = ?1", [&other]).unwrap();
    assert_eq!(modules.put_path("one", &path).unwrap().info.digest, other);
    fs::write(&path, program(1)).unwrap();
    assert_eq!(modules.put_path("one", &path).unwrap().info.digest, digest);
}

#[test]
fn a_full_registry_refuses_the_upload_and_keeps_the_store_whole() {
    let place = Place::new();
    let modules = place.open();
    put(&modules, Some("a"), &program(1)).unwrap();
    modules.registry().pragma_update(None, "query_only", true).unwrap();
    assert!(put(&modules, Some("b"), &program(2)).is_err());
    modules.registry().pragma_update(None, "query_only", false).unwrap();
    assert_eq!(place.files("modules").len(), 1);
    assert_eq!(modules.list().len(), 1);
    put(&modules, Some("b"), &program(2)).unwrap();
}

#[test]
fn many_threads_agree() {
    let place = Place::new();
    let modules = place.open();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let modules = modules.clone();
            scope.spawn(move || {
                for round in 0..20 {
                    put(&modules, Some("shared"), &program(round % 3)).unwrap();
                    let _ = modules.resolve("shared");
                    if thread == 0 {
                        let _ = modules.remove("shared", |_| false);
                    }
                }
            });
        }
    });
    put(&modules, Some("shared"), &program(0)).unwrap();
    assert_eq!(place.files("modules").len(), 1);
    assert!(modules.resolve("shared").unwrap().path.exists());
}

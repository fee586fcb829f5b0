//! Sessions that name a module by its path.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use e2e::{Folder, Server, Setup, json, places};

struct Place {
    server: Server,
    allowed: PathBuf,
    elsewhere: PathBuf,
}

fn place() -> Place {
    let folder = Folder::new();
    let [allowed, elsewhere] = ["allowed", "elsewhere"].map(|name| folder.path().join(name));
    for dir in [&allowed, &elsewhere] {
        fs::create_dir(dir).expect("the folder is new");
        fs::copy(places::guest("hello"), dir.join("program.wasm")).expect("the guest is built");
    }
    let server = Setup::new().set("module_dirs", allowed.display()).start_in(folder);
    Place { server, allowed, elsewhere }
}

#[test]
fn a_path_in_an_allowed_folder_runs() {
    let place = place();
    let path = place.allowed.join("program.wasm");
    let id = place.server.session(json!({ "module": path }));
    assert_eq!(place.server.wait(&id)["stdout"], "hello, world\n");
    let info = place.server.info(&id);
    assert_eq!(info["module"], path.to_str().unwrap());
    let hello = place.server.call("module_get", json!({ "name": "hello" }));
    assert_eq!(info["digest"], hello["digest"], "its content is known");
    fs::create_dir(place.allowed.join("sub")).unwrap();
    fs::copy(&path, place.allowed.join("sub/other.wasm")).unwrap();
    let deeper = place.server.run(json!({ "module": place.allowed.join("sub/other.wasm") }));
    assert_eq!(deeper["success"], true);
}

#[test]
fn a_file_that_changed_is_read_again() {
    let place = place();
    let path = place.allowed.join("program.wasm");
    let run = || place.server.run(json!({ "module": path }));
    assert_eq!(run()["exit_code"], 0);
    fs::copy(places::guest("faulty_exit7"), &path).unwrap();
    assert_eq!(run()["exit_code"], 7);
    fs::write(&path, "no longer a module").unwrap();
    assert_eq!(place.server.refusal_name("session_start", json!({ "module": path })), "module_invalid");
    fs::remove_file(&path).unwrap();
    assert_eq!(place.server.refusal_name("session_start", json!({ "module": path })), "path_not_allowed");
}

#[test]
fn every_other_path_is_refused() {
    let place = place();
    symlink(place.elsewhere.join("program.wasm"), place.allowed.join("link.wasm")).unwrap();
    symlink(&place.elsewhere, place.allowed.join("folder")).unwrap();
    let allowed = place.allowed.display();
    for path in [
        place.elsewhere.join("program.wasm").display().to_string(),
        format!("{allowed}/../elsewhere/program.wasm"),
        format!("{allowed}/link.wasm"),
        format!("{allowed}/folder/program.wasm"),
        format!("{allowed}/none.wasm"),
        format!("{allowed}"),
        format!("{allowed}/"),
        "./program.wasm".to_owned(),
        "allowed/program.wasm".to_owned(),
        "/".to_owned(),
        "/etc/passwd".to_owned(),
        "/dev/zero".to_owned(),
        "/\u{0}".to_owned(),
    ] {
        let refusal = place.server.refusal_name("session_start", json!({ "module": path }));
        assert_eq!(refusal, "path_not_allowed", "{path}");
    }
}

#[test]
fn without_allowed_folders_no_path_runs() {
    let server = Server::start();
    let path = places::guest("hello");
    assert_eq!(server.refusal_name("session_start", json!({ "module": path })), "path_not_allowed");
}

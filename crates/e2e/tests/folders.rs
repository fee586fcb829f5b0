//! Folders that a guest may use, and what lies outside of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use e2e::{Server, Value, json};

/// A server, and beside its own folders: `inside`, which guests are given, and `outside`, which they are not.
struct Place {
    server: Server,
    inside: PathBuf,
    outside: PathBuf,
}

const SECRET: &str = "nobody but the host changes this\n";

impl Place {
    fn new() -> Self {
        let server = Server::start();
        let [inside, outside] = ["inside", "outside"].map(|name| server.dir().join(name));
        for folder in [&inside, &outside] {
            fs::create_dir(folder).expect("the folder is new");
        }
        fs::write(outside.join("secret"), SECRET).expect("the file is new");
        fs::write(inside.join("note"), "a note\n").expect("the file is new");
        let place = Self { server, inside, outside };
        // Otherwise what is refused below might be refused for want of a folder.
        assert_eq!(place.files("read", &["read", "/data/note"])["stdout"], "a note\n");
        place
    }

    fn files(&self, mode: &str, args: &[&str]) -> Value {
        let dirs = json!([{ "host": self.inside, "guest": "/data", "mode": mode }]);
        self.server.run(json!({ "module": "files", "args": args, "dirs": dirs }))
    }

    /// The guest is refused and the outside is as it was.
    fn refused(&self, mode: &str, args: &[&str]) {
        let result = self.files(mode, args);
        assert_eq!(result["exit_code"], 1, "{args:?} in {mode}: {result:#}");
        assert_eq!(result["stdout"], "", "{args:?}");
        assert_eq!(fs::read_to_string(self.outside.join("secret")).expect("it is there"), SECRET, "{args:?}");
        let names: Vec<_> = fs::read_dir(&self.outside).expect("it is there").collect();
        assert_eq!(names.len(), 1, "{args:?} left something outside");
    }
}

#[test]
fn a_folder_can_be_read_and_listed() {
    let place = Place::new();
    fs::create_dir(place.inside.join("sub")).unwrap();
    assert_eq!(place.files("read", &["read", "/data/note"])["stdout"], "a note\n");
    assert_eq!(place.files("read", &["list", "/data"])["stdout"], "note\nsub/\n");
    assert_eq!(place.files("read", &["stat", "/data/note"])["stdout"], "file 7\n");
}

#[test]
fn a_folder_to_write_takes_files_folders_and_links() {
    let place = Place::new();
    for args in [
        &["write", "/data/new", "text"][..],
        &["append", "/data/new", " and more"],
        &["mkdir", "/data/folder"],
        &["rename", "/data/new", "/data/folder/moved"],
        &["symlink", "moved", "/data/folder/link"],
        &["remove", "/data/note"],
    ] {
        let result = place.files("read-write", args);
        assert_eq!(result["exit_code"], 0, "{args:?}: {result:#}");
    }
    assert_eq!(fs::read_to_string(place.inside.join("folder/moved")).unwrap(), "text and more");
    assert_eq!(place.files("read", &["read", "/data/folder/link"])["stdout"], "text and more");
    assert!(!place.inside.join("note").exists());
}

#[test]
fn a_folder_to_read_cannot_be_changed() {
    let place = Place::new();
    fs::create_dir(place.inside.join("empty")).unwrap();
    for args in [
        &["write", "/data/note", "x"][..],
        &["write", "/data/new", "x"],
        &["append", "/data/note", "x"],
        &["mkdir", "/data/folder"],
        &["rename", "/data/note", "/data/moved"],
        &["symlink", "note", "/data/link"],
        &["remove", "/data/note"],
        &["remove", "/data/empty"],
    ] {
        place.refused("read", args);
    }
    assert_eq!(fs::read_to_string(place.inside.join("note")).unwrap(), "a note\n");
    let mut names: Vec<_> =
        fs::read_dir(&place.inside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["empty", "note"]);
}

#[test]
fn paths_that_lead_out_of_the_folder_are_refused() {
    let place = Place::new();
    let secret = place.outside.join("secret");
    let absolute = secret.to_str().unwrap();
    fs::create_dir(place.inside.join("sub")).unwrap();
    for path in [
        "/data/../outside/secret",
        "/data/sub/../../outside/secret",
        "/data/./../outside/secret",
        "/data//..//outside//secret",
        "/data/note/../../outside/secret",
        "../outside/secret",
        "/data/../../../../../../../../etc/passwd",
        "/etc/passwd",
        "/proc/self/environ",
        absolute,
    ] {
        for mode in ["read", "read-write"] {
            place.refused(mode, &["read", path]);
        }
        place.refused("read-write", &["write", path, "x"]);
        place.refused("read-write", &["append", path, "x"]);
        place.refused("read-write", &["remove", path]);
        place.refused("read-write", &["rename", "/data/note", path]);
    }
    for path in ["/data/../outside/new", "/data/..", "/data/../outside"] {
        place.refused("read-write", &["write", path, "x"]);
        place.refused("read-write", &["mkdir", path]);
    }
    place.refused("read-write", &["list", "/data/.."]);
    place.refused("read-write", &["rename", "/data/../outside/secret", "/data/stolen"]);
}

#[test]
fn links_that_lead_out_of_the_folder_are_refused() {
    let place = Place::new();
    let secret = place.outside.join("secret");
    symlink(&secret, place.inside.join("absolute")).unwrap();
    symlink("../outside/secret", place.inside.join("relative")).unwrap();
    symlink("../outside", place.inside.join("folder")).unwrap();
    symlink("relative", place.inside.join("twice")).unwrap();
    symlink("../outside/new", place.inside.join("dangling")).unwrap();
    symlink("loop", place.inside.join("loop")).unwrap();
    for path in ["absolute", "relative", "folder/secret", "twice", "loop"] {
        let path = format!("/data/{path}");
        place.refused("read", &["read", &path]);
        place.refused("read-write", &["read", &path]);
        place.refused("read-write", &["write", &path, "x"]);
        place.refused("read-write", &["append", &path, "x"]);
    }
    place.refused("read-write", &["write", "/data/dangling", "x"]);
    place.refused("read-write", &["write", "/data/folder/new", "x"]);
    place.refused("read-write", &["mkdir", "/data/folder/new"]);
    place.refused("read-write", &["remove", "/data/folder/secret"]);
    place.refused("read-write", &["rename", "/data/folder/secret", "/data/stolen"]);
    place.refused("read-write", &["rename", "/data/note", "/data/folder/note"]);
    place.refused("read", &["list", "/data/folder"]);
}

#[test]
fn a_link_that_a_guest_makes_leads_it_nowhere_outside() {
    let place = Place::new();
    for (target, link) in [("../outside/secret", "a"), ("/etc/passwd", "b"), ("..", "c")] {
        let path = format!("/data/{link}");
        let made = place.files("read-write", &["symlink", target, &path])["exit_code"] == 0;
        // Making it may be allowed or not; following it is not.
        assert_eq!(made, fs::symlink_metadata(place.inside.join(link)).is_ok());
        if made {
            place.refused("read-write", &["read", &path]);
            place.refused("read-write", &["write", &path, "x"]);
        }
    }
    place.refused("read-write", &["read", "/data/c/outside/secret"]);
    place.refused("read-write", &["list", "/data/c"]);
}

#[test]
fn a_guest_without_folders_sees_no_file() {
    let place = Place::new();
    for path in ["/etc/passwd", "/", ".", "note"] {
        let result = place.server.run(json!({ "module": "files", "args": ["stat", path] }));
        assert_eq!(result["exit_code"], 1, "{path}: {result:#}");
    }
}

#[test]
fn two_folders_keep_their_own_modes() {
    let place = Place::new();
    let dirs = json!([
        { "host": place.inside, "guest": "/in" },
        { "host": place.outside, "guest": "/out", "mode": "read-write" },
    ]);
    let run = |args: &[&str]| place.server.run(json!({ "module": "files", "args": args, "dirs": dirs }));
    assert_eq!(run(&["write", "/in/new", "x"])["exit_code"], 1, "reading is the default");
    assert_eq!(run(&["write", "/out/new", "x"])["exit_code"], 0);
    assert_eq!(run(&["rename", "/out/new", "/in/new"])["exit_code"], 1);
    assert_eq!(run(&["rename", "/in/note", "/out/note"])["exit_code"], 1);
    assert!(place.inside.join("note").exists() && place.outside.join("new").exists());
}

#[test]
fn without_a_guest_name_the_folder_has_the_hosts() {
    let place = Place::new();
    let note = place.inside.join("note");
    let result = place.server.run(json!({
        "module": "files", "args": ["read", note], "dirs": [{ "host": place.inside }],
    }));
    assert_eq!(result["stdout"], "a note\n", "{result:#}");
}

#[test]
fn relative_paths_start_from_the_working_folder() {
    let place = Place::new();
    fs::create_dir(place.inside.join("sub")).unwrap();
    fs::write(place.inside.join("sub/file"), "in sub\n").unwrap();
    let dirs = json!([{ "host": place.inside, "guest": "/data" }]);
    let run = |module: &str, args: &[&str], working: &str| {
        let request = json!({ "module": module, "args": args, "dirs": dirs, "working_dir": working });
        place.server.run(request)
    };
    assert_eq!(run("files", &["read", "note"], "/data")["stdout"], "a note\n");
    assert_eq!(run("files", &["read", "file"], "/data/sub")["stdout"], "in sub\n");
    assert_eq!(run("files", &["read", "/data/note"], "/data/sub")["stdout"], "a note\n");
    assert_eq!(run("files", &["write", "file", "x"], "/data/sub")["exit_code"], 1, "the mode stays");
    let environ = run("environ", &[], "/data/sub");
    assert!(environ["stdout"].as_str().unwrap().contains("PWD=/data/sub\n"), "{environ:#}");
}

#[test]
fn a_working_folder_outside_of_the_folders_is_refused() {
    let place = Place::new();
    symlink("../outside", place.inside.join("link")).unwrap();
    let dirs = json!([{ "host": place.inside, "guest": "/data" }]);
    for working in ["/", "/dat", "/data/..", "/data/../outside", "/data/link", "/data/none", "/data/note", ""]
    {
        let request = json!({ "module": "hello", "dirs": dirs, "working_dir": working });
        assert_eq!(place.server.refusal_name("session_start", request), "path_not_allowed", "{working}");
    }
}

#[test]
fn a_folder_that_is_none_is_refused() {
    let place = Place::new();
    let note = place.inside.join("note");
    for host in ["/no/such/folder", "relative", "", note.to_str().unwrap()] {
        let request = json!({ "module": "hello", "dirs": [{ "host": host, "guest": "/data" }] });
        assert_eq!(place.server.refusal_name("session_start", request), "path_not_allowed", "{host}");
    }
    let twice = json!([{ "host": place.inside, "guest": "/d" }, { "host": place.outside, "guest": "/d" }]);
    let request = json!({ "module": "hello", "dirs": twice });
    assert_eq!(place.server.refusal_name("session_start", request), "invalid_params");
}

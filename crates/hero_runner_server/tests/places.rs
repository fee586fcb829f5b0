//! The lock and the socket's place.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::Permissions;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Barrier;

use hero_runner_server::lock::{Error, Lock};
use hero_runner_server::settings::{Settings, Sources};
use hero_runner_server::socket;

fn settings(state: &Path, sockets: &Path) -> Settings {
    let env = [("HERO_SOCKET_DIR", sockets), ("HERO_RUNNER_STATE_DIR", state)];
    let env =
        env.into_iter().map(|(name, path)| (name.to_owned(), path.to_str().unwrap().to_owned())).collect();
    Sources { env, ..Sources::default() }.resolve().unwrap().settings
}

#[test]
fn the_second_server_is_told_who_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let first = Lock::take(&settings(&path("state"), &path("sockets"))).unwrap();
    // Either folder is enough to stop the second one.
    for (state, sockets) in [("state", "sockets"), ("state", "other"), ("other", "sockets")] {
        let error = Lock::take(&settings(&path(state), &path(sockets))).unwrap_err();
        assert!(matches!(error, Error::Held { .. }), "{error}");
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    }
    drop(first);
    // Neither a file that is left over nor the failed attempts hold anything.
    drop(Lock::take(&settings(&path("state"), &path("sockets"))).unwrap());
    drop(Lock::take(&settings(&path("other"), &path("sockets"))).unwrap());
    // One folder for both is possible.
    let mut same = settings(&path("one"), &path("one"));
    same.socket = path("one").join("rpc.sock");
    let lock = Lock::take(&same).unwrap();
    assert!(Lock::take(&same).is_err());
    drop(lock);
}

#[test]
fn of_many_that_start_together_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir.path().join("state"), &dir.path().join("sockets"));
    for _ in 0..100 {
        let barrier = Barrier::new(4);
        let locks: Vec<Result<Lock, Error>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        Lock::take(&settings)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(locks.iter().filter(|lock| lock.is_ok()).count(), 1);
        for error in locks.iter().filter_map(|lock| lock.as_ref().err()) {
            assert!(error.to_string().contains("pid "), "{error}");
        }
    }
}

#[test]
fn the_socket_is_private_and_replaces_a_stale_one() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir.path().join("state"), &dir.path().join("sockets"));
    let path = &settings.socket;
    let lock = Lock::take(&settings).unwrap();
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    let first = socket::listen(None, path, &lock).unwrap();
    assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700));
    UnixStream::connect(path).unwrap();
    let names = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    assert_eq!(names(path.parent().unwrap()), 2, "the socket and the lock, nothing else");
    // As after kill -9: the file is there, nobody listens.
    std::mem::forget(first.file);
    drop(first.listener);
    assert!(UnixStream::connect(path).is_err() && path.exists());
    let second = socket::listen(None, path, &lock).unwrap();
    UnixStream::connect(path).unwrap();
    // A socket that somebody else has put there stays.
    std::fs::remove_file(path).unwrap();
    let _other = UnixListener::bind(path).unwrap();
    drop(second);
    assert!(std::fs::symlink_metadata(path).unwrap().file_type().is_socket());
    let third = socket::listen(None, path, &lock).unwrap();
    drop(third);
    assert!(!path.exists());
}

#[test]
fn a_place_that_others_reach_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lock = Lock::take(&settings(&dir.path().join("state"), &dir.path().join("sockets"))).unwrap();
    let try_in =
        |folder: &Path| socket::listen(None, &folder.join("rpc.sock"), &lock).unwrap_err().to_string();

    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("link");
    symlink(&real, &link).unwrap();
    assert!(try_in(&link).contains("symbolic link"), "{}", try_in(&link));
    for mode in [0o777, 0o1777, 0o770, 0o702] {
        std::fs::set_permissions(&real, Permissions::from_mode(mode)).unwrap();
        assert!(try_in(&real).contains("others can write"), "{mode:o}: {}", try_in(&real));
    }
    std::fs::set_permissions(&real, Permissions::from_mode(0o700)).unwrap();
    // Only root can make a folder that is someone else's.
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&real, Some(65_534), None).unwrap();
        assert!(try_in(&real).contains("belongs to user 65534"), "{}", try_in(&real));
        std::os::unix::fs::chown(&real, Some(0), None).unwrap();
    }
    std::fs::write(real.join("rpc.sock"), "not a socket").unwrap();
    assert!(try_in(&real).contains("not a socket"));
    std::fs::remove_file(real.join("rpc.sock")).unwrap();
    symlink("/nowhere", real.join("rpc.sock")).unwrap();
    assert!(try_in(&real).contains("not a socket"));
    assert!(try_in(&real.join("x".repeat(100))).contains("107"));
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(try_in(&file).contains("cannot make the folder"), "{}", try_in(&file));
}

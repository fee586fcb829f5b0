//! What a worker has and what it has not: descriptors, signals, privileges, neighbours.

use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::canary::Canary;
use e2e::{Server, Setup, census, eventually, json, signal_to};
use nix::sys::signal::Signal;

/// Numbers and kinds of a process's descriptors.
fn descriptors(pid: u32) -> Vec<(u32, String)> {
    let kind = |target: PathBuf| {
        let target = target.to_string_lossy().into_owned();
        target.split_once(":[").map_or(target.clone(), |(kind, _)| kind.to_owned())
    };
    census::open_files(pid).into_iter().map(|(fd, target)| (fd, kind(target))).collect()
}

fn pipes_and_sockets(pid: u32) -> HashSet<PathBuf> {
    let named =
        |target: &PathBuf| target.to_string_lossy().contains(":[") && !target.starts_with("anon_inode:");
    census::open_files(pid).into_iter().map(|(_, target)| target).filter(named).collect()
}

fn has(list: &[(u32, &str)]) -> Vec<(u32, String)> {
    list.iter().map(|(fd, kind)| (*fd, (*kind).to_owned())).collect()
}

const PARKED: [(u32, &str); 5] = [(0, "pipe"), (1, "pipe"), (2, "pipe"), (3, "socket"), (4, "pipe")];

#[test]
fn a_worker_has_the_listed_descriptors_and_no_other() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let parked = server.parked();
    for pid in &parked {
        assert_eq!(descriptors(*pid), has(&PARKED));
    }
    let granted = tempfile::tempdir().expect("a folder");
    let id = server.session(json!({
        "module": "faulty_spin",
        "dirs": [{ "host": granted.path(), "guest": "/granted", "mode": "read-write" }],
    }));
    server.until_line(&id, "spinning");
    let running = server.worker(&id);
    let all = census::open_files(running);
    let allowed = |target: &PathBuf| {
        let path = target.to_string_lossy();
        target.starts_with(granted.path()) || path.contains(".wasm") || target.starts_with(server.state_dir())
    };
    // The control socket stays for what the worker says of itself; a guest has no number for it.
    let own: Vec<_> = descriptors(running).into_iter().filter(|(_, kind)| !kind.starts_with('/')).collect();
    assert_eq!(own, has(&PARKED), "{all:?}");
    let files: Vec<_> = all.into_iter().filter(|(_, target)| target.is_absolute()).collect();
    assert!(files.iter().all(|(_, target)| allowed(target)), "{files:?}");
    assert!(files.iter().any(|(_, target)| target == granted.path()), "{files:?}");

    // No two processes share a pipe, so a session's end is seen by its own reader and at once.
    let mut seen = HashSet::new();
    for pid in server.parked().into_iter().chain([running, server.worker(&canary.id)]) {
        for target in pipes_and_sockets(pid) {
            assert!(seen.insert(target.clone()), "{} is in two workers", target.display());
        }
    }
    let _ = server.call("session_stop", json!({ "session_id": id }));
    canary.is_undisturbed();
}

#[test]
fn the_zygote_has_one_thread_and_nothing_of_the_servers() {
    let server = Server::start();
    let canary = Canary::start(&server);
    let zygote = server.zygote_pid();
    assert_eq!(census::threads(zygote).len(), 1);
    let shared: Vec<_> =
        pipes_and_sockets(zygote).intersection(&pipes_and_sockets(server.pid())).cloned().collect();
    assert!(shared.is_empty(), "{shared:?}");
    for (fd, target) in census::open_files(zygote) {
        let expected = match fd {
            0 => target.to_string_lossy().starts_with("socket:"),
            1 => target == Path::new("/dev/null"),
            2 => target == server.dir().join("server.log"),
            _ => target.to_string_lossy().starts_with("anon_inode:[signalfd]"),
        };
        assert!(expected, "{fd} leads to {}", target.display());
    }
    for pid in server.parked().into_iter().chain([server.worker(&canary.id)]) {
        assert_eq!(census::threads(pid).len(), 1, "{}", census::title(pid));
    }
}

#[test]
fn a_worker_cannot_gain_privileges_and_dies_of_what_it_should() {
    let server = Server::start();
    let canary = Canary::start(&server);
    let ignorable = [Signal::SIGPIPE, Signal::SIGXFSZ].map(|signal| 1_u64 << (signal as i32 - 1));
    for pid in server.parked().into_iter().chain([server.worker(&canary.id)]) {
        assert_eq!(census::status(pid, "NoNewPrivs").as_deref(), Some("1"));
        let mask = |field: &str| {
            let text = census::status(pid, field).expect("a field of proc(5)");
            // The C library keeps two of the real-time signals to itself, and leaves them as they were.
            u64::from_str_radix(&text, 16).expect("a mask of signals") & 0x7fff_ffff
        };
        assert_eq!(mask("SigIgn"), ignorable.iter().sum::<u64>(), "SIGPIPE and SIGXFSZ, which become errnos");
        assert_eq!(mask("SigBlk"), 0);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("proc(5)").1.split(' ').collect();
        // Field 5, the process group: a signal to the server's group is none of its business.
        assert_eq!(fields[2], pid.to_string());
    }
}

#[test]
fn sessions_of_one_moment_have_processes_of_their_own() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> =
            (0..8).map(|_| scope.spawn(|| server.session(json!({ "module": "canary" })))).collect();
        starts.into_iter().map(|start| start.join().expect("it starts")).collect()
    });
    // From its first line on, a session has its worker for good.
    ids.iter().for_each(|id| server.until_line(id, "c 1"));
    let pids: HashSet<u32> = ids.iter().map(|id| server.worker(id)).collect();
    assert_eq!(pids.len(), 8);
    assert!(!pids.contains(&server.worker(&canary.id)));
    for (id, pid) in ids.iter().map(|id| (id, server.worker(id))) {
        assert_eq!(census::title(pid), format!("hero_runner: {id}"));
        signal_to(pid, Signal::SIGKILL);
        assert_eq!(server.wait(id)["outcome"], json!({ "kind": "killed", "signal": 9 }));
    }
    canary.is_undisturbed();
}

#[test]
fn another_user_cannot_reach_the_socket() {
    let server = Server::start();
    let socket = server.socket();
    let dir = socket.parent().expect("a socket lies in a folder");
    let mode = |path| std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(dir), mode(&socket)), (0o700, 0o600));
    let own = std::fs::symlink_metadata(&socket).expect("it is there").uid();
    if own != 0 {
        println!("only root can become another user: skipped");
        return;
    }
    // Even where all folders above are open: root's own folder of the test is opened for the moment.
    std::fs::set_permissions(server.dir(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let test = |flag: &str| Command::new("test").args([flag]).arg(&socket).uid(65_534).gid(65_534).status();
    for flag in ["-e", "-w"] {
        assert!(!test(flag).expect("test(1) is there").success(), "{flag}");
    }
}

#[test]
fn a_compile_process_has_nothing_of_the_servers_and_dies_with_it() {
    let mut server = Setup::new().compiling().start();
    let _ = server.session(json!({ "module": "canary" }));
    // Its limits are the last thing that it sets before it compiles.
    let compiles = |process: &census::Process| {
        census::title(process.pid).contains("--compile")
            && census::status(process.pid, "NoNewPrivs").as_deref() == Some("1")
    };
    let compile =
        eventually("a compile process", || census::children(server.pid()).into_iter().find(compiles));
    // It holds still while it is looked at, and does not end before the server does.
    signal_to(compile.pid, Signal::SIGSTOP);
    let shared: Vec<_> =
        pipes_and_sockets(compile.pid).intersection(&pipes_and_sockets(server.pid())).cloned().collect();
    let stderr = std::fs::read_link(format!("/proc/{}/fd/2", compile.pid)).expect("it has a stderr");
    assert_eq!(shared, [stderr], "the pipe on which it says why it fails, and nothing else");
    let foreign = |target: &PathBuf| {
        let path = target.to_string_lossy();
        path.contains("hero_runner.db") || path.ends_with("/lock") || path.contains("eventpoll")
    };
    let all = census::open_files(compile.pid);
    assert!(!all.iter().any(|(_, target)| foreign(target)), "{all:?}");

    server.kill();
    assert!(!compile.still_runs());
    let left = e2e::canary::files(&server.state_dir());
    server.start_again();
    // What the killed process has left is cleared away, and the module is compiled again when it is used again.
    let now = e2e::canary::files(&server.state_dir());
    let odd: Vec<_> =
        now.iter().filter(|name| name.contains("artifacts/") && !name.ends_with(".so")).collect();
    assert!(odd.is_empty(), "{odd:?} of {left:?}");
}

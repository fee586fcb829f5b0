//! What a session costs in things that can be counted, whatever else the machine does. A bound here may be lowered when
//! something got better; raising one is a decision to make sessions slower.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use e2e::{Server, Setup, census, eventually, json};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Page faults of a worker from its fork to its end, most of them before its session comes.
const FAULTS: u64 = 62;
/// Page faults of a process that runs a module for which there is no template.
const FAULTS_PARKED: u64 = 120;
/// Mappings of the zygote.
const MAPPINGS: usize = 58;
/// Memory of the zygote that each fork copies page tables for, in KiB: private and not in huge pages.
const ANONYMOUS_KB: u64 = 960;
/// System calls of a worker from the moment when its session comes; four of them confine it (Landlock).
const WORKER_CALLS: u32 = 24;
/// System calls of the server's main thread for a session, from its connection to its answer; the next worker's fork is asked
/// for later.
const SERVER_CALLS: u32 = 40;

fn is_release() -> bool {
    !e2e::places::program("hero_runner_server").to_string_lossy().contains("/debug/")
}

/// A server whose sessions of `greet` start from a template.
fn warm() -> Server {
    let server = Setup::new().compiling().set("spare_max", 2).start();
    let _ = server.run(json!({ "module": "greet" }));
    server.until_compiled("greet");
    eventually("a session starts warm", || {
        let id = server.session(json!({ "module": "greet" }));
        let _ = server.wait(&id);
        (server.info(&id)["start"] == "warm").then_some(())
    });
    server
}

/// A line of a process's `smaps_rollup`, in KiB.
fn memory_kb(pid: u32, name: &str) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|kb| kb.parse().ok()).expect("the kernel tells it")
}

/// The least of several sessions: a fault more can come from outside.
fn least(mut count: impl FnMut() -> u64) -> u64 {
    (0..10).map(|_| count()).min().unwrap_or_default()
}

#[test]
fn page_faults_of_a_session() {
    let server = warm();
    let faults = |server: &Server, start: &str| {
        least(|| {
            let id = server.session(json!({ "module": "greet" }));
            let _ = server.wait(&id);
            let info = server.info(&id);
            assert_eq!(info["start"], start);
            info["minor_faults"].as_u64().unwrap()
        })
    };
    let warm = faults(&server, "warm");
    let alone = Setup::new().compiling().set("templates_max", 0).start();
    let _ = alone.run(json!({ "module": "greet" }));
    alone.until_compiled("greet");
    let parked = faults(&alone, "parked");
    println!("page faults: {warm} warm (at most {FAULTS}), {parked} parked (at most {FAULTS_PARKED})");
    if is_release() && memory_kb(server.zygote_pid(), "AnonHugePages:") > 0 {
        assert!(warm <= FAULTS && parked <= FAULTS_PARKED, "{warm} {parked}");
    }
}

#[test]
fn what_a_fork_of_the_zygote_copies() {
    let server = Server::start();
    let pid = server.zygote_pid();
    let mappings = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines().count();
    let (anonymous, huge) = (memory_kb(pid, "Anonymous:"), memory_kb(pid, "AnonHugePages:"));
    println!("{mappings} mappings (at most {MAPPINGS}), {anonymous} kB anonymous, {huge} kB of it huge");
    assert!(mappings <= MAPPINGS, "{mappings}");
    // A machine without a free huge page is no fault of ours.
    if huge > 0 && is_release() {
        assert!(anonymous - huge <= ANONYMOUS_KB, "{anonymous} {huge}");
    }
}

/// Counts the system calls of a thread until it ends or `enough` is set.
fn count_calls(pid: u32, enough: &AtomicBool, seized: &AtomicBool) -> u32 {
    let pid = Pid::from_raw(pid as i32);
    ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD).expect("a child of ours can be traced");
    ptrace::interrupt(pid).expect("it stops");
    let mut stops = 0_u32;
    loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {
                if enough.load(Relaxed) {
                    break;
                }
                std::thread::yield_now();
                continue;
            }
            Ok(WaitStatus::PtraceSyscall(_)) => stops += 1,
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => return stops.div_ceil(2),
            Ok(_) => {}
        }
        let _ = ptrace::syscall(pid, None::<Signal>);
        seized.store(true, Relaxed);
    }
    // To be let go it has to stand still.
    let _ = ptrace::interrupt(pid);
    let _ = waitpid(pid, Some(WaitPidFlag::__WALL));
    let _ = ptrace::detach(pid, None);
    stops.div_ceil(2)
}

#[test]
fn system_calls_of_a_session() {
    let server = warm();
    // The worker that waits longest is the next.
    let template =
        server.tree().into_iter().find(|process| census::title(process.pid).contains("template greet"));
    let template = template.expect("there is a template").pid;
    let next = eventually("two workers wait", || {
        let mut workers = census::children(template);
        workers.sort_by_key(|process| process.pid);
        (workers.len() == 2).then(|| workers[0].pid)
    });
    let count = |pid: u32, session: &dyn Fn()| {
        let (enough, seized) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let tracer = scope.spawn(|| count_calls(pid, &enough, &seized));
            eventually("it is traced", || seized.load(Relaxed).then_some(()));
            session();
            enough.store(true, Relaxed);
            tracer.join().expect("the tracer ends")
        })
    };
    let session = || {
        let reply = server.call("session_start", json!({ "module": "greet", "wait_ms": 10_000 }));
        assert_eq!(reply["result"]["stdout"], "hello, world\n");
    };
    let worker = count(next, &session);
    let thread = server.pid();
    // The least of several: the end of the one before, or the next worker's fork, may fall into one of them.
    let one = (0..9).map(|_| count(thread, &session)).min().unwrap_or_default();
    println!(
        "system calls: {worker} of the worker (at most {WORKER_CALLS}), {one} of the server (at most {SERVER_CALLS})"
    );
    assert!((5..=WORKER_CALLS).contains(&worker), "{worker}");
    assert!((20..=SERVER_CALLS).contains(&one), "{one}");
}

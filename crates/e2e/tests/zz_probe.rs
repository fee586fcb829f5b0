//! Probe.
use e2e::{Setup, census, eventually, json, signal_to};
use nix::sys::signal::Signal;

#[test]
fn a_stopped_compile_process_dies_with_its_server() {
    let mut server = Setup::new().compiling().start();
    let _ = server.session(json!({ "module": "echo" }));
    let pid = eventually("a module is being compiled", || {
        server.tree().into_iter().find(|p| census::title(p.pid).contains("--compile")).map(|p| p.pid)
    });
    signal_to(pid, Signal::SIGSTOP);
    eventually("stopped", || (census::process(pid)?.state == 'T').then_some(()));
    eprintln!("{}", census::title(pid));
    server.kill();
}

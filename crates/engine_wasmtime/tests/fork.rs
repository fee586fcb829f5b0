//! What holds for a process that is forked: it has one thread, and its forks share no randomness. A program of its own
//! without a test harness, because forking needs a process with one thread.

mod support;

use std::io::{Read, Write};
use std::time::Instant;

use engine::{Code, Ending, Engine, Run};
use engine_wasmtime::Wasmtime;
use support::{Artifact, Streams};
use sys::fork::{Fork, exit_now, fork_single_threaded};

/// Prints sixteen random bytes.
const DRAWS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $random (i32.const 64) (i32.const 16)))
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 16))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A program that does nothing.
const PROGRAM: &str = r#"(component
  (core module $m (memory (export "memory") 1) (func (export "run") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $cli)))"#;

fn prepared(artifact: &Artifact) -> Wasmtime {
    let mut engine = Wasmtime::default();
    engine.warm().expect("the engine works");
    let run = Run { max_pages: 16, ..Run::default() };
    let code = Code { path: &artifact.path(), compiled: true };
    engine.prepare(code, &run, &mut Streams::default()).expect("it is prepared");
    assert_eq!(sys::fork::threads().expect("/proc"), 1, "nothing of it has left a thread");
    engine
}

/// Runs what is prepared in a fork; what it printed, and whether it succeeded with one thread.
fn forked(engine: &mut Wasmtime, rehearse: bool) -> Vec<u8> {
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    match fork_single_threaded().expect("one thread") {
        Fork::Child => {
            if rehearse {
                engine.rehearse();
            }
            let mut streams = Streams::default();
            let run = Run { max_pages: 16, ..Run::default() };
            let ending = engine.run_prepared(&run, &mut streams);
            let alone = sys::fork::threads().is_ok_and(|threads| threads == 1);
            let written = writer.write_all(&streams.stdout).is_ok();
            exit_now(i32::from(ending != Some(Ending::Exited(0)) || !alone || !written));
        }
        Fork::Parent { pid, .. } => {
            drop(writer);
            let mut printed = Vec::new();
            reader.read_to_end(&mut printed).expect("the pipe is read");
            let reaped = sys::rusage::wait(pid.as_raw()).expect("it ended").expect("it is a child");
            assert_eq!(reaped.exited, Some(0), "{reaped:?}");
            printed
        }
    }
}

fn forks_draw_other_random_bytes() {
    let artifact = Artifact::of(DRAWS);
    let mut engine = prepared(&artifact);
    let mut drawn: Vec<Vec<u8>> = (0..6).map(|index| forked(&mut engine, index % 2 == 0)).collect();
    assert!(drawn.iter().all(|bytes| bytes.len() == 16));
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 6, "no two are the same");
}

fn a_component_runs_in_a_fork() {
    let artifact = Artifact::of(PROGRAM);
    let mut engine = prepared(&artifact);
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(forked(&mut engine, false), b"");
    }
    println!("fork, run and end of a prepared component: {:?}", begin.elapsed() / 20);
}

fn main() {
    let tests: [(&str, fn()); 2] = [
        ("forks_draw_other_random_bytes", forks_draw_other_random_bytes),
        ("a_component_runs_in_a_fork", a_component_runs_in_a_fork),
    ];
    // The protocol that cargo-nextest speaks with a test binary: it lists, then runs one by exact name.
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            tests.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return;
    }
    let wanted = arguments.iter().skip(1).find(|argument| !argument.starts_with('-'));
    let mut passed = 0;
    for (name, test) in tests {
        if wanted.is_none_or(|wanted| wanted == name) {
            test();
            passed += 1;
        }
    }
    println!("test result: ok. {passed} passed; 0 failed");
}

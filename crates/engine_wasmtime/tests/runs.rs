//! Programs: their streams, their limits and their ends.

mod support;

use std::time::Duration;

use engine::{Code, Dir, Ending, Engine, Entry, Run};
use engine_wasmtime::Wasmtime;
use support::{Artifact, Streams, why};

/// A core module whose `_start` does this.
fn core(body: &str) -> Artifact {
    Artifact::of(&format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "out\nerr\nname")
  (func $print (param $fd i32) (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "get_ready") (call $print (i32.const 1) (i32.const 100) (i32.const 4)))
  (func $deep (param i32) (result i32)
    (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "_start") {body}))"#
    ))
}

/// A component with a function `go` that does this, and what it imports.
fn component(imports: &str, body: &str) -> Artifact {
    Artifact::of(&component_text(imports, body))
}

fn component_text(imports: &str, body: &str) -> String {
    format!(
        r#"(component {imports}
  (core module $m (memory (export "memory") 1) (func (export "go") (result i32) {body}))
  (core instance $i (instantiate $m))
  (func (export "go") (result u32) (canon lift (core func $i "go"))))"#
    )
}

fn plain() -> Run<'static> {
    Run { max_pages: 16, ..Run::default() }
}

fn go() -> Run<'static> {
    Run { entry: Entry::Invoke { function: "go", args: "" }, ..plain() }
}

#[test]
fn each_write_of_a_core_module_arrives_as_one_in_order() {
    let module = core(
        "(call $print (i32.const 1) (i32.const 100) (i32.const 4))
         (call $print (i32.const 2) (i32.const 104) (i32.const 4))
         (call $exit (i32.const 7))",
    );
    let mut streams = Streams::default();
    assert_eq!(module.run(&plain(), &mut streams), Ending::Exited(7));
    assert_eq!((&streams.stdout[..], &streams.stderr[..], streams.writes), (&b"out\n"[..], &b"err\n"[..], 2));
}

#[test]
fn standard_input_is_waited_for_and_read() {
    use std::io::Write;
    let module = core(
        "(i32.store (i32.const 0) (i32.const 200)) (i32.store (i32.const 4) (i32.const 100))
         (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
         (call $print (i32.const 1) (i32.const 200) (i32.load (i32.const 8)))",
    );
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"told").unwrap();
    let reader = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
    let mut streams = Streams { stdin: Some(reader), ..Streams::default() };
    assert_eq!(module.run(&plain(), &mut streams), Ending::Exited(0));
    assert_eq!(streams.stdout, b"told");
}

#[test]
fn a_core_module_gets_ready_first() {
    let module = core("(call $print (i32.const 2) (i32.const 104) (i32.const 4))");
    let mut streams = Streams::default();
    let run = Run { ready_export: Some("get_ready"), ..plain() };
    assert_eq!(module.run(&run, &mut streams), Ending::Exited(0));
    assert!(streams.ready && streams.stdout == b"out\n" && streams.stderr == b"err\n");
    let run = Run { ready_export: Some("nothing"), ..plain() };
    assert!(why(module.run(&run, &mut streams)).contains("exports no function \"nothing\""));
}

#[test]
fn a_folder_that_is_read_only_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // path_open with O_CREAT in the first preopened folder, and the right to write.
    let module = core(
        "(call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 108) (i32.const 4)
           (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))",
    );
    let host = folder.path().to_str().unwrap();
    let dirs = |read_only| [Dir { host, guest: "/data", read_only }];
    let refused = module.run(&Run { dirs: &dirs(true), ..plain() }, &mut Streams::default());
    assert!(matches!(refused, Ending::Exited(1..)), "{refused:?}");
    assert!(!folder.path().join("name").exists());
    let allowed = module.run(&Run { dirs: &dirs(false), ..plain() }, &mut Streams::default());
    assert_eq!(allowed, Ending::Exited(0));
    assert!(folder.path().join("name").exists());
    let none = module.run(&plain(), &mut Streams::default());
    assert!(matches!(none, Ending::Exited(1..)), "{none:?}");
}

#[test]
fn a_guest_that_computes_for_ever_ends_at_its_deadline() {
    let run = Run { deadline: Some(Duration::from_millis(50)), ..plain() };
    let ended = core("(loop (br 0))").run(&run, &mut Streams::default());
    assert!(matches!(ended, Ending::Trapped { trap: "interrupted", .. }), "{ended:?}");
    let run = Run { deadline: Some(Duration::from_millis(50)), ..go() };
    let ended = component("", "(loop (br 0)) (i32.const 0)").run(&run, &mut Streams::default());
    assert!(matches!(ended, Ending::Trapped { trap: "interrupted", .. }), "{ended:?}");
}

#[test]
fn a_guest_that_waits_for_ever_ends_at_its_deadline() {
    let module = core(
        "(i32.store (i32.const 0) (i32.const 200)) (i32.store (i32.const 4) (i32.const 100))
         (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))",
    );
    let (reader, _writer) = std::io::pipe().unwrap();
    let reader = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
    let mut streams = Streams { stdin: Some(reader), ..Streams::default() };
    let ended = module.run(&Run { deadline: Some(Duration::from_millis(50)), ..plain() }, &mut streams);
    assert!(matches!(ended, Ending::Trapped { trap: "interrupted", .. }), "{ended:?}");
}

#[test]
fn a_guest_that_recurses_for_ever_runs_out_of_stack() {
    let ended = core("(drop (call $deep (i32.const 0)))").run(&plain(), &mut Streams::default());
    let Ending::Trapped { trap: "stack_overflow", message } = ended else { panic!("{ended:?}") };
    assert!(message.contains("call stack exhausted"), "{message}");
}

#[test]
fn traps_have_the_names_of_all_engines() {
    let trap = |body: &str| match core(body).run(&plain(), &mut Streams::default()) {
        Ending::Trapped { trap, .. } => trap,
        other => panic!("{other:?}"),
    };
    assert_eq!(trap("unreachable"), "unreachable");
    assert_eq!(trap("(drop (i32.div_u (i32.const 1) (i32.const 0)))"), "integer_divide_by_zero");
    assert_eq!(trap("(drop (i32.load (i32.const 0x7fffffff)))"), "memory_out_of_bounds");
}

#[test]
fn memory_grows_to_its_limit_and_no_further() {
    let grow = |pages: u32| {
        let body = format!("(memory.grow (i32.const {pages}))");
        component("", &body).run(&go(), &mut Streams::default())
    };
    assert_eq!(grow(15), Ending::Returned { ok: true, value: "1".to_owned() });
    assert_eq!(grow(16), Ending::Returned { ok: true, value: u32::MAX.to_string() });
    // 4 GiB.
    assert_eq!(grow(65535), Ending::Returned { ok: true, value: u32::MAX.to_string() });
    let module = Artifact::of("(module (memory 65536) (func (export \"_start\")))");
    let refused = why(module.run(&plain(), &mut Streams::default()));
    assert!(refused.contains("memory"), "{refused}");
}

#[test]
fn what_nobody_offers_is_named() {
    let import = r#"(import "hero:scenario/executor@0.1.0" (instance (export "run" (func))))"#;
    let refused = why(component(import, "(i32.const 0)").run(&go(), &mut Streams::default()));
    assert_eq!(refused, "it imports instance \"hero:scenario/executor@0.1.0\", which nothing here offers");
    let module = Artifact::of("(module (import \"env\" \"host_call\" (func)) (func (export \"_start\")))");
    let refused = why(module.run(&plain(), &mut Streams::default()));
    assert_eq!(refused, "it imports \"env::host_call\", which nothing here offers");
}

#[test]
fn only_what_was_compiled_here_is_run() {
    let text = component_text("", "(i32.const 0)");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module");
    std::fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    let mut streams = Streams::default();
    let raw = Wasmtime::default().run(Code { path: &path, compiled: false }, &go(), &mut streams);
    assert!(why(raw).contains("only what was compiled before"));
    let not = Wasmtime::default().run(Code { path: &path, compiled: true }, &go(), &mut streams);
    assert!(why(not).starts_with("the artifact is none of this engine's"));
    assert!(Artifact::try_of("(module (func (export \"_start\")))").is_ok());
    let error = Wasmtime::default().compile(std::path::Path::new("/nowhere"), &path);
    assert!(error.is_err_and(|error| error.0.contains("cannot read the module")));
}

#[test]
fn a_core_module_has_no_typed_functions_and_no_requests() {
    let module = core("");
    assert!(why(module.run(&go(), &mut Streams::default())).contains("it is a core module"));
    let entry = Entry::Serve { max_requests: 1, timeout: Duration::from_secs(1) };
    assert!(
        why(module.run(&Run { entry, ..plain() }, &mut Streams::default())).contains("it is a core module")
    );
}

use super::*;

fn of(text: &str) -> Inspection {
    inspect(&wat::parse_str(text).unwrap()).unwrap_or_else(|refused| panic!("{refused}"))
}

#[test]
fn a_core_module_is_told_in_full() {
    let found = of(r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sock_open_v2" (func (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (memory (export "memory") 2 16) (table 3 funcref) (data (i32.const 0) "hello")
            (func (export "_start")) (func $first) (start $first)
            (@custom "note" "abc"))"#);
    assert_eq!(
        (found.kind, found.wasi.as_str(), found.worlds.as_slice()),
        (Kind::Module, "preview1", &["command".to_owned()][..])
    );
    assert_eq!(found.imports[0].full(), "wasi_snapshot_preview1.fd_write");
    assert_eq!(found.imports[0].ty, "func (i32, i32, i32, i32) -> (i32)");
    assert_eq!(found.export("memory"), Some("memory 2 16"));
    assert_eq!(
        (found.memories[0], found.tables[0]),
        (Limits { min: 2, max: Some(16) }, Limits { min: 3, max: None })
    );
    assert_eq!((found.start, found.functions), (Some(4), 2));
    assert!(found.code_bytes > 0 && found.data_bytes > 5);
    assert!(found.custom_sections.contains(&Section { name: "note".to_owned(), bytes: 3 }));
    let needs: Vec<_> =
        found.permissions.iter().map(|need| (need.permission.as_str(), need.imports.join(","))).collect();
    assert_eq!(needs, [("fs", "path_open".to_owned()), ("net", "sock_open_v2".to_owned())]);
}

#[test]
fn an_old_or_foreign_wasi_is_told() {
    let import = |module: &str| of(&format!(r#"(module (import "{module}" "f" (func)))"#));
    assert_eq!(import("wasi_unstable").wasi, "unstable");
    let foreign = import("env");
    assert_eq!((foreign.wasi.as_str(), foreign.worlds.as_slice()), ("none", &["library".to_owned()][..]));
}

#[test]
fn a_component_is_told_in_wit() {
    let found = of(r#"(component
            (import "wasi:sockets/network@0.2.6" (instance (export "network" (type (sub resource)))))
            (core module $m (memory (export "memory") 1) (func (export "add") (param i32 i32) (result i32) local.get 0)
                (func (export "run") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $add (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@0.2.6" (instance $cli)))"#);
    assert_eq!((found.kind, found.wasi.as_str(), found.modules), (Kind::Component, "0.2.6", 1));
    assert_eq!(found.worlds, ["wasi:cli/command"]);
    assert_eq!(found.export("add"), Some("func(a: u32, b: u32) -> u32"));
    assert_eq!(found.export("wasi:cli/run@0.2.6#run"), Some("func() -> result"));
    assert_eq!(found.permissions[0].permission, "net");
    let wit = found.wit.unwrap();
    assert!(
        wit.contains("export add: func(a: u32, b: u32) -> u32;")
            && wit.contains("import wasi:sockets/network@0.2.6"),
        "{wit}"
    );
}

#[test]
fn what_is_no_module_is_told_with_its_offset() {
    let mut broken = wat::parse_str("(module (func (export \"f\") (result i32) i32.const 1))").unwrap();
    let last = broken.len() - 3;
    broken[last] = 0xff;
    let cases: [(&[u8], &str); 7] = [
        (b"", "empty"),
        (b"garbage!", "offset 0x0"),
        (b"\0asm\x07\0\0\0", "offset 0x4"),
        (b"\0asm", "ends inside its header (at offset 0x4)"),
        (b"\x7fELF\x02\x01", "native code (ELF"),
        (b"(module)", "text format"),
        (&broken, "(at offset 0x"),
    ];
    for (bytes, part) in cases {
        let refused = inspect(bytes).unwrap_err();
        assert!(refused.reason.contains(part), "{refused}");
    }
    let carried = wat::parse_str(r#"(module (@custom "wasmedge" "code"))"#).unwrap();
    assert_eq!(inspect(&carried).unwrap_err().code, api::ErrorCode::ModuleUnsupported);
}

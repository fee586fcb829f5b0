//! Tests of what is accepted and refused.

use super::*;

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1 4)
    (global (export "g") (mut i32) (i32.const 0))
    (func (export "_start") (nop)))"#;

fn refused(text: &str) -> Error {
    check(&wat::parse_str(text).unwrap()).unwrap_err()
}

#[test]
fn a_program_is_accepted_with_its_interface() {
    let facts = check(&wat::parse_str(HELLO).unwrap()).unwrap();
    assert_eq!(facts.kind, ModuleKind::Core);
    assert_eq!(facts.imports[0].ty, "func (i32, i32, i32, i32) -> (i32)");
    let exports: Vec<_> = facts.exports.iter().map(|e| (e.name.as_str(), e.ty.as_str())).collect();
    assert_eq!(exports, [("memory", "memory 1 4"), ("g", "global (mut i32)"), ("_start", "func () -> ()")]);
}

#[test]
fn all_missing_imports_are_named() {
    let error = refused(
        r#"(module (import "env" "one" (func)) (import "env" "memory" (memory 1))
            (import "wasi_snapshot_preview1" "fd_nothing" (func)))"#,
    );
    assert_eq!(error.code, ErrorCode::ModuleImportMissing);
    for name in ["env.one", "env.memory", "wasi_snapshot_preview1.fd_nothing"] {
        assert!(error.message.contains(name), "{error}");
    }
}

#[test]
fn an_import_of_another_type_is_shown_with_both() {
    let error = refused(r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64))))"#);
    assert_eq!(error.code, ErrorCode::ModuleImportMissing);
    assert!(
        error.message.contains("func (i64) -> ()") && error.message.contains("func (i32) -> (i32)"),
        "{error}"
    );
    let error = refused(r#"(module (import "wasi_snapshot_preview1" "fd_close" (global i32)))"#);
    assert!(error.message.contains("global i32"), "{error}");
}

#[test]
fn names_in_messages_are_short_and_harmless() {
    let error = refused(&format!(r#"(module (import "a\0a\1b[31m" "{}" (func)))"#, "x".repeat(5000)));
    assert!(error.message.len() < 400 && !error.message.contains(['\n', '\u{1b}']), "{error}");
}

#[test]
fn a_file_without_start_or_memory_is_refused_by_name() {
    let cases = [
        (r#"(module (memory (export "memory") 1))"#, "does not export `_start`"),
        (r#"(module (func (export "_initialize")) (memory (export "memory") 1))"#, "reactor"),
        (r#"(module (func (export "_start") (param i32)) (memory (export "memory") 1))"#, "func (i32) -> ()"),
        (r#"(module (func (export "_start")))"#, "as `memory`"),
        (r#"(module (func (export "_start")) (func (export "memory")))"#, "has to be a memory"),
    ];
    for (text, expected) in cases {
        let error = refused(text);
        assert_eq!(error.code, ErrorCode::ModuleInvalid);
        assert!(error.message.contains(expected), "{error}");
    }
}

#[test]
fn code_compiled_elsewhere_is_refused() {
    let mut module = wat::parse_str(HELLO).unwrap();
    module.extend_from_slice(b"\0\x0c\x08wasmedgeabc");
    let natives: [&[u8]; 4] = [&module, b"\x7fELF\x02\x01\x01", b"MZ\x90", b"\xcf\xfa\xed\xfe"];
    for bytes in natives {
        let error = check(bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModuleUnsupported);
        assert!(error.message.contains("compiled elsewhere"), "{error}");
    }
}

#[test]
fn broken_files_are_refused_with_the_place() {
    let module = wat::parse_str(HELLO).unwrap();
    for bytes in
        [&b""[..], b"\0as", b"\0asm\x01", b"hello world", b"\0asm\x63\0\0\0", &module[..module.len() - 1]]
    {
        let error = check(bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModuleInvalid);
        assert!(bytes.is_empty() || error.message.contains("offset"), "{error}");
    }
    // Cut between two sections it is a valid module again, but one without a body for its function.
    for end in 8..module.len() {
        assert!(check(&module[..end]).is_err(), "cut at {end}");
    }
    assert!(check(HELLO.as_bytes()).unwrap_err().message.contains("text format"));
}

#[test]
fn an_interface_has_a_limit() {
    let exports = |n: usize| (0..n).map(|i| format!(r#"(export "e{i}" (func 0))"#)).collect::<String>();
    let text =
        |n| format!(r#"(module (memory (export "memory") 1) (func (export "_start")) {})"#, exports(n));
    assert!(check(&wat::parse_str(text(5000)).unwrap()).is_ok());
    assert_eq!(refused(&text(10_000)).code, ErrorCode::TooLarge);
}

#[test]
fn threads_are_refused_and_newer_instructions_are_not() {
    let body = |memory: &str, code: &str| {
        format!(r#"(module (memory (export "memory") {memory}) (func (export "_start") {code}))"#)
    };
    assert!(refused(&body("1 1 shared", "")).message.contains("threads"));
    for code in [
        "(drop (i32x4.splat (i32.const 1)))",
        "(return_call 0)",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
    ] {
        check(&wat::parse_str(body("1", code)).unwrap()).unwrap();
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    /// Whatever is flipped, the answer is a verdict and not a panic.
    #[test]
    fn flipped_bits_never_panic(flips in proptest::collection::vec((0usize..200, 0u8..8), 1..4)) {
        let mut module = wat::parse_str(HELLO).unwrap();
        for (place, bit) in flips {
            let length = module.len();
            module[place % length] ^= 1 << bit;
        }
        let _ = check(&module);
    }

    #[test]
    fn garbage_never_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), wasm: bool) {
        if wasm {
            bytes.splice(..0, *b"\0asm\x01\0\0\0");
        }
        let _ = check(&bytes);
    }
}

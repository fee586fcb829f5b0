//! Calls of exported functions, with arguments and values as JSON.

mod support;

use engine::{Ending, Entry, Run};
use serde_json::{Value, json};
use support::{Artifact, Streams, why};

/// Functions of all sorts. What `echo` takes is so large that it is passed in memory, in the form in which it is returned.
const COMPONENT: &str = r#"(component
  (core module $m
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (global.set $next (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
      (local.set $at (global.get $next))
      (global.set $next (i32.add (global.get $next) (local.get 3)))
      (local.get $at))
    (func (export "echo") (param i32) (result i32) (local.get 0))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "half") (param i32) (result i32)
      (i32.store8 (i32.const 16) (i32.and (local.get 0) (i32.const 1)))
      (if (i32.and (local.get 0) (i32.const 1))
        (then (i32.store (i32.const 20) (i32.const 32)) (i32.store (i32.const 24) (i32.const 3)))
        (else (i32.store (i32.const 20) (i32.div_u (local.get 0) (i32.const 2)))))
      (i32.const 16))
    (data (i32.const 32) "odd")
    (func (export "long") (param i32) (result i32)
      (drop (memory.grow (i32.const 40)))
      (i32.store (i32.const 16) (i32.const 4096))
      (i32.store (i32.const 20) (local.get 0))
      (i32.const 16))
    (func (export "nothing")))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (type $colour' (enum "red" "dark-green")) (export $colour "colour" (type $colour'))
  (type $rights' (flags "read" "write")) (export $rights "rights" (type $rights'))
  (type $shape' (variant (case "circle" f64) (case "empty"))) (export $shape "shape" (type $shape'))
  (type $all' (record
    (field "yes" bool) (field "a-s8" s8) (field "a-u8" u8) (field "a-s16" s16) (field "a-u16" u16)
    (field "a-s32" s32) (field "a-u32" u32) (field "a-s64" s64) (field "a-u64" u64)
    (field "a-f32" f32) (field "a-f64" f64) (field "a-char" char) (field "text" string)
    (field "bytes" (list u8)) (field "pair" (tuple u32 string)) (field "maybe" (option u32))
    (field "nested" (option (option u8))) (field "outcome" (result u32 (error string)))
    (field "shape" $shape) (field "colour" $colour) (field "rights" $rights)))
  (export $all "all" (type $all'))
  (func (export "echo") (param "value" $all) (result $all)
    (canon lift (core func $i "echo") (memory $memory) (realloc $realloc)))
  (func $add (param "a" u32) (param "b-two" u32) (result u32) (canon lift (core func $i "add")))
  (export "add" (func $add))
  (func $half (param "n" u32) (result (result u32 (error string)))
    (canon lift (core func $i "half") (memory $memory) (realloc $realloc)))
  (func (export "long") (param "bytes" u32) (result string)
    (canon lift (core func $i "long") (memory $memory) (realloc $realloc)))
  (func $nothing (canon lift (core func $i "nothing")))
  (instance $one (export "half" (func $half)) (export "nothing" (func $nothing)))
  (export "hero:numbers/one@0.1.0" (instance $one))
  (instance $two (export "nothing" (func $nothing)))
  (export "hero:numbers/two@0.1.0" (instance $two)))"#;

fn everything() -> Value {
    json!({
        "yes": true, "a-s8": -8, "a-u8": 8, "a-s16": -16, "a-u16": 16, "a-s32": -32, "a-u32": 4_000_000_000_u32,
        "a-s64": -9_007_199_254_740_993_i64, "a-u64": u64::MAX, "a-f32": 0.1, "a-f64": -1.5, "a-char": "ß",
        "text": "a \"text\"\n", "bytes": [0, 255], "pair": [7, "seven"], "maybe": null, "nested": {"some": null},
        "outcome": {"err": "no"}, "shape": {"circle": 2.0}, "colour": "dark-green", "rights": ["read", "write"],
    })
}

fn value(ending: &Ending) -> Value {
    match ending {
        Ending::Returned { ok: true, value } => serde_json::from_str(value).expect("JSON"),
        other => panic!("it has to return: {other:?}"),
    }
}

#[test]
fn values_of_every_type_go_in_and_come_out() {
    let component = Artifact::of(COMPONENT);
    let all = everything();
    let args = json!([all]).to_string();
    assert_eq!(value(&component.invoke("echo", &args)), all);

    let mut other = everything();
    other["maybe"] = json!(3);
    other["nested"] = json!({"some": 9});
    other["outcome"] = json!({"ok": 1});
    other["shape"] = json!("empty");
    other["rights"] = json!([]);
    other["a-f64"] = json!("-inf");
    other["a-f32"] = json!("NaN");
    let mut given = other.clone();
    // Names as other languages have them, numbers as texts, optional fields left out.
    let fields = given.as_object_mut().unwrap();
    let number = fields.remove("a-u64").unwrap();
    fields.insert("a_u64".to_owned(), json!(number.to_string()));
    fields["colour"] = json!("dark_green");
    fields.remove("nested");
    other["nested"] = Value::Null;
    assert_eq!(value(&component.invoke("echo", &json!([given]).to_string())), other);
}

#[test]
fn a_result_is_its_payload_and_an_error_is_not_ok() {
    let component = Artifact::of(COMPONENT);
    let returned = |ok, value: &str| Ending::Returned { ok, value: value.to_owned() };
    assert_eq!(component.invoke("half", "[14]"), returned(true, "7"));
    assert_eq!(component.invoke("hero:numbers/one#half", "[14]"), returned(true, "7"));
    assert_eq!(component.invoke("hero:numbers/one@0.1.0#half", "[3]"), returned(false, "\"odd\""));
    assert_eq!(component.invoke("hero:numbers/two#nothing", ""), returned(true, "null"));
}

#[test]
fn a_call_in_wave_is_taken_too() {
    let component = Artifact::of(COMPONENT);
    assert_eq!(component.invoke("add(40, 2)", ""), Ending::Returned { ok: true, value: "42".to_owned() });
    assert_eq!(
        component.invoke("hero:numbers/two#nothing()", ""),
        Ending::Returned { ok: true, value: "null".to_owned() }
    );
    assert!(why(component.invoke("add(40, \"two\")", "")).starts_with("add(a: u32, b-two: u32) -> u32: "));
    assert!(why(component.invoke("add(40", "")).contains("add(a: u32"));
}

#[test]
fn a_wrong_argument_is_named_with_its_place() {
    let component = Artifact::of(COMPONENT);
    let add = |args| why(component.invoke("add", args));
    assert_eq!(add("[1]"), "add(a: u32, b-two: u32) -> u32: it takes 2 arguments, 1 are given");
    assert!(add("[1, \"x\"]").ends_with("argument 2 \"b-two\": expected u32, found string"));
    assert!(add("[1, -1]").ends_with("argument 2 \"b-two\": expected u32, found the number -1"));
    assert!(add("[1, 4294967296]").ends_with("expected u32, found the number 4294967296"));
    assert!(add("[1, 1.5]").ends_with("expected u32, found the number 1.5"));
    assert!(add("{}").ends_with("the arguments have to be a JSON array"));
    assert!(add("[").contains("no JSON"));

    let echo = |path: &str, wrong: Value| {
        let mut all = everything();
        *all.pointer_mut(path).unwrap() = wrong;
        why(component.invoke("echo", &json!([all]).to_string()))
    };
    assert!(
        echo("/bytes/1", json!(256))
            .ends_with("argument 1 \"value\".bytes[1]: expected u8, found the number 256")
    );
    assert!(echo("/pair", json!([1])).ends_with(".pair: expected 2 items, found 1"));
    assert!(
        echo("/shape", json!({"square": 1}))
            .contains(".shape: expected variant { circle(f64), empty }, found the case \"square\"")
    );
    assert!(
        echo("/shape", json!({"empty": 1}))
            .ends_with(".shape.empty: expected no payload, found the number 1")
    );
    assert!(
        echo("/colour", json!("blue")).contains(".colour: expected enum { red, dark-green }, found \"blue\"")
    );
    assert!(echo("/outcome", json!({"ok": "x"})).ends_with(".outcome.ok: expected u32, found string"));
    assert!(echo("/a-char", json!("ab")).ends_with(".a-char: expected char, found string"));
    let mut all = everything();
    all["more"] = json!(1);
    assert!(why(component.invoke("echo", &json!([all]).to_string())).contains("there is no field \"more\""));
    all.as_object_mut().unwrap().retain(|key, _| key != "more" && key != "text");
    assert!(
        why(component.invoke("echo", &json!([all]).to_string()))
            .ends_with("the field \"text\" (string) is missing")
    );
}

#[test]
fn a_function_that_is_not_there_is_answered_with_those_that_are() {
    let component = Artifact::of(COMPONENT);
    let there = "it exports add, echo, long, hero:numbers/one@0.1.0#half, hero:numbers/one@0.1.0#nothing, hero:numbers/two@0.1.0#nothing";
    assert_eq!(
        why(component.invoke("run-scenario", "[]")),
        format!("it exports no function \"run-scenario\"; {there}")
    );
    let both = "hero:numbers/one@0.1.0#nothing, hero:numbers/two@0.1.0#nothing";
    assert_eq!(
        why(component.invoke("nothing", "[]")),
        format!("\"nothing\" is the name of more than one function: {both}")
    );
    let run = Run { max_pages: 64, ..Run::default() };
    let no_program = why(component.run(&run, &mut Streams::default()));
    assert!(no_program.starts_with("it is no program: it exports no wasi:cli/run, but add"), "{no_program}");
}

#[test]
fn a_value_may_be_a_mebibyte_long() {
    let component = Artifact::of(COMPONENT);
    // Zeros take six characters each in JSON.
    assert_eq!(value(&component.invoke("long", "[170000]")).as_str().map(str::len), Some(170_000));
    let why = why(component.invoke("long", "[1048576]"));
    assert!(why.ends_with("it returned more than 1048576 bytes of JSON, which is the most"), "{why}");
}

#[test]
fn a_function_may_be_called_first_after_which_the_guest_is_ready() {
    let component = Artifact::of(COMPONENT);
    let entry = Entry::Invoke { function: "add", args: "[1, 2]" };
    let mut run = Run { max_pages: 64, entry, ready_export: Some("two#nothing"), ..Run::default() };
    let mut streams = Streams::default();
    assert!(why(component.run(&run, &mut streams)).contains("it exports no function \"two#nothing\""));
    assert!(!streams.ready);
    run.ready_export = Some("hero:numbers/two#nothing");
    assert_eq!(value(&component.run(&run, &mut streams)), json!(3));
    assert!(streams.ready);
    run.ready_export = Some("half");
    assert!(why(component.run(&run, &mut streams)).contains("has to have no parameters"));
}

//! Tests of components' interfaces.

use super::*;

fn checked(text: &str) -> Result<Facts> {
    super::super::check::check(&wat::parse_str(text).unwrap())
}

const ADD: &str = r#"(component
    (core module $m
        (import "deep" "unseen" (func))
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core module $d (func (export "unseen")))
    (core instance $d (instantiate $d))
    (core instance $m (instantiate $m (with "deep" (instance $d))))
    (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $m "add")))
    (instance $api (export "add" (func $add)))
    (export "add" (func $add))
    (export "test:calc/api@1.0.0" (instance $api)))"#;

#[test]
fn a_component_is_accepted_with_its_interface() {
    let facts = checked(ADD).unwrap();
    assert_eq!(facts.kind, ModuleKind::Component);
    assert!(facts.imports.is_empty(), "those of its modules are its own business: {:?}", facts.imports);
    let shown: Vec<_> =
        facts.exports.iter().map(|export| (export.name.as_str(), export.ty.as_str())).collect();
    let ty = "func(a: u32, b: u32) -> u32";
    assert_eq!(shown, [("add", ty), ("test:calc/api@1.0.0#add", ty)]);
}

#[test]
fn what_nobody_offers_is_known_by_name() {
    let facts = checked(
        r#"(component
            (type $errno (enum "a" "b"))
            (type $point (record (field "x" f64) (field "y" (option string))))
            (import "errno" (type $e (eq $errno)))
            (import "wasi:cli/environment@0.2.3" (instance
                (export "get-arguments" (func (result (list string))))))
            (import "wasi:cli/environment@0.3.0" (instance))
            (import "test:store/keys@1.0.0" (instance
                (export "get" (func (param "key" string) (result (result u64 (error string)))))
                (export "put" (func (param "key" string)))))
            (import "plain" (func (param "one" $e)))
            (export "again" (type $errno)))"#,
    )
    .unwrap();
    assert_eq!(
        missing(&facts.imports),
        ["wasi:cli/environment@0.3.0", "test:store/keys@1.0.0", "plain"],
        "{:#?}",
        facts.imports
    );
    let get = facts.imports.iter().find(|import| import.name == "get").unwrap();
    assert_eq!(get.ty, "func(key: string) -> result<u64, string>");
    let error = complete("calc", &missing(&facts.imports)).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModuleImportMissing);
    assert!(error.message.contains("test:store/keys@1.0.0") && error.message.contains("calc"), "{error}");
    assert!(complete("calc", &[]).is_ok());
}

#[test]
fn a_component_without_exports_or_that_is_broken_is_refused() {
    assert!(checked("(component)").unwrap_err().message.contains("exports nothing"));
    let whole = wat::parse_str(ADD).unwrap();
    // Cut between two sections it is a component again, with less in it.
    let accepted = (8..whole.len()).filter(|end| super::super::check::check(&whole[..*end]).is_ok());
    assert!(accepted.count() < 8);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]

    #[test]
    fn flipped_bits_never_panic(flips in proptest::collection::vec((0_usize..400, 0_u8..8), 1..4)) {
        let mut component = wat::parse_str(ADD).unwrap();
        for (place, bit) in flips {
            let length = component.len();
            component[place % length] ^= 1 << bit;
        }
        let _ = super::super::check::check(&component);
    }
}

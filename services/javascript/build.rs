//! Asks the linker for a larger stack.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // The parser takes 18 KiB of it for a pair of brackets. Compiled, it takes a quarter as much of the host's
        // stack, which has 8 MiB.
        println!("cargo::rustc-link-arg-bins=-zstack-size={}", 16 << 20);
    }
}
